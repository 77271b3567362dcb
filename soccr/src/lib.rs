//! TCP connection checkpoint and restore for Linux.
//!
//! A live TCP connection is saved, its socket closed without a packet, and the connection restored in another
//! process, another network namespace or on another host. Its peer notices nothing: same sequence numbers, same
//! windows, same options, every byte in its place.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let stream = std::net::TcpStream::connect("192.0.2.1:80")?;
//! // Block the traffic of the connection first, and unblock it last; see the notes below.
//! let snapshot = soccr::save_and_close(stream)?;
//! // … move the snapshot, and the address, to where the connection shall live on …
//! let stream = snapshot.restore()?.resume()?;
//! # Ok(()) }
//! ```
//!
//! [`save()`] takes a snapshot and lets the connection run on; [`silent_close()`] ends it, and the peer is not told. A
//! snapshot travels as bytes: [`Snapshot::to_image`], [`Snapshot::from_image`]; many of them down one stream:
//! [`Snapshot::write_to`], [`Snapshot::read_from`].
//!
//! Below these calls lies a staged interface, [`pause`] and [`restore::create`], that mirrors the documented
//! steps of a checkpoint one for one and does not compile out of order; below that, [`raw`] makes the kernel's
//! calls with no policy at all.
//!
//! # What is carried
//! Connections in every state but LISTEN, SYN-RECEIVED and TIME-WAIT, over IPv4, IPv6 and v4-mapped IPv6: addresses
//! (link-local ones with the name of their link), sequence numbers, both queues with what was sent and what was not, FINs,
//! segment size, window scaling, SACK, timestamps, both windows, the sizes of the buffers, most options that the application has set, an error that waits
//! for it. What is seen not to come back is named: [`Snapshot::losses`], [`Restored::losses`]. What is not seen, such as
//! keys of TCP-MD5, stands in [`LIMITATIONS.md`](https://github.com/soccr/soccr/blob/HEAD/LIMITATIONS.md).
//!
//! # What it needs
//! - `CAP_NET_ADMIN` in the user namespace that owns the network namespace of the socket: real root, or an
//!   ordinary user in a user namespace of its own. Or none at all, and a process with it that does nothing but set
//!   `TCP_REPAIR`: [`helper`].
//! - **The traffic of the connection blocked.** Between the save and the resume, no packet of the connection may
//!   reach a host where its socket is missing: the kernel would answer with a RST. Neither may data arrive between
//!   a save and the close of the saved socket: it would be acknowledged and lost. Repair mode does not keep packets
//!   out; a firewall rule, a cgroup program or a closed link does. What goes out has to be
//!   blocked, too, for [`Held`], and before kernel 4.8.
//! - **The socket to itself.** From the pause to the resume, no other thread and no other process may use it: a read
//!   fails or returns bytes that the snapshot also holds, a write fails or lands in a queue as if it had been sent,
//!   and nobody else can tell. Stop the threads, or the process, that use it first.
//!
//! # Features
//! - `serde`: `Serialize` and `Deserialize` for [`Snapshot`] and what it is made of.
//! - `criu`: images of CRIU, read and written (module `criu`).
//! - `faults`: system calls that fail on purpose, and defects that are planted, for tests (module `faults`).
//!
//! # If something fails
//! After an error from a save the connection runs on as before, unless it is one from resuming ([`Step::Resume`]): then
//! the kernel has refused to put something back, or a [`helper`] has failed. After an error from a restore the half-built
//! socket is gone without a packet, but for the acknowledgement of a FIN that was put back, and the snapshot, which is
//! never changed, can be restored again. An [`Error`] names the step, the call and what to do.
//!
//! Numbers such as *guide A9* in the notes of this crate are those of the project's list of facts about TCP repair,
//! [`conformance/FACTS.md`](https://github.com/soccr/soccr/blob/HEAD/conformance/FACTS.md); the conformance suite has
//! cases for each.

#[cfg(not(target_os = "linux"))]
compile_error!("TCP_REPAIR is an interface of the Linux kernel");

mod adopt;
mod buffers;
mod closed;
#[cfg(feature = "criu")]
pub mod criu;
mod ended;
mod endpoints;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod filling;
mod fin;
mod finishing;
mod freebind;
mod held;
pub mod helper;
pub mod image;
mod ingress;
mod kind;
mod link;
mod lint;
mod losses;
mod many;
mod options;
mod path;
mod probe;
mod queue;
pub mod raw;
mod reading;
mod repair;
mod report;
mod rescue;
pub mod restore;
mod restored;
mod save;
mod segment;
mod seq;
mod settings;
mod shelter;
mod silent_close;
mod snapshot;
mod sockopts;
mod state;
mod switch;
mod sys;
mod wait;
mod window;

pub use buffers::Buffers;
pub use endpoints::{Endpoints, Family};
pub use error::{Error, ErrorKind, Refusal, Step, Unsupported};
pub use fin::MARK;
pub use held::Held;
pub use helper::{Helper, with_helper};
pub use ingress::{Filter, Instruction};
pub use lint::{Fate, Finding, Rule};
pub use losses::{Loss, Lost};
pub use many::{save_and_close_many, save_many};
pub use options::{MAX_WINDOW_SHIFT, Options, Timestamps, WindowScale};
pub use path::Path;
pub use probe::{Ability, Probe, Tried, Unavailable, probe};
pub use queue::{Queue, ReceiveQueue, SendQueue};
pub use report::PauseReport;
pub use rescue::Rescue;
pub use restored::Restored;
pub use save::{
    DataRead, NotSaved, Paused, Saved, pause, pause_into, pause_with, save, save_and_close,
    save_into,
};
pub use seq::Seq;
pub use settings::{FinMode, InFlight, SaveSettings, Settings};
pub use silent_close::{NotClosed, silent_close};
pub use snapshot::{PendingError, Snapshot};
pub use sockopts::SocketOption;
pub use state::TcpState;
pub use window::Window;
