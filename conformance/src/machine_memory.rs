//! The memory that the TCP sockets of a whole machine may have together (`net.ipv4.tcp_mem`).
//!
//! It is everybody's: only a guest of `conformance matrix` in which nothing else runs can do without.

use crate::context::Context;
use crate::matrix::is_guest;
use crate::verdict::Stop;
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::io;
use std::thread;

/// Where it is told, in the first network only.
const TCP_MEM: &str = "/proc/sys/net/ipv4/tcp_mem";
/// Where that is.
const FIRST_NETWORK: &str = "/proc/1/ns/net";
/// Less than anybody uses, pages: enough for nobody, scarce from, and the most.
const NEARLY_NONE: &str = "1 1 1";

/// A machine without memory for queues, until it is dropped.
#[derive(Debug)]
pub struct Scarce {
    before: String,
}

impl Scarce {
    /// Whether nobody else would have to do without as well.
    ///
    /// # Errors
    /// [`Stop::Skip`] otherwise.
    pub fn possible(ctx: &Context) -> Result<(), Stop> {
        match ctx.is_alone() && is_guest() {
            true => Ok(()),
            false => Err(Stop::Skip(
                "net.ipv4.tcp_mem is the whole machine's: in a machine of its own asks \
                 `conformance matrix --filter 'fault/memory/machine/*' --jobs 1`"
                    .to_owned(),
            )),
        }
    }

    /// Leaves the sockets of the machine nearly no memory.
    ///
    /// # Errors
    /// As [`possible`](Self::possible).
    pub fn machine(ctx: &Context) -> Result<Self, Stop> {
        Self::possible(ctx)?;
        let before = in_the_first_network(|| fs::read_to_string(TCP_MEM))?;
        in_the_first_network(|| fs::write(TCP_MEM, NEARLY_NONE))?;
        Ok(Self { before })
    }
}

impl Drop for Scarce {
    fn drop(&mut self) {
        // Where that fails, the case does: the connection gets on no more.
        let _ = in_the_first_network(|| fs::write(TCP_MEM, self.before.trim()));
    }
}

/// A sysctl is that of the network of the thread that opens it.
fn in_the_first_network<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let there = || {
        setns(File::open(FIRST_NETWORK)?, CloneFlags::CLONE_NEWNET)?;
        work()
    };
    let ended = thread::scope(|scope| scope.spawn(there).join());
    ended.unwrap_or_else(|_| Err(io::Error::other("the thread has panicked")))
}
