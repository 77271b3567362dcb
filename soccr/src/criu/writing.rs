//! From a snapshot to CRIU's images.

use crate::criu::entry::Entry;
use crate::criu::messages::{InetSkEntry, SkOptsEntry, TcpStreamEntry};
use crate::criu::reading::SHUTDOWN_READ;
use crate::criu::{CriuError, Images, TcpStreamImage, addresses, sockopts};
use crate::link;
use crate::losses::{Loss, Lost};
use crate::options::Timestamps;
use crate::path::Path;
use crate::raw::{Opt, TCPI_OPT_ECN};
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use std::net::SocketAddr;

/// The bit of `sk_shutdown` for the writing side.
const SHUTDOWN_WRITE: i32 = 2;

/// The numbers by which CRIU's images name a socket. A snapshot has none; they are the caller's to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// The number of the file, to which descriptors (`fdinfo-N.img`) refer.
    pub id: u32,
    /// The inode of the socket, which is in the name of the file with its queues.
    pub ino: u32,
    /// The network namespace, a number within the images; `None` for the only one.
    pub ns_id: Option<u32>,
}

impl Snapshot {
    /// Writes what CRIU would have dumped; returns with it what its images cannot hold.
    ///
    /// A clock of timestamps is written as the kernel wants it back, up to one unit ahead: CRIU passes the value
    /// through, and an odd one would turn microseconds on (guide A50, G14). Options go to where older and newer
    /// versions look.
    ///
    /// # Errors
    /// [`CriuError::Snapshot`] where the snapshot is not [valid](Self::validate).
    pub fn to_criu(&self, id: SocketId) -> Result<(Images, Vec<Loss>), CriuError> {
        self.validate().map_err(CriuError::Snapshot)?;
        let mut socket = self.socket_entry(id);
        let mut stream = self.stream_entry();
        let family = self.endpoints.family();
        let mut losses = self.not_in_criu();
        losses.extend(sockopts::write(
            &self.socket_options,
            family,
            &mut socket,
            &mut stream,
        ));
        if let Some(link) = link::named(self) {
            socket.opts.so_bound_dev = Some(link.as_bytes().to_vec());
        }
        if addresses::needs_device(self.endpoints.local) {
            socket.ifname = socket.opts.so_bound_dev.clone();
        }
        // CRIU writes, and looks for, the numbers of what has a remote address.
        let stream = self
            .endpoints
            .has_remote()
            .then(|| {
                TcpStreamImage::new(stream, self.receive.bytes.clone(), self.send.bytes.clone())
            })
            .transpose()?;
        let socket = Entry::new(socket);
        Ok((Images { socket, stream }, losses))
    }

    fn socket_entry(&self, id: SocketId) -> InetSkEntry {
        let nonblocking = match self.nonblocking {
            true => libc::O_NONBLOCK,
            false => 0,
        };
        let mut entry = InetSkEntry {
            id: id.id,
            ino: id.ino,
            kind: libc::SOCK_STREAM.unsigned_abs(),
            proto: libc::IPPROTO_TCP.unsigned_abs(),
            state: self.state as u32,
            flags: (libc::O_RDWR | nonblocking).unsigned_abs(),
            opts: SkOptsEntry {
                so_sndbuf: self.buffers.send,
                so_rcvbuf: self.buffers.receive,
                so_buf_lock: self.buffers.locks.map(u32::from),
                reuseaddr: Some(self.reuse_address),
                so_filter: self.filter.program.iter().map(sockopts::word).collect(),
                ..SkOptsEntry::default()
            },
            ns_id: id.ns_id,
            shutdown: self.shutdown(),
            ..InetSkEntry::default()
        };
        addresses::write(&self.endpoints, &mut entry);
        entry
    }

    /// The sides that are shut, as the kernel has it: by the application, a FIN or the end of the connection.
    fn shutdown(&self) -> Option<i32> {
        let over = self.state == TcpState::Close && self.endpoints.has_remote();
        let read = self.shutdown_read || self.state.has_peer_fin() || over;
        let bits = [
            (read, SHUTDOWN_READ),
            (self.state.has_own_fin(), SHUTDOWN_WRITE),
        ];
        let set = bits.iter().filter(|(is_set, _)| *is_set);
        Some(set.map(|(_, bit)| bit).sum()).filter(|bits| *bits != 0)
    }

    fn stream_entry(&self) -> TcpStreamEntry {
        let window = self.window;
        let scale = self.options.window_scale;
        TcpStreamEntry {
            inq_seq: self.rcv_nxt().0,
            outq_seq: self.write_seq().0,
            unsq_len: Some(self.send.unsent),
            opt_mask: u32::from(self.options.mask()) | self.ecn(),
            snd_wscale: scale.map_or(0, |scale| scale.snd.into()),
            rcv_wscale: scale.map(|scale| scale.rcv.into()),
            mss_clamp: self.options.mss_clamp.into(),
            timestamp: self.options.timestamps.map(Timestamps::to_pass_on),
            snd_wl1: window.map(|window| window.snd_wl1.0),
            snd_wnd: window.map(|window| window.snd_wnd),
            max_window: window.map(|window| window.max_window),
            rcv_wnd: window.map(|window| window.rcv_wnd),
            rcv_wup: window.map(|window| window.rcv_wup.0),
            ..TcpStreamEntry::default()
        }
    }

    /// That ECN was negotiated, a snapshot knows as a loss only.
    fn ecn(&self) -> u32 {
        let lost = self.unsaved.iter().any(|loss| loss.what == Lost::Ecn);
        u32::from(lost) * u32::from(TCPI_OPT_ECN)
    }

    /// What has no place in CRIU's images, but for options.
    fn not_in_criu(&self) -> Vec<Loss> {
        let in_mask = |loss: &&Loss| loss.what == Lost::Ecn;
        let unsaved = self.unsaved.iter().filter(|loss| !in_mask(loss)).cloned();
        let mut losses: Vec<_> = unsaved.collect();
        let mut lose = |what, detail: String| losses.push(Loss::new(what, detail));
        if let Some(error) = self.pending_error {
            lose(
                Lost::PendingError,
                format!("{error} has no place in an image of CRIU"),
            );
        }
        if self.send.fin_unsent && self.send.unsent == 0 {
            let detail = "our FIN, which was never sent, comes back from an image of CRIU as one that was: it leaves \
                          when a timer ends, not at once";
            lose(Lost::State, detail.to_owned());
        }
        if self.filter.locked {
            lose(
                Lost::SocketOption,
                "SO_LOCK_FILTER has no place in an image of CRIU".to_owned(),
            );
        }
        if self.path != Path::default() {
            let detail = "what was learned has no place in an image of CRIU";
            lose(Lost::Path, detail.to_owned());
        }
        let bound = |option: &crate::SocketOption| option.option == Opt::SO_BINDTODEVICE;
        let named = link::named(self).is_some() || self.socket_options.iter().any(bound);
        if scope(self.endpoints.local) != 0 && !named {
            let detail = format!(
                "the scope of {} has no name in the snapshot, and an image of CRIU wants one",
                self.endpoints.local
            );
            lose(Lost::SocketOption, detail);
        }
        for (name, size) in [
            ("SO_SNDBUF", self.buffers.send),
            ("SO_RCVBUF", self.buffers.receive),
        ] {
            if size == 0 {
                let detail =
                    format!("{name} is not known: CRIU restores the smallest that the kernel has");
                lose(Lost::SocketOption, detail);
            }
        }
        losses
    }
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}
