//! Where judges find real sockets: two hosts, in a sandbox of their own.

use lab::{Pair, Sandbox};
use std::fs;
use std::sync::OnceLock;

static HOSTS: OnceLock<Pair> = OnceLock::new();

/// Enters the sandbox; first of all, before there are threads.
///
/// # Errors
/// Why there is none to be had here, and what to do about it.
pub fn enter() -> Result<(), String> {
    let entered = Sandbox::enter().map(drop);
    entered.map_err(|error| error.to_string())
}

/// Enters the sandbox of a fuzz target, or ends the process, which then says why: `cargo ci fuzz` reads that.
pub fn enter_or_skip() {
    if let Err(why) = enter() {
        eprintln!("skipped: {why}");
        std::process::exit(0);
    }
    hosts();
}

/// Host `a`, whose sockets are judged, and host `b`, where their peers are.
///
/// # Panics
/// Outside of the sandbox.
pub(crate) fn hosts() -> &'static Pair {
    // What is left in TIME-WAIT keeps its port for a minute, in which there are more connections than ports.
    let few = Pair::builder().sysctl_if_known("net.ipv4.tcp_max_tw_buckets", "64");
    HOSTS.get_or_init(|| few.build().expect("two hosts"))
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    let open = fs::read_dir("/proc/self/fd").expect("the descriptors of this process");
    open.count()
}
