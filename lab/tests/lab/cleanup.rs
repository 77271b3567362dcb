//! What is left when a lab has ended: nothing, however it ended.
//!
//! Each way to end is tried in a process of its own, where no other test makes and removes things meanwhile.

use crate::Case;
use crate::child::{self, Playing, Role};
use crate::connect::{namespace, talk};
use lab::wire::{Frame, Matcher, Verdict};
use lab::{Capture, Connection, Direction, Family, Match, Pair, PairWithWire, Sandbox, wait};
use libtest_mimic::Failed;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("cleanup/after_drop", || child::play("drop").map(|_| ())),
    ("cleanup/after_a_panic", || child::play("panic").map(|_| ())),
    ("cleanup/after_a_program", || {
        child::play("program").map(|_| ())
    }),
    ("cleanup/after_a_failed_build", || {
        child::play("failed-build").map(|_| ())
    }),
    ("cleanup/after_a_kill", after_a_kill),
];

pub(crate) const ROLES: &[Role] = &[
    ("drop", || nothing_is_left_by(|| everything().map(drop))),
    ("panic", || nothing_is_left_by(a_panic_inside)),
    ("program", || nothing_is_left_by(a_program)),
    ("failed-build", || nothing_is_left_by(a_failed_build)),
    ("hold", hold),
];

const LONG: Duration = Duration::from_secs(10);

/// A lab with everything that it can have.
struct Everything {
    _wired: Wired,
    _blackholes: Vec<lab::Blackhole>,
    _captures: Vec<Capture>,
    _connections: Vec<Connection>,
    pair: Pair,
}

/// A wire with all that it can have; the rule outlives it.
struct Wired {
    _connection: Connection,
    _pair: PairWithWire,
    _rule: lab::wire::RuleGuard,
}

fn wired() -> Result<Wired, Failed> {
    let pair = Pair::with_wire()?;
    let connection = pair.connection(Family::V4).open()?;
    let rule = pair.wire().rule(|_: &Frame| Verdict::Delay(LONG))?;
    pair.wire().hold(Matcher::nth_data(1))?;
    (&connection.client).write_all(b"held for ever")?;
    (&connection.client).write_all(b"delayed for ever")?;
    pair.wire().until_held(1, LONG)?;
    Ok(Wired {
        _connection: connection,
        _pair: pair,
        _rule: rule,
    })
}

fn everything() -> Result<Everything, Failed> {
    let pair = Pair::new()?;
    let mut connections = Vec::new();
    let mut blackholes = Vec::new();
    let captures = vec![pair.a().capture()?, pair.b().capture()?];
    for family in Family::ALL {
        let mut connection = pair.connection(family).keep_listener().open()?;
        talk(&connection)?;
        let flow = Match::tcp().flow(connection.flow());
        blackholes.push(pair.a().blackhole(Direction::Egress, flow)?);
        blackholes.push(pair.b().blackhole(Direction::Ingress, flow)?);
        // It is never acknowledged, and does not keep anything alive either.
        connection.client.write_all(b"on its way for ever")?;
        connections.push(connection);
    }
    for capture in &captures {
        capture.mark("ready")?;
    }
    Ok(Everything {
        _wired: wired()?,
        _blackholes: blackholes,
        _captures: captures,
        _connections: connections,
        pair,
    })
}

fn a_panic_inside() -> Result<(), Failed> {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let everything = everything()?;
        everything
            .pair
            .a()
            .enter(|| resume_unwind(Box::new("on purpose")))?;
        Ok::<_, Failed>(())
    }));
    panicked
        .err()
        .map(drop)
        .ok_or_else(|| "it went well".into())
}

/// One that ends with its lab, one that has ended by itself.
fn a_program() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let _running = pair.a().spawn(command)?;
    pair.b().output(Command::new("true"))?;
    Ok(())
}

/// It fails with both namespaces there already.
fn a_failed_build() -> Result<(), Failed> {
    for name in [
        "net.ipv4.no_such_thing",
        "net.ipv4.conf.veth0.no_such_thing",
    ] {
        let built = Pair::builder().sysctl(name, "1").build();
        built.err().ok_or("there is no such setting")?;
    }
    Ok(())
}

/// What of this process and its sandbox can be counted.
#[derive(Debug, PartialEq, Eq)]
struct Inventory {
    names: Vec<std::ffi::OsString>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
    threads: usize,
    files: usize,
    namespace: String,
}

impl Inventory {
    fn take(sandbox: &Sandbox) -> io::Result<Self> {
        let lines = |path: &str| -> io::Result<BTreeSet<String>> {
            Ok(fs::read_to_string(path)?
                .lines()
                .map(str::to_owned)
                .collect())
        };
        let links = lines("/proc/thread-self/net/dev")?;
        Ok(Self {
            names: sandbox.namespaces()?,
            mounts: lines("/proc/self/mountinfo")?,
            // Without their counters.
            links: links
                .iter()
                .filter_map(|it| Some(it.split_once(':')?.0.to_owned()))
                .collect(),
            threads: entries("/proc/self/task")?.len(),
            files: entries("/proc/self/fd")?.len(),
            namespace: namespace()?,
        })
    }
}

fn entries(folder: impl AsRef<Path>) -> io::Result<BTreeSet<String>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// A role: uses labs in a way, several times, and looks at what there is before and after.
fn nothing_is_left_by(way: impl Fn() -> Result<(), Failed>) -> Result<(), Failed> {
    let sandbox = Sandbox::enter()?;
    // What the first lab of a process prepares stays for the next.
    way()?;
    // A thread that has been joined may still be listed for a moment.
    let alone = || entries("/proc/self/task").is_ok_and(|it| it.len() == 1);
    wait::until("the threads to be gone", LONG, alone)?;
    let before = Inventory::take(&sandbox)?;
    assert!(before.names.is_empty(), "{:?}", before.names);
    for _ in 0..10 {
        way()?;
    }
    wait::until("the threads to be gone", LONG, alone)?;
    assert_eq!(Inventory::take(&sandbox)?, before);
    Ok(())
}

/// A role: holds a lab, prints which namespaces it has, and waits to be ended.
fn hold() -> Result<(), Failed> {
    let _sandbox = Sandbox::enter()?;
    let everything = everything()?;
    let mut namespaces = vec![namespace()?];
    for host in everything.pair.hosts() {
        namespaces.push(host.enter(namespace)??);
    }
    println!("{}\n", namespaces.join("\n"));
    io::stdin().read_exact(&mut [0])?;
    Ok(())
}

/// Everything is the kernel's to remove: nothing has a name outside of the process.
fn after_a_kill() -> Result<(), Failed> {
    let sandbox = Sandbox::enter()?;
    let links = || Inventory::take(&sandbox).map(|it| it.links);
    let before = links()?;
    let temporary = tempfile::tempdir()?;
    let mut holder = Playing::start("hold", temporary.path())?;
    let namespaces = holder.first_words()?;
    let namespaces: Vec<_> = namespaces.lines().collect();
    assert_eq!(namespaces.len(), 3, "{namespaces:?}");
    let pid = holder.0.id();
    let held = holders(&namespaces)?;
    assert!(
        held.iter()
            .any(|it| it.starts_with(&format!("/proc/{pid}/"))),
        "{held:?}"
    );
    assert!(held.iter().any(|it| it.ends_with("mountinfo")), "{held:?}");
    assert!(
        held.iter()
            .all(|it| it.starts_with(&format!("/proc/{pid}/"))),
        "{held:?}"
    );
    // As long as they are open here, no namespace of a test beside this one gets their numbers.
    let open_here: io::Result<Vec<_>> = held
        .iter()
        .filter(|it| !it.ends_with("mountinfo"))
        .map(fs::File::open)
        .collect();
    let open_here = open_here?;
    holder.kill()?;
    let mut left = holders(&namespaces)?;
    let ourselves = format!("/proc/{}/", std::process::id());
    left.retain(|it| !it.starts_with(&ourselves));
    assert_eq!(left, BTreeSet::new());
    drop(open_here);
    assert_eq!(links()?, before);
    assert_eq!(entries(temporary.path())?, BTreeSet::new());
    Ok(())
}

/// By what in /proc the namespaces are held: threads that are in them, mounts, and open files.
fn holders(namespaces: &[&str]) -> io::Result<BTreeSet<String>> {
    let mut holders = BTreeSet::new();
    let is_wanted = |text: &str| namespaces.iter().any(|it| text.contains(it));
    let mut look = |path: String, text: io::Result<String>| {
        // Processes end meanwhile, and those of other users are none of ours.
        if text.is_ok_and(|it| is_wanted(&it)) {
            holders.insert(path);
        }
    };
    let link = |path: &str| Ok(fs::read_link(path)?.display().to_string());
    for pid in entries("/proc")?
        .into_iter()
        .filter(|it| it.parse::<u32>().is_ok())
    {
        let mounts = format!("/proc/{pid}/mountinfo");
        let text = fs::read_to_string(&mounts);
        look(mounts, text);
        for (folder, file) in [("task", "/ns/net"), ("fd", "")] {
            for entry in entries(format!("/proc/{pid}/{folder}")).unwrap_or_default() {
                let path = format!("/proc/{pid}/{folder}/{entry}{file}");
                let text = link(&path);
                look(path, text);
            }
        }
    }
    Ok(holders)
}
