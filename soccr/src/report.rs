//! What a pause has cost.

/// What a pause has cost: the time in repair mode is the time in which an application could not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PauseReport {
    /// From the call that entered repair mode to the call that left it, or to now; nanoseconds.
    pub nanoseconds: u64,
    /// How many system calls were made in that time, both of those included.
    pub system_calls: u64,
    /// How often everything was read: once, unless traffic disturbed it.
    pub readings: u32,
}
