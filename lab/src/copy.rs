//! A copy of this process, for what a process may die of.

use crate::error::{Doing, Error};
use crate::sys;
use std::fs;
use std::io;
use std::process::ExitStatus;

/// Runs `f` in a copy of this process (fork), and waits for its end; the copy ends with the code that `f` returns, or with 101
/// where it panics.
///
/// The copy has what this process has, descriptors and memory, and what it changes there is its own. It costs a fraction of
/// what starting a program does.
///
/// # Errors
/// [`Error::Os`] where this process has more than one thread: in the copy, nobody would ever let go of what the others hold;
/// and when the kernel refuses.
pub fn in_copy(f: impl FnOnce() -> u8) -> Result<ExitStatus, Error> {
    let doing = || "run a copy of this process".to_owned();
    let threads = fs::read_dir("/proc/self/task").doing(doing)?.count();
    if threads != 1 {
        let why = format!("it has {threads} threads, and only one can be copied");
        return Err(io::Error::other(why)).doing(doing);
    }
    sys::in_copy(f).doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_copied() {
        let other = std::thread::spawn(std::thread::park);
        let refused = in_copy(|| 0).unwrap_err().to_string();
        other.thread().unpark();
        other.join().unwrap();
        assert!(refused.contains("threads, and only one"), "{refused}");
    }
}
