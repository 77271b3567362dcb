//! Giving up a connection and keeping its socket: for a connection that cannot live on where its application is restored.

use crate::losses::{Loss, Lost};
use crate::queue::SendQueue;
use crate::snapshot::{PendingError, Snapshot};
use crate::state::TcpState;

impl Snapshot {
    /// The snapshot of the same socket as if its connection had ended: its application reads what had been received, and
    /// then gets `error`. Restoring it needs neither the old address nor a lock, and no packet leaves.
    ///
    /// For an application that is restored without its connections: a copy that is started beside the original, a
    /// checkpoint whose peer is gone, another network. What it had written and the peer has not acknowledged is given up,
    /// which a loss names. `ECONNRESET` tells the application the truth; with `None` it reads the end of the stream, and
    /// may take what it has for the whole. A socket that was never connected stays as it is.
    ///
    /// Where the address is not on the new host, the socket has a loopback address.
    #[must_use]
    #[doc(alias = "tcp-close")]
    pub fn into_ended(mut self, error: Option<PendingError>) -> Self {
        if !self.endpoints.has_remote() {
            return self;
        }
        if self.state != TcpState::Close {
            let given_up = self.send.bytes.len();
            let detail = format!(
                "the connection, {}, was given up; {given_up} bytes of it were not acknowledged",
                self.state
            );
            self.unsaved.push(Loss::new(Lost::State, detail));
        }
        self.state = TcpState::Close;
        self.send = SendQueue::default();
        self.window = None;
        self.shutdown_read = false;
        self.pending_error = error;
        self
    }
}
