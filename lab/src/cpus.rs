//! The processors: what one of them queues, only a message from it can be behind.

use crate::error::Error;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Runs `f` on every processor that the calling thread may use; only once where it cannot be moved.
pub(crate) fn on_each_cpu(mut f: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let this_thread = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this_thread) else {
        return f();
    };
    let _restore = Affinity(allowed);
    let mut ran = false;
    for cpu in (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true)) {
        let mut only = CpuSet::new();
        if only
            .set(cpu)
            .and_then(|()| sched_setaffinity(this_thread, &only))
            .is_ok()
        {
            f()?;
            ran = true;
        }
    }
    if ran { Ok(()) } else { f() }
}

/// Lets the calling thread run where it could before.
struct Affinity(CpuSet);

impl Drop for Affinity {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}
