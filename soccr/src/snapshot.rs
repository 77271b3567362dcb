//! A saved connection.

use crate::buffers::Buffers;
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind, Step, Unsupported};
use crate::faults;
use crate::ingress::Filter;
use crate::lint::Fate;
use crate::losses::{Loss, Lost};
use crate::options::Options;
use crate::path::Path;
use crate::queue::{ReceiveQueue, SendQueue};
use crate::raw::Opt;
use crate::seq::Seq;
use crate::sockopts::SocketOption;
use crate::state::TcpState;
use crate::sys;
use crate::window::Window;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// A saved connection: plain data, as read, independent of any socket.
///
/// Restoring never changes it: the same snapshot can be restored twice. All numbers are in host byte order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[doc(alias = "libsoccr_sk_data")]
#[non_exhaustive]
pub struct Snapshot {
    /// The state.
    pub state: TcpState,
    /// Both addresses.
    pub endpoints: Endpoints,
    /// The name of the link that link-local addresses belong to; `None` where there is none, or no name of it.
    ///
    /// Their scope id is the number that the link had on the host that saved, and on another host it is another's. A restore
    /// goes by the name, and by the number only where there is no name. Change it where the link that leads to the peer has
    /// another name (guide C17).
    pub link: Option<String>,
    /// What was negotiated in the handshake, where there was one.
    pub options: Options,
    /// Both windows, or `None` where the kernel could not say (before 4.8).
    #[doc(alias = "SOCCR_FLAGS_WINDOW")]
    pub window: Option<Window>,
    /// Received and not read.
    pub receive: ReceiveQueue,
    /// Written and not acknowledged.
    pub send: SendQueue,
    /// Whether the application reads no more (`shutdown(SHUT_RD)`); not counted where the peer's FIN says the same.
    pub shutdown_read: bool,
    /// The error that waits for the application's next call (kernel `sk_err`).
    pub pending_error: Option<PendingError>,
    /// The sizes of the socket's buffers.
    pub buffers: Buffers,
    /// Whether the application had set `SO_REUSEADDR`, which repair mode overwrites (guide A6, G13).
    pub reuse_address: bool,
    /// Whether calls on the socket never wait (`O_NONBLOCK`).
    pub nonblocking: bool,
    /// What the application has set on the socket, as far as it is not as on a new one.
    pub socket_options: Vec<SocketOption>,
    /// The socket filter that the application has attached.
    pub filter: Filter,
    /// What the connection had learned of its path, for those who can steer a new one.
    pub path: Path,
    /// What the save could not read, or no restore can bring back; see [`losses`](Self::losses).
    pub unsaved: Vec<Loss>,
}

/// An error that waits for the application: a reset, a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PendingError {
    /// This `errno`.
    Errno(i32),
    /// One that was seen and left where it is: reading its number takes it away from the application (`SO_ERROR`), which
    /// a save does only if the socket is given up. It is restored as `ECONNRESET`.
    Untaken,
}

impl fmt::Display for PendingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "\"{}\"", io::Error::from_raw_os_error(*errno)),
            Self::Untaken => f.write_str("an error that was not looked at"),
        }
    }
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
            link: None,
            options: Options::default(),
            window: None,
            receive: ReceiveQueue::default(),
            send: SendQueue::default(),
            shutdown_read: false,
            pending_error: None,
            buffers: Buffers::default(),
            reuse_address: false,
            nonblocking: false,
            socket_options: Vec::new(),
            filter: Filter::default(),
            path: Path::default(),
            unsaved: Vec::new(),
        }
    }

    /// Takes the error that waits in a socket that is about to be closed, to know which it is.
    pub(crate) fn take_pending_error(&mut self, fd: BorrowedFd<'_>) {
        if self.pending_error != Some(PendingError::Untaken) {
            return;
        }
        // What cannot be read stays as it is: still an error, its number not known.
        if let Ok(errno) = sys::get_int(fd, Opt::SO_ERROR) {
            // Zero: it was a message in the error queue.
            self.pending_error = (errno > 0).then_some(PendingError::Errno(errno));
        }
    }

    /// The next sequence number expected from the peer, its FIN counted (kernel `rcv_nxt`).
    #[must_use]
    pub fn rcv_nxt(&self) -> Seq {
        self.receive.end + u32::from(self.state.has_peer_fin())
    }

    /// The sequence number after everything that was written, our FIN counted (kernel `write_seq`).
    #[must_use]
    pub fn write_seq(&self) -> Seq {
        self.send.end + u32::from(self.state.has_own_fin())
    }

    /// The oldest sequence number that the peer has not acknowledged (kernel `snd_una`).
    #[must_use]
    pub fn snd_una(&self) -> Seq {
        let fin_acknowledged = self.state.has_own_fin() && !self.state.owes_fin();
        self.send.start() + u32::from(fin_acknowledged)
    }

    /// What does not come back, wherever this is restored: each with its reason.
    ///
    /// What a particular restore loses beyond that, [`Restored::losses`](crate::Restored::losses) tells.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        let mut losses = self.unsaved.clone();
        if self.state.is_synchronized() {
            losses.push(Loss::new(
                Lost::Path,
                "congestion window, threshold, round-trip time and RTO start afresh",
            ));
            if self.options.timestamps.is_some() {
                losses.push(Loss::new(
                    Lost::PeerTimestamp,
                    "the first segments echo 0 instead of the peer's last timestamp",
                ));
            }
        }
        losses
    }

    /// Of nothing: to be overwritten.
    pub(crate) fn empty() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self::new(Endpoints {
            local: nowhere,
            remote: nowhere,
        })
    }

    /// Checks that this can be a connection: lengths, shifts, addresses, windows against sequence numbers.
    ///
    /// [`restore`](Self::restore) does it first. A snapshot that comes from a socket is always valid; one that
    /// comes from a file or from a caller is not to be trusted (guide G9). [`lint`](Self::lint) tells all that is wrong.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] with the field, its value and the rule; [`ErrorKind::Unsupported`] for a state
    /// that this version does not restore.
    pub fn validate(&self) -> Result<(), Error> {
        if !self.state.is_carried() {
            let unsupported = Unsupported::State(self.state);
            return faults::refused(Error::new(
                Step::Validate,
                ErrorKind::Unsupported(unsupported),
            ));
        }
        let refused = self.lint().into_iter().find(|it| it.fate == Fate::Refused);
        match refused {
            Some(finding) => faults::refused(Error::new(
                Step::Validate,
                ErrorKind::Refused(finding.into()),
            )),
            None => Ok(()),
        }
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
        snapshot.link = Some("eth0".to_owned());
        snapshot.send.bytes = (0..=255).collect();
        snapshot.send.unsent = 3;
        snapshot.buffers.locks = Some(2);
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
        // What was written before there were names of links is read.
        let without = json.replacen("\"link\":\"eth0\",", "", 1);
        assert_ne!(without, json);
        snapshot.link = None;
        assert_eq!(
            serde_json::from_str::<Snapshot>(&without).unwrap(),
            snapshot
        );
        // Data from outside is not to be trusted: what is missing is not made up.
        let without = json.replacen("\"unsent\":3", "\"other\":3", 1);
        assert_ne!(without, json);
        assert!(serde_json::from_str::<Snapshot>(&without).is_err());
    }
}
