//! The images of CRIU: one connection of a checkpointed process, read and written.
//!
//! CRIU keeps a TCP connection in two files: its socket with addresses, state and options stands among the sockets of
//! `files.img` ([`FilesImage`]; older versions: `inetsk.img`, [`InetSkImage`]), its numbers and queues in a file of its
//! own, `tcp-stream-INO.img` ([`TcpStreamImage`]). Both together are [`Images`], and become a [`Snapshot`] and back.
//!
//! ```no_run
//! use soccr::Snapshot;
//! use soccr::criu::{FilesImage, Images, SocketId, TcpStreamImage};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // From CRIU …
//! let files = FilesImage::from_bytes(&std::fs::read("files.img")?)?;
//! for socket in files.sockets() {
//!     let mut images = Images { socket, stream: None };
//!     if let Ok(bytes) = std::fs::read(images.stream_name()) {
//!         images.stream = Some(TcpStreamImage::from_bytes(&bytes)?);
//!     }
//!     let snapshot = Snapshot::from_criu(&images)?;
//!     // … and to it.
//!     let id = SocketId { id: 1, ino: 0x4711, ns_id: None };
//!     let (images, losses) = snapshot.to_criu(id)?;
//! }
//! # Ok(()) }
//! ```
//!
//! An image that was read is written as the same bytes, also where a newer CRIU has put into it what this version does
//! not know ([`Entry`]). Not trusted is what it says: lengths, shifts, addresses and states are checked, and refused
//! with the field's name and value ([`CriuError`]).
//!
//! The messages are written by hand for [`prost`]: no `protoc` is needed. Their fields are facts from CRIU 4.2
//! (`images/*.proto`, `criu/include/magic.h`); what the numbers mean is what its `soccr/soccr.c`, `criu/sk-tcp.c` and
//! `criu/sk-inet.c` do with them.

mod addresses;
mod container;
mod entry;
mod error;
mod layouts;
mod messages;
mod reading;
mod sockopts;
mod tcp_stream;
mod wire;
mod writing;

pub use container::{FilesImage, Format, Image, InetSkImage};
pub use entry::{Entry, Record};
pub use error::CriuError;
pub use messages::{
    FileEntry, FownEntry, InetSkEntry, IpOptsEntry, SkOptsEntry, TcpOptsEntry, TcpStreamEntry,
};
pub use tcp_stream::TcpStreamImage;
pub use writing::SocketId;

#[cfg(doc)]
use crate::snapshot::Snapshot;

/// What CRIU keeps of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Images {
    /// The socket: addresses, state, options.
    pub socket: Entry<InetSkEntry>,
    /// Numbers and queues. A socket that was never connected has none.
    pub stream: Option<TcpStreamImage>,
}

impl Images {
    /// The name of the file that holds numbers and queues: the socket's inode is in it.
    #[must_use]
    pub fn stream_name(&self) -> String {
        format!("tcp-stream-{:x}.img", self.socket.message().ino)
    }

    /// A `files.img` of this one socket.
    #[must_use]
    pub fn files(&self) -> FilesImage {
        let file = FileEntry::from(self.socket.message().clone());
        FilesImage {
            entries: vec![Entry::new(file)],
            ..FilesImage::default()
        }
    }

    /// An `inetsk.img` of this one socket.
    #[must_use]
    pub fn inetsk(&self) -> InetSkImage {
        InetSkImage {
            entries: vec![self.socket.clone()],
            ..InetSkImage::default()
        }
    }
}
