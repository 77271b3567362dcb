//! The same topologies, as one makes them without a lab: by the `ip` command.

use crate::{Lab, Result};
use lab::sysctl::{BASELINE, Setting};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

/// Where `ip` keeps the names of its namespaces.
const NAMES: &str = "/run/netns";

/// Two hosts joined by a veth pair, or by two and the kernel's bridge in the middle; gone on drop.
pub(crate) struct IpPair {
    namespaces: &'static [&'static str],
}

/// Whether there is an `ip`; gives it a /run of its own, which an ordinary user has not.
pub(crate) fn prepare() -> Result<bool> {
    let found = Command::new("ip").arg("-V").output();
    if matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(false);
    }
    found?;
    // In the mount namespace of this process, which nobody else sees.
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )?;
    Ok(true)
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {words}: {}", said.trim()).into())
}

/// Runs `f` in a namespace, on a thread of its own.
fn inside<R: Send>(namespace: &str, f: impl FnOnce() -> io::Result<R> + Send) -> Result<R> {
    let file = File::open(format!("{NAMES}/{namespace}"))?;
    let inside = || {
        setns(&file, CloneFlags::CLONE_NEWNET)?;
        f()
    };
    let result = thread::scope(|scope| scope.spawn(inside).join());
    Ok(result.map_err(|_| "it has panicked")??)
}

fn apply(setting: &Setting) -> io::Result<()> {
    let path = format!("/proc/sys/{}", setting.name.replace('.', "/"));
    let mut values = setting.values.iter();
    match values.try_for_each(|value| match fs::write(&path, value) {
        Ok(()) => Err(()),
        Err(_) => Ok(()),
    }) {
        Ok(()) if !setting.optional => Err(io::Error::other(path)),
        _ => Ok(()),
    }
}

impl IpPair {
    /// `a` and `b`, joined directly.
    pub(crate) fn direct() -> Result<Self> {
        let pair = Self::namespaces(&["a", "b"])?;
        ip("-n a link add veth0 type veth peer name veth0 netns b")?;
        pair.raise()
    }

    /// `a` and `b`, and a bridge between them.
    pub(crate) fn bridged() -> Result<Self> {
        let pair = Self::namespaces(&["a", "b", "middle"])?;
        ip("-n middle link add bridge type bridge forward_delay 0 mcast_snooping 0")?;
        ip("-n middle link set bridge up")?;
        for host in ["a", "b"] {
            ip(&format!(
                "-n {host} link add veth0 type veth peer name {host} netns middle"
            ))?;
            ip(&format!("-n middle link set dev {host} master bridge up"))?;
        }
        pair.raise()
    }

    fn namespaces(namespaces: &'static [&'static str]) -> Result<Self> {
        let pair = Self { namespaces };
        for namespace in namespaces {
            ip(&format!("netns add {namespace}"))?;
        }
        Ok(pair)
    }

    /// What a host of a lab has, too: addresses, and the same sysctls.
    fn raise(self) -> Result<Self> {
        for (host, number) in [("a", 1), ("b", 2)] {
            inside(host, || BASELINE.iter().try_for_each(apply))?;
            ip(&format!("-n {host} addr add 10.77.0.{number}/24 dev veth0"))?;
            ip(&format!(
                "-n {host} addr add fd77::{number}/64 dev veth0 nodad"
            ))?;
            ip(&format!("-n {host} link set lo up"))?;
            ip(&format!("-n {host} link set veth0 up"))?;
        }
        Ok(self)
    }
}

impl Lab for IpPair {
    fn connect(&self) -> Result<(TcpStream, TcpStream)> {
        let listener = inside("b", || TcpListener::bind("10.77.0.2:0"))?;
        let address = listener.local_addr()?;
        let client = inside("a", || TcpStream::connect(address))?;
        Ok((client, listener.accept()?.0))
    }
}

impl Drop for IpPair {
    fn drop(&mut self) {
        for namespace in self.namespaces {
            if let Err(error) = ip(&format!("netns del {namespace}")) {
                eprintln!("{error}");
            }
        }
    }
}
