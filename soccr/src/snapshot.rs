//! A saved connection.

use crate::buffers::Buffers;
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind, Refusal, Step, Unsupported};
use crate::options::Options;
use crate::queue::{ReceiveQueue, SendQueue};
use crate::state::TcpState;
use crate::window::Window;

/// A saved connection: plain data, as read, independent of any socket.
///
/// Restoring never changes it: the same snapshot can be restored twice. All numbers are in host byte order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[doc(alias = "libsoccr_sk_data")]
#[non_exhaustive]
pub struct Snapshot {
    /// The state; this version carries [`TcpState::Established`].
    pub state: TcpState,
    /// Both addresses.
    pub endpoints: Endpoints,
    /// What was negotiated in the handshake.
    pub options: Options,
    /// Both windows, or `None` where the kernel could not say (before 4.8).
    #[doc(alias = "SOCCR_FLAGS_WINDOW")]
    pub window: Option<Window>,
    /// Received and not read.
    pub receive: ReceiveQueue,
    /// Written and not acknowledged.
    pub send: SendQueue,
    /// The sizes of the socket's buffers.
    pub buffers: Buffers,
    /// Whether the application had set `SO_REUSEADDR`, which repair mode overwrites (guide A6, G13).
    pub reuse_address: bool,
}

impl Snapshot {
    /// An established connection with empty queues: a start for building a snapshot by hand or from an image.
    ///
    /// It does not validate until at least [`Options::mss_clamp`] is filled in.
    #[must_use]
    pub fn new(endpoints: Endpoints) -> Self {
        Self {
            state: TcpState::Established,
            endpoints,
            options: Options::default(),
            window: None,
            receive: ReceiveQueue::default(),
            send: SendQueue::default(),
            buffers: Buffers::default(),
            reuse_address: false,
        }
    }

    /// Checks that this can be a connection: lengths, shifts, addresses, windows against sequence numbers.
    ///
    /// [`restore`](Self::restore) does it first. A snapshot that comes from a socket is always valid; one that
    /// comes from a file or from a caller is not to be trusted (guide G9).
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] with the field, its value and the rule; [`ErrorKind::Unsupported`] for a state
    /// that this version does not restore.
    pub fn validate(&self) -> Result<(), Error> {
        if self.state != TcpState::Established {
            let unsupported = Unsupported::State(self.state);
            return Err(Error::new(
                Step::Validate,
                ErrorKind::Unsupported(unsupported),
            ));
        }
        self.check()
            .map_err(|refusal| Error::new(Step::Validate, ErrorKind::Refused(refusal)))
    }

    fn check(&self) -> Result<(), Refusal> {
        self.endpoints.validate()?;
        self.options.validate()?;
        self.receive.validate()?;
        self.send.validate()?;
        if let Some(window) = &self.window {
            window.validate(self.receive.end)?;
        }
        self.buffers.validate()
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use crate::options::{Timestamps, WindowScale};
    use crate::seq::Seq;

    #[test]
    fn what_was_written_as_json_is_read_back() {
        let mut snapshot = Snapshot::new(Endpoints {
            local: "[fe80::1%3]:80".parse().unwrap(),
            remote: "[fe80::2%3]:5000".parse().unwrap(),
        });
        snapshot.options.mss_clamp = 1440;
        snapshot.options.window_scale = Some(WindowScale { snd: 7, rcv: 9 });
        snapshot.options.timestamps = Some(Timestamps {
            value: u32::MAX,
            microseconds: true,
        });
        snapshot.window = Some(Window {
            snd_wl1: Seq(u32::MAX),
            ..Window::default()
        });
        snapshot.send.bytes = (0..=255).collect();
        snapshot.send.unsent = 3;
        snapshot.buffers.locks = Some(2);
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
        // Data from outside is not to be trusted: what is missing is not made up.
        let without = json.replacen("\"unsent\":3", "\"other\":3", 1);
        assert_ne!(without, json);
        assert!(serde_json::from_str::<Snapshot>(&without).is_err());
    }
}
