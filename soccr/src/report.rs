//! What a pause has cost.

/// What a pause has cost: the time in repair mode is the time in which an application could not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PauseReport {
    /// From the call that entered repair mode to the call that left it, or to now; nanoseconds.
    pub nanoseconds: u64,
    /// How many system calls were made in that time, both of those included; of no use where the socket was resumed by
    /// another thread.
    pub system_calls: u64,
    /// How often everything was read: once, unless traffic disturbed it.
    pub readings: u32,
    /// How many unsent bytes the kernel took as sent because something made it send while the send queue was read: an
    /// acknowledgement, say (guide A65). The snapshot has them as unsent. A socket that runs on sends them once its
    /// retransmission timer ends. Zero where the traffic is blocked, as it should be.
    pub taken_as_sent: u32,
}
