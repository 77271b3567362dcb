//! The processors: what one of them queues, only a message from it can be behind.

use crate::error::Error;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::{Pid, getpid};
use std::sync::OnceLock;

const THIS_THREAD: Pid = Pid::from_raw(0);

/// Runs `f` on every processor that the program may use; only once where the calling thread cannot be moved.
pub(crate) fn on_each_cpu(mut f: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    // Not only where the thread is kept at the moment: what others have sent may wait elsewhere.
    let ([_, _, ..], Ok(now)) = (allowed(), sched_getaffinity(THIS_THREAD)) else {
        return f();
    };
    let _restore = Affinity(now);
    let mut ran = false;
    for &cpu in allowed() {
        if stay_on(cpu).is_ok() {
            f()?;
            ran = true;
        }
    }
    if ran { Ok(()) } else { f() }
}

/// The processors that the program may use: those of its first thread, before that is kept on one; none where they cannot be
/// told.
fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| match sched_getaffinity(getpid()) {
        Ok(set) => cpus(&set).collect(),
        Err(_) => Vec::new(),
    })
}

fn cpus(set: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true))
}

/// Runs `f` with the calling thread kept on one processor, where it can be.
///
/// What a thread sends waits for its receiver in a queue of the processor that it runs on. One that is moved to another in
/// the meantime may overtake itself: the network has then changed the order of packets. Where that must not happen, such as
/// in a comparison of two traces, both ends have to be used from here.
pub fn on_one_cpu<R>(f: impl FnOnce() -> R) -> R {
    match sched_getcpu() {
        Ok(cpu) => on(cpu, f),
        Err(_) => f(),
    }
}

/// The processor that the calling thread is kept on, as [`on_one_cpu`] does; what it starts is kept there, too.
#[must_use]
pub fn kept_on() -> Option<usize> {
    let set = sched_getaffinity(THIS_THREAD).ok()?;
    let mut cpus = cpus(&set);
    let first = cpus.next()?;
    cpus.next().is_none().then_some(first)
}

/// Runs `f` with the calling thread kept on this processor, where it can be.
pub(crate) fn on<R>(cpu: usize, f: impl FnOnce() -> R) -> R {
    if let [_] = allowed() {
        // It is kept on that already.
        return f();
    }
    let _restore = sched_getaffinity(THIS_THREAD).map(Affinity);
    // One that cannot be kept runs on as before.
    let _ = stay_on(cpu);
    f()
}

fn stay_on(cpu: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(THIS_THREAD, &only)
}

/// Lets the calling thread run where it could before.
struct Affinity(CpuSet);

impl Drop for Affinity {
    fn drop(&mut self) {
        let _ = sched_setaffinity(THIS_THREAD, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn allowed() -> Vec<usize> {
        cpus(&sched_getaffinity(THIS_THREAD).unwrap()).collect()
    }

    #[test]
    fn a_thread_that_is_kept_on_one_reaches_all_and_is_free_again() {
        let before = allowed();
        let mut seen = BTreeSet::new();
        on_one_cpu(|| {
            assert_eq!(kept_on(), allowed().first().copied());
            assert_eq!(allowed().len(), 1);
            on_each_cpu(|| {
                seen.insert(sched_getcpu().unwrap());
                Ok(())
            })
            .unwrap();
            assert_eq!(allowed().len(), 1);
        });
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), before);
        assert_eq!(allowed(), before);
    }
}
