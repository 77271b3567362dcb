//! Entering a sandbox, and what is said when that is impossible.

use crate::Case;
use crate::child::{self, Role, text};
use crate::connect::talk;
use lab::{Error, Family, Pair, Sandbox, SandboxError};
use libtest_mimic::Failed;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::os::unix::process::CommandExt;
use std::thread;

pub(crate) const CASES: &[Case] = &[
    (
        "sandbox/a_second_call_returns_the_same",
        a_second_call_returns_the_same,
    ),
    (
        "sandbox/an_ordinary_user_has_a_lab_too",
        an_ordinary_user_has_a_lab_too,
    ),
    ("sandbox/it_is_refused_to_a_process_with_threads", || {
        child::play("threads").map(|_| ())
    }),
    ("sandbox/a_lab_needs_a_sandbox", || {
        child::play("no-sandbox").map(|_| ())
    }),
    ("sandbox/trying_changes_nothing", || {
        child::play("try").map(|_| ())
    }),
    ("sandbox/a_limit_of_zero_is_named", a_limit_of_zero_is_named),
    (
        "sandbox/tests_are_ignored_or_fail_without_one",
        tests_are_ignored_or_fail_without_one,
    ),
];

pub(crate) const ROLES: &[Role] = &[
    ("threads", with_threads),
    ("no-sandbox", without_sandbox),
    ("try", trying),
    ("ordinary", ordinary),
    ("limit", limit),
    ("limited-tests", limited_tests),
];

/// What a role of an ordinary user says when this machine does not let one have a sandbox.
const NO_SANDBOX: &str = "no sandbox for ordinary users: ";

fn a_second_call_returns_the_same() -> Result<(), Failed> {
    let before = fs::read_link("/proc/self/ns/mnt")?;
    let [one, two] = [Sandbox::enter()?, Sandbox::enter()?];
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    assert_eq!(fs::read_link("/proc/self/ns/mnt")?, before);
    lab::available()?;
    Ok(())
}

/// For root to see that nothing here takes root; an ordinary user sees it by all the other tests.
fn an_ordinary_user_has_a_lab_too() -> Result<(), Failed> {
    const NOBODY: u32 = 65_534;
    let mut command = child::command("ordinary");
    if Sandbox::enter()?.is_root() {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    let output = command.output()?;
    match text(&output) {
        said if said.starts_with(NO_SANDBOX) && std::env::var_os("CI").is_none() => {
            println!("{said}");
        }
        said => assert!(output.status.success(), "{said}"),
    }
    Ok(())
}

/// A role: a lab with everything, as whoever this process is.
fn ordinary() -> Result<(), Failed> {
    let sandbox = Sandbox::enter().map_err(|error| format!("{NO_SANDBOX}{error}"))?;
    assert!(!sandbox.is_root());
    let pair = Pair::builder().offload(false).build()?;
    let capture = pair.a().capture()?;
    for family in Family::ALL {
        let connection = pair.connection(family).open()?;
        talk(&connection)?;
        assert!(capture.trace()?.of(&connection.flow()).len() > 3);
    }
    Ok(())
}

/// A role: too late, and then not too late.
fn with_threads() -> Result<(), Failed> {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || wait.recv());
    match Sandbox::enter() {
        Err(error @ SandboxError::MultiThreaded { threads: 2 }) => {
            assert!(error.to_string().contains("first thing in main"), "{error}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    drop(done);
    let _ = other.join();
    // A thread that has been joined may still be listed for a moment.
    let alone = || fs::read_dir("/proc/self/task").is_ok_and(|it| it.count() == 1);
    lab::wait::until(
        "the thread to be gone",
        std::time::Duration::from_secs(10),
        alone,
    )?;
    // The refusal has changed nothing.
    Sandbox::enter()?;
    Pair::new()?;
    Ok(())
}

/// A role.
fn without_sandbox() -> Result<(), Failed> {
    let error = Pair::new().err().ok_or("there is no sandbox")?;
    assert!(matches!(error, Error::NoSandbox), "{error}");
    assert!(error.to_string().contains("Sandbox::enter"), "{error}");
    Ok(())
}

/// A role: whether a sandbox can be had is found out elsewhere.
fn trying() -> Result<(), Failed> {
    let namespaces =
        || ["mnt", "net", "user"].map(|it| fs::read_link(format!("/proc/self/ns/{it}")).ok());
    let before = namespaces();
    lab::available()?;
    assert_eq!(namespaces(), before);
    Sandbox::enter()?;
    assert_ne!(namespaces(), before);
    Ok(())
}

/// Makes this process an ordinary user of a place where user namespaces are switched off.
fn switch_off_user_namespaces() -> Result<(), Failed> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("1000 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("1000 {gid} 1"))?;
    fs::write("/proc/sys/user/max_user_namespaces", "0")?;
    Ok(())
}

fn a_limit_of_zero_is_named() -> Result<(), Failed> {
    let said = child::play("limit")?;
    assert!(said.contains("user.max_user_namespaces is 0"), "{said}");
    assert!(
        said.contains("sysctl -w user.max_user_namespaces="),
        "{said}"
    );
    Ok(())
}

/// A role.
fn limit() -> Result<(), Failed> {
    switch_off_user_namespaces()?;
    for result in [lab::available(), Sandbox::enter().map(|_| ())] {
        match result {
            Err(error @ SandboxError::NoUserNamespaces { .. }) => println!("{error}"),
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}

/// A role: becomes the test program, in a place where no sandbox can be had.
fn limited_tests() -> Result<(), Failed> {
    switch_off_user_namespaces()?;
    Err(child::without_role().exec().into())
}

fn tests_are_ignored_or_fail_without_one() -> Result<(), Failed> {
    for ci in [None, Some("false"), Some("true")] {
        let mut command = child::command("limited-tests");
        match ci {
            Some(value) => command.env("CI", value),
            None => command.env_remove("CI"),
        };
        let output = command.output()?;
        let said = text(&output);
        assert!(said.contains("user.max_user_namespaces is 0"), "{said}");
        if ci == Some("true") {
            assert!(!output.status.success(), "{said}");
            assert!(
                said.contains("0 passed") && said.contains("0 ignored"),
                "{said}"
            );
        } else {
            assert!(output.status.success(), "{said}");
            assert!(said.contains("0 passed; 0 failed"), "{said}");
        }
    }
    Ok(())
}
