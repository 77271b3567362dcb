//! Is this process really an ordinary user's? Read from what the kernel says about it, and by trying.

use std::fs;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, setresuid};

use crate::error::{Error, While as _};

/// How `__whoami` ends when all is well, except that ordinary users may not make user namespaces here.
pub(crate) const NO_NAMESPACES: i32 = 3;

/// Judges the text of /proc/self/status: is this an ordinary process?
pub(crate) fn confirm_ordinary(status: &str) -> Result<(), Error> {
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>())
    };
    let mut wrong = Vec::new();
    for name in ["Uid", "Gid"] {
        match field(name) {
            Some(ids) if ids.len() == 4 && !ids.contains(&"0") => {}
            ids => wrong.push(format!("{name} is {ids:?}, not four times an ordinary one")),
        }
    }
    match field("Groups") {
        Some(groups) if !groups.contains(&"0") => {}
        groups => wrong.push(format!("Groups is {groups:?}")),
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        match field(name).as_deref() {
            Some([set]) if !set.is_empty() && set.bytes().all(|digit| digit == b'0') => {}
            set => wrong.push(format!("{name} is {set:?}, not empty")),
        }
    }
    if field("NoNewPrivs").as_deref() != Some(&["1"]) {
        wrong.push("NoNewPrivs is not set, so sudo may work".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::unfit(
        "checking that this process is an ordinary user's",
        wrong.join(", "),
        "nothing was run; this is a fault of the ci program",
    ))
}

/// `ci __whoami`: run in the room like any other command. Looks at itself, then tries what only root can do.
/// The result is the exit code.
pub(crate) fn whoami() -> Result<i32, Error> {
    let status =
        fs::read_to_string("/proc/self/status").doing(|| "reading /proc/self/status".to_owned())?;
    confirm_ordinary(&status)?;
    let fault = |found: &str| {
        Error::unfit(
            "checking what an ordinary user can do",
            found,
            "this is a fault of the ci program",
        )
    };
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Err(fault(
            "it can make a network namespace without a user namespace",
        ));
    }
    let root = Uid::from_raw(0);
    if setresuid(root, root, root).is_ok() {
        return Err(fault("it can become root again"));
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let sudo = match sudo.status() {
        Ok(status) if status.success() => return Err(fault("`sudo -n true` works")),
        Ok(_) => "sudo refuses",
        Err(_) => "no sudo here",
    };
    // Afterwards we are somebody else.
    let uid = Uid::current();
    let all = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    let (namespaces, code) = match unshare(all) {
        Ok(()) => ("user namespaces are open to it".to_owned(), 0),
        Err(errno) => (
            format!("it may NOT make user namespaces: {errno}"),
            NO_NAMESPACES,
        ),
    };
    println!("ordinary user: uid {uid}, no groups, no capabilities, {sudo}, {namespaces}");
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: &str = "Name:\tci\nUid:\t61184\t61184\t61184\t61184\nGid:\t61184\t61184\t61184\t61184\nGroups:\t \n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";

    #[test]
    fn an_ordinary_process_is_confirmed() {
        confirm_ordinary(ORDINARY).unwrap();
    }

    #[test]
    fn every_remainder_of_root_is_convicted() {
        let remainders = [
            (
                "Uid:\t61184\t61184\t61184\t61184",
                "Uid:\t61184\t0\t61184\t61184",
                "Uid",
            ),
            (
                "Uid:\t61184\t61184\t61184\t61184",
                "Uid:\t61184\t61184\t0\t61184",
                "Uid",
            ),
            ("Gid:\t61184", "Gid:\t0", "Gid"),
            ("Groups:\t ", "Groups:\t27 0 ", "Groups"),
            ("CapInh:\t0", "CapInh:\t1", "CapInh"),
            ("CapPrm:\t0", "CapPrm:\t1", "CapPrm"),
            ("CapEff:\t0", "CapEff:\t8", "CapEff"),
            ("CapAmb:\t0", "CapAmb:\t8", "CapAmb"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "NoNewPrivs"),
            ("CapEff:", "Other:", "CapEff"),
        ];
        for (good, bad, name) in remainders {
            let status = ORDINARY.replacen(good, bad, 1);
            assert_ne!(status, ORDINARY);
            let error = confirm_ordinary(&status).unwrap_err().to_string();
            assert!(error.contains(name), "{bad}: {error}");
        }
    }

    #[test]
    fn a_test_run_by_cargo_is_not_taken_for_the_ordinary_user_unless_it_is_one() {
        // True for root and for somebody with sudo; the room itself is the exception.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert_eq!(
            confirm_ordinary(&status).is_ok(),
            status.contains("NoNewPrivs:\t1") && !Uid::current().is_root()
        );
    }
}
