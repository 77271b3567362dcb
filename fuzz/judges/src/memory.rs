//! How much memory a reader takes.

use peak_alloc::PeakAlloc;

/// Counts every allocation of the process: judges run one at a time.
#[global_allocator]
static COUNTER: PeakAlloc = PeakAlloc;

/// What `read` returns, and how many bytes were allocated at most while it ran.
pub(crate) fn measured<T>(read: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNTER.current_usage();
    COUNTER.reset_peak_usage();
    let result = read();
    (result, COUNTER.peak_usage().saturating_sub(before))
}
