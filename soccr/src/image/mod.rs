//! A snapshot as bytes: an image, for a file or for a connection to another host.
//!
//! [`Snapshot::to_image`] writes one, [`Snapshot::from_image`] reads it. An image **holds application data in the
//! clear**: the bytes of both queues. Its checksum finds damage, not malice: whoever can write an image can write a
//! right checksum. Keep it, and send it, as you would keep and send what the connection carries.
//!
//! Many images go down one stream, one behind the other: [`Snapshot::write_to`], [`Snapshot::read_from`].
//!
//! Reading is safe whatever the bytes are: it ends with a snapshot or an [`ImageError`], and takes memory in proportion
//! to the image, at most some sixteen times as much, whatever lengths the image claims.
//!
//! # The format, version 1
//! All numbers are little-endian. `bool` is a byte, 0 or 1; `T?` is a `bool` and, where it is 1, a `T`; `bytes` is
//! their number, `u64`, and then they; `text` is `bytes` of UTF-8; `list of T` is their number, `u64`, and then each
//! `T`. Nothing is aligned, and there is no padding.
//!
//! | offset | field | |
//! |---|---|---|
//! | 0 | 10 bytes | [`MAGIC`]: `93 73 6f 63 63 72 0d 0a 1a 0a` |
//! | 10 | `u16` | [`VERSION`]: 1 |
//! | 12 | `u64` | length of the image, from its first byte to its last |
//! | 20 | records | in ascending order of their tags, each at most once |
//! | length - 4 | `u32` | CRC-32 (that of IEEE 802.3, of gzip and PNG) of everything before it |
//!
//! A record:
//!
//! | offset | field | |
//! |---|---|---|
//! | 0 | `u16` | tag |
//! | 2 | `u16` | flags: bit 0 [`REQUIRED`]; the others are 0 |
//! | 4 | `u64` | length of the value |
//! | 12 | value | its fields, one behind the other |
//!
//! The records of this version. A writer sets the required bit as the second column says; a reader that knows the
//! record does not look at it. A record whose third column says "always" is in every image; the absence of any other
//! means what that column says.
//!
//! | tag | required | without it | fields of the value |
//! |---|---|---|---|
//! | 1 state | yes | always | `u8`: [`TcpState`](crate::TcpState), the kernel's number, 1 to 11 |
//! | 2 endpoints | yes | always | local address, remote address |
//! | 3 options | yes | always | `u16` mss_clamp; window_scale: (`u8` snd, `u8` rcv)`?`; `bool` sack; timestamps: (`u32` value, `bool` microseconds)`?` |
//! | 4 window | yes | `None` | `u32` each: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup |
//! | 5 receive | yes | always | `u32` end; `bytes` |
//! | 6 send | yes | always | `u32` end; `u32` unsent; `bool` fin_unsent; `bytes` |
//! | 7 buffers | yes | always | `u32` send; `u32` receive; locks: `u8?` |
//! | 8 application | yes | always | `bool` each: shutdown_read, reuse_address, nonblocking |
//! | 9 pending_error | yes | `None` | errno: `i32?`; without it, [`PendingError::Untaken`](crate::PendingError::Untaken) |
//! | 10 socket_options | yes | none | list of: `text` name, `u8` width, `bytes` value |
//! | 11 filter | yes | none | `bool` locked; list of: `u16` code, `u8` jt, `u8` jf, `u32` k |
//! | 12 path | no | nothing known | `u32` each: rtt, rttvar, rto, cwnd, ssthresh, mtu |
//! | 13 unsaved | no | nothing | list of: `u16` [`Lost`](crate::Lost), its number; `text` detail |
//! | 14 link | no | `None` | `text` name |
//!
//! An address is `u8` family, 4 or 6; `u16` port; 4 or 16 bytes of IP address, in network byte order; of family 6 also
//! the 4 bytes of the flow information, in network byte order, and `u32` scope id. A v4-mapped address is of family 6.
//!
//! A socket option has the name that the kernel's headers give it, at most 64 bytes long: option numbers differ between
//! architectures. Its value is made of words of `width` bytes, 1, 4 or 8, each of them little-endian. The errno is that
//! of the architecture that saved.
//!
//! # What may change
//! Later writers of version 1 may add records, may append fields to records, and may name socket options and losses
//! that are new. They never change, reorder or remove a field, and never use a tag again. So
//! - an old reader skips a record that it does not know, unless it is required; skips what follows the fields that it
//!   knows in a record; and skips an option that it does not carry. What it skips is named in
//!   [`Snapshot::unsaved`]. It refuses a required record that it does not know.
//! - a new reader takes what an old image does not have as it was when there was no such thing: the record is not there,
//!   or ends before the field.
//! - what every reader has to know is a new record with the required bit, never an appended field.
//!
//! Anything else is a new version, which readers of this one refuse. There is no minor version: each record tells what
//! a reader has to know.

mod container;
mod error;
mod fields;
mod records;
mod sockopts;
mod stream;

pub use container::{MAGIC, REQUIRED, VERSION};
pub use error::ImageError;
pub use stream::StreamError;

use crate::faults;
use crate::ingress::Filter;
use crate::losses::Loss;
use crate::path::Path;
use crate::snapshot::Snapshot;
use container::{ImageWriter, Records};
use records::{Application, Link};
use sockopts::SocketOptions;

/// Room for everything but the queues, bytes: more is allocated where it is needed.
const USUAL: usize = 1024;

impl Snapshot {
    /// Writes the snapshot as an [image](crate::image), which [`from_image`](Self::from_image) reads.
    ///
    /// The bytes of both queues are in it, in the clear. The same snapshot is always the same image. A socket option
    /// that is not among those that are [carried](crate::SocketOption::named) is written, and comes back as a loss.
    #[must_use]
    pub fn to_image(&self) -> Vec<u8> {
        // A new field of a snapshot does not compile here: it needs a place in an image.
        let Self {
            state,
            endpoints,
            link,
            options,
            window,
            receive,
            send,
            shutdown_read,
            pending_error,
            buffers,
            reuse_address,
            nonblocking,
            socket_options,
            filter,
            path,
            unsaved,
        } = self;
        let application = Application {
            shutdown_read: *shutdown_read,
            reuse_address: *reuse_address,
            nonblocking: *nonblocking,
        };
        let set = (!socket_options.is_empty()).then(|| SocketOptions::of(socket_options));
        let mut image = ImageWriter::new(receive.bytes.len() + send.bytes.len() + USUAL);
        // In the order of their tags.
        image.record(state);
        image.record(endpoints);
        image.record(options);
        image.record_if_any(window.as_ref());
        image.record(receive);
        image.record(send);
        image.record(buffers);
        image.record(&application);
        image.record_if_any(pending_error.as_ref());
        image.record_if_any(set.as_ref());
        image.record_if_any(Some(filter).filter(|filter| **filter != Filter::default()));
        image.record_if_any(Some(path).filter(|path| **path != Path::default()));
        image.record_if_any(Some(unsaved).filter(|unsaved| !unsaved.is_empty()));
        image.record_if_any(link.clone().map(Link).as_ref());
        let mut bytes = image.finish();
        faults::imaged(&mut bytes);
        bytes
    }

    /// Reads an [image](crate::image).
    ///
    /// This checks the format, and not whether the snapshot can be a connection: that is [`validate`](Self::validate),
    /// which a restore does first. What the image has and this version does not know is in [`unsaved`](Self::unsaved).
    ///
    /// # Errors
    /// [`ImageError`]: what was read, where in the image, which value it has, and what to do.
    pub fn from_image(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut records = Records::open(bytes)?;
        // In the order of their tags.
        let state = records.expect()?;
        let endpoints = records.expect()?;
        let options = records.expect()?;
        let window = records.take()?;
        let receive = records.expect()?;
        let send = records.expect()?;
        let buffers = records.expect()?;
        let application: Application = records.expect()?;
        let pending_error = records.take()?;
        let options_set: SocketOptions = records.take()?.unwrap_or_default();
        let filter = records.take()?.unwrap_or_default();
        let path = records.take()?.unwrap_or_default();
        let mut unsaved: Vec<Loss> = records.take()?.unwrap_or_default();
        let link = records.take()?.map(|Link(name)| name);
        unsaved.extend(options_set.unknown);
        unsaved.extend(records.finish()?);
        Ok(Self {
            state,
            endpoints,
            link,
            options,
            window,
            receive,
            send,
            shutdown_read: application.shutdown_read,
            pending_error,
            buffers,
            reuse_address: application.reuse_address,
            nonblocking: application.nonblocking,
            socket_options: options_set.known,
            filter,
            path,
            unsaved,
        })
    }
}
