//! From CRIU's images to a snapshot.

use crate::buffers::Buffers;
use crate::criu::error::STREAM;
use crate::criu::messages::{InetSkEntry, SkOptsEntry, TcpStreamEntry};
use crate::criu::{CriuError, Images, TcpStreamImage, addresses, sockopts};
use crate::endpoints::Endpoints;
use crate::ingress::Filter;
use crate::link;
use crate::losses::{Loss, Lost};
use crate::options::{Options, Timestamps, WindowScale};
use crate::queue::{ReceiveQueue, SendQueue};
use crate::raw::{
    TCPI_OPT_ECN, TCPI_OPT_SACK, TCPI_OPT_TIMESTAMPS, TCPI_OPT_USEC_TS, TCPI_OPT_WSCALE,
};
use crate::seq::Seq;
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::window::Window;

/// The bit of `sk_shutdown` for the reading side.
pub(super) const SHUTDOWN_READ: i32 = 1;

/// The flags of an open socket that need no restoring, or are restored: access mode, `O_NONBLOCK`.
const KNOWN_FLAGS: i32 = libc::O_ACCMODE | libc::O_NONBLOCK;

impl Snapshot {
    /// Makes a snapshot of what CRIU has dumped.
    ///
    /// It looks at the format and at what only CRIU's fields can have wrong. Whether the numbers can be those of a
    /// connection, [`lint`](Self::lint) and [`validate`](Self::validate) tell, which a restore asks first. What an image
    /// does not hold is as follows:
    /// - Where it has no window (kernels before 4.8), [`window`](Self::window) is `None`.
    /// - Where it does not say how much was never sent, everything counts as sent.
    /// - A FIN of ours counts as unsent exactly if data before it is: libsoccr does not tell.
    /// - Timestamps count microseconds exactly if the options say so, whatever bit 0 of their value is (guide A50,
    ///   G14).
    /// - [`pending_error`](Self::pending_error) and [`path`](Self::path) are those of a new snapshot.
    /// - A link-local address has no number of its link, but the name: [`link`](Self::link).
    ///
    /// What is in the images and not in the snapshot stands in [`unsaved`](Self::unsaved).
    ///
    /// # Errors
    /// [`CriuError::Refused`] with CRIU's name of the field, [`CriuError::Missing`], [`CriuError::NoStream`].
    pub fn from_criu(images: &Images) -> Result<Self, CriuError> {
        let socket = images.socket.message();
        require("type", socket.kind, libc::SOCK_STREAM, "SOCK_STREAM (1)")?;
        require("proto", socket.proto, libc::IPPROTO_TCP, "IPPROTO_TCP (6)")?;
        let state = narrow("state", socket.state).map(TcpState::from_kernel)?;
        let state = state.ok_or_else(|| {
            CriuError::refused(
                "state",
                socket.state,
                "must be the number of a state of TCP",
            )
        })?;
        let endpoints = addresses::read(socket)?;
        let stream = images.stream.as_ref();
        if stream.is_none() && (endpoints.has_remote() || state.is_synchronized()) {
            return Err(CriuError::NoStream {
                name: images.stream_name(),
            });
        }
        let message = stream.map(|stream| stream.entry().message());
        let mut socket_options = sockopts::read(socket, message, endpoints.family())?;
        let mut snapshot = Self {
            state,
            link: link::take(&endpoints, &mut socket_options),
            shutdown_read: shutdown_read(socket, state, &endpoints),
            buffers: buffers(&socket.opts)?,
            reuse_address: socket.opts.reuseaddr.unwrap_or(false),
            nonblocking: socket.flags & libc::O_NONBLOCK as u32 != 0,
            socket_options,
            filter: Filter {
                program: socket
                    .opts
                    .so_filter
                    .iter()
                    .copied()
                    .map(sockopts::instruction)
                    .collect(),
                locked: false,
            },
            unsaved: losses(images),
            ..Self::new(endpoints)
        };
        if let Some(stream) = stream {
            snapshot.read_stream(stream)?;
        }
        Ok(snapshot)
    }

    fn read_stream(&mut self, stream: &TcpStreamImage) -> Result<(), CriuError> {
        let numbers = stream.entry().message();
        let state = self.state;
        let unsent = numbers.unsq_len.unwrap_or(0);
        if unsent > numbers.outq_len {
            let rule = format!("must be at most outq_len, {}", numbers.outq_len);
            return Err(CriuError::refused("unsq_len", unsent, rule));
        }
        self.options = options(numbers)?;
        self.window = window(numbers)?.filter(|_| state.is_synchronized());
        self.receive = ReceiveQueue {
            end: Seq(numbers.inq_seq).back(u32::from(state.has_peer_fin())),
            bytes: stream.receive().to_vec(),
        };
        self.send = SendQueue {
            end: Seq(numbers.outq_seq).back(u32::from(state.has_own_fin())),
            bytes: stream.send().to_vec(),
            unsent,
            fin_unsent: state.owes_fin() && unsent > 0,
        };
        Ok(())
    }
}

fn require(field: &'static str, found: u32, wanted: i32, name: &str) -> Result<(), CriuError> {
    match found == wanted.unsigned_abs() {
        true => Ok(()),
        false => Err(CriuError::refused(field, found, format!("must be {name}"))),
    }
}

fn narrow<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, CriuError> {
    let rule = format!("must fit into {} bits", 8 * size_of::<T>());
    T::try_from(value).map_err(|_| CriuError::refused(field, value, rule))
}

fn options(numbers: &TcpStreamEntry) -> Result<Options, CriuError> {
    let negotiated = |bit: u8| numbers.opt_mask & u32::from(bit) != 0;
    let present = |field, value: Option<u32>| {
        value.ok_or(CriuError::Missing {
            message: STREAM,
            field,
        })
    };
    let mut options = Options {
        mss_clamp: narrow("mss_clamp", numbers.mss_clamp)?,
        sack: negotiated(TCPI_OPT_SACK),
        ..Options::default()
    };
    if negotiated(TCPI_OPT_WSCALE) {
        options.window_scale = Some(WindowScale {
            snd: narrow("snd_wscale", numbers.snd_wscale)?,
            rcv: narrow("rcv_wscale", present("rcv_wscale", numbers.rcv_wscale)?)?,
        });
    }
    if negotiated(TCPI_OPT_TIMESTAMPS) {
        options.timestamps = Some(Timestamps {
            value: present("timestamp", numbers.timestamp)?,
            microseconds: negotiated(TCPI_OPT_USEC_TS),
        });
    }
    Ok(options)
}

/// All five values or none. CRIU looks at `snd_wnd` alone, and takes the others for zeros.
fn window(numbers: &TcpStreamEntry) -> Result<Option<Window>, CriuError> {
    let Some(snd_wnd) = numbers.snd_wnd else {
        return Ok(None);
    };
    let present = |field, value: Option<u32>| {
        value.ok_or(CriuError::Missing {
            message: STREAM,
            field,
        })
    };
    Ok(Some(Window {
        snd_wl1: Seq(present("snd_wl1", numbers.snd_wl1)?),
        snd_wnd,
        max_window: present("max_window", numbers.max_window)?,
        rcv_wnd: present("rcv_wnd", numbers.rcv_wnd)?,
        rcv_wup: Seq(present("rcv_wup", numbers.rcv_wup)?),
    }))
}

fn buffers(opts: &SkOptsEntry) -> Result<Buffers, CriuError> {
    Ok(Buffers {
        send: opts.so_sndbuf,
        receive: opts.so_rcvbuf,
        locks: opts
            .so_buf_lock
            .map(|locks| narrow("so_buf_lock", locks))
            .transpose()?,
    })
}

/// Whether the application has shut its reading side. CRIU writes what the kernel has, a FIN of the peer and the end of
/// the connection counted.
fn shutdown_read(socket: &InetSkEntry, state: TcpState, endpoints: &Endpoints) -> bool {
    let ended = state.has_peer_fin() || (state == TcpState::Close && endpoints.has_remote());
    !ended && socket.shutdown.unwrap_or(0) & SHUTDOWN_READ != 0
}

/// What is in the images, and has no place in a snapshot.
fn losses(images: &Images) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut lose = |what, detail: String| losses.push(Loss::new(what, detail));
    let socket = images.socket.message();
    let stream = images.stream.as_ref().map(TcpStreamImage::entry);
    if stream.is_some_and(|it| it.message().opt_mask & u32::from(TCPI_OPT_ECN) != 0) {
        let detail = "negotiated, and not used after a restore";
        lose(Lost::Ecn, detail.to_owned());
    }
    let ip = socket.ip_opts.as_ref();
    for (name, is_set) in [
        ("SO_PASSCRED", socket.opts.so_passcred == Some(true)),
        ("SO_PASSSEC", socket.opts.so_passsec == Some(true)),
        (
            "an option of raw sockets",
            ip.is_some_and(|ip| ip.raw.is_some()),
        ),
    ] {
        if is_set {
            let detail = format!("{name} is set, which means nothing to TCP");
            lose(Lost::SocketOption, detail);
        }
    }
    if socket.fown.pid != 0 {
        let detail = format!("F_SETOWN: signals go to {}", socket.fown.pid);
        lose(Lost::SocketOption, detail);
    }
    let flags = socket.flags & !KNOWN_FLAGS.unsigned_abs();
    if flags != 0 {
        lose(Lost::SocketOption, format!("F_SETFL: the flags {flags:#o}"));
    }
    let unknown = [
        images.socket.unknown(),
        stream.map_or(&[], |it| it.unknown()),
    ]
    .concat();
    if !unknown.is_empty() {
        let detail = format!(
            "an image of a newer CRIU, with fields that this version does not know: {}",
            unknown.join(", ")
        );
        lose(Lost::SocketOption, detail);
    }
    losses
}
