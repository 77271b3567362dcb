//! The records: which there are, and which fields each has, in their order.
//!
//! A new field goes to the end of its record, and is read only where the record has something left; a reader that has
//! to know a new thing gets a new record for it.

use super::error::ImageError;
use super::fields::{Fields, Writer};
use crate::buffers::Buffers;
use crate::endpoints::Endpoints;
use crate::ingress::{Filter, Instruction};
use crate::losses::{Loss, Lost};
use crate::options::{Options, Timestamps, WindowScale};
use crate::path::Path;
use crate::queue::{ReceiveQueue, SendQueue};
use crate::seq::Seq;
use crate::snapshot::PendingError;
use crate::state::TcpState;
use crate::window::Window;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A part of a snapshot that is a record of an image.
pub(super) trait Record: Sized {
    /// Its number, which never changes.
    const TAG: u16;
    /// Whether a connection that is restored without it is not the one that was saved.
    const REQUIRED: bool = true;
    /// Its name, for errors.
    const NAME: &'static str;

    fn write(&self, to: &mut Writer);
    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError>;
}

impl Record for TcpState {
    const TAG: u16 = 1;
    const NAME: &'static str = "state";

    fn write(&self, to: &mut Writer) {
        // The kernel's number, which the type is declared with.
        to.u8(*self as u8);
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        let rule = "must be a state that the kernel numbers 1 to 11";
        // The kernel has two numbers for one of them.
        let state = |number| Self::from_kernel(number).filter(|state| *state as u8 == number);
        from.checked("state", rule, Fields::u8, state)
    }
}

impl Record for Endpoints {
    const TAG: u16 = 2;
    const NAME: &'static str = "endpoints";

    fn write(&self, to: &mut Writer) {
        write_address(to, self.local);
        write_address(to, self.remote);
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            local: read_address(from, "endpoints.local")?,
            remote: read_address(from, "endpoints.remote")?,
        })
    }
}

fn write_address(to: &mut Writer, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            to.u8(4);
            to.u16(v4.port());
            to.raw(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            to.u8(6);
            to.u16(v6.port());
            to.raw(&v6.ip().octets());
            // In memory it is in network byte order already, as the kernel has it.
            to.raw(&v6.flowinfo().to_ne_bytes());
            to.u32(v6.scope_id());
        }
    }
}

fn read_address(from: &mut Fields<'_>, name: &'static str) -> Result<SocketAddr, ImageError> {
    let known = |family| [4, 6].contains(&family).then_some(family);
    let family = from.checked(name, "must be of family 4 or 6", Fields::u8, known)?;
    let port = from.u16(name)?;
    Ok(match family {
        4 => SocketAddr::new(IpAddr::V4(Ipv4Addr::from(from.array(name)?)), port),
        _ => {
            let ip = Ipv6Addr::from(from.array::<16>(name)?);
            let flowinfo = u32::from_ne_bytes(from.array(name)?);
            SocketAddrV6::new(ip, port, flowinfo, from.u32(name)?).into()
        }
    })
}

impl Record for Options {
    const TAG: u16 = 3;
    const NAME: &'static str = "options";

    fn write(&self, to: &mut Writer) {
        let Self {
            mss_clamp,
            window_scale,
            sack,
            timestamps,
        } = *self;
        to.u16(mss_clamp);
        to.option(window_scale, |to, WindowScale { snd, rcv }| {
            to.u8(snd);
            to.u8(rcv);
        });
        to.bool(sack);
        to.option(timestamps, |to, clock| {
            let Timestamps {
                value,
                microseconds,
            } = clock;
            to.u32(value);
            to.bool(microseconds);
        });
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            mss_clamp: from.u16("options.mss_clamp")?,
            window_scale: from.option("options.window_scale", |from| {
                Ok(WindowScale {
                    snd: from.u8("options.window_scale.snd")?,
                    rcv: from.u8("options.window_scale.rcv")?,
                })
            })?,
            sack: from.bool("options.sack")?,
            timestamps: from.option("options.timestamps", |from| {
                Ok(Timestamps {
                    value: from.u32("options.timestamps.value")?,
                    microseconds: from.bool("options.timestamps.microseconds")?,
                })
            })?,
        })
    }
}

impl Record for Window {
    const TAG: u16 = 4;
    const NAME: &'static str = "window";

    fn write(&self, to: &mut Writer) {
        let Self {
            snd_wl1,
            snd_wnd,
            max_window,
            rcv_wnd,
            rcv_wup,
        } = *self;
        for number in [snd_wl1.0, snd_wnd, max_window, rcv_wnd, rcv_wup.0] {
            to.u32(number);
        }
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            snd_wl1: Seq(from.u32("window.snd_wl1")?),
            snd_wnd: from.u32("window.snd_wnd")?,
            max_window: from.u32("window.max_window")?,
            rcv_wnd: from.u32("window.rcv_wnd")?,
            rcv_wup: Seq(from.u32("window.rcv_wup")?),
        })
    }
}

impl Record for ReceiveQueue {
    const TAG: u16 = 5;
    const NAME: &'static str = "receive";

    fn write(&self, to: &mut Writer) {
        let Self { end, bytes } = self;
        to.u32(end.0);
        to.bytes(bytes);
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            end: Seq(from.u32("receive.end")?),
            bytes: from.bytes("receive.bytes")?.to_vec(),
        })
    }
}

impl Record for SendQueue {
    const TAG: u16 = 6;
    const NAME: &'static str = "send";

    fn write(&self, to: &mut Writer) {
        let Self {
            end,
            bytes,
            unsent,
            fin_unsent,
        } = self;
        to.u32(end.0);
        to.u32(*unsent);
        to.bool(*fin_unsent);
        to.bytes(bytes);
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            end: Seq(from.u32("send.end")?),
            unsent: from.u32("send.unsent")?,
            fin_unsent: from.bool("send.fin_unsent")?,
            bytes: from.bytes("send.bytes")?.to_vec(),
        })
    }
}

impl Record for Buffers {
    const TAG: u16 = 7;
    const NAME: &'static str = "buffers";

    fn write(&self, to: &mut Writer) {
        let Self {
            send,
            receive,
            locks,
        } = *self;
        to.u32(send);
        to.u32(receive);
        to.option(locks, Writer::u8);
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            send: from.u32("buffers.send")?,
            receive: from.u32("buffers.receive")?,
            locks: from.option("buffers.locks", |from| from.u8("buffers.locks"))?,
        })
    }
}

/// What an application has done to its socket, as far as it is no option.
pub(super) struct Application {
    pub(super) shutdown_read: bool,
    pub(super) reuse_address: bool,
    pub(super) nonblocking: bool,
}

impl Record for Application {
    const TAG: u16 = 8;
    const NAME: &'static str = "application";

    fn write(&self, to: &mut Writer) {
        let Self {
            shutdown_read,
            reuse_address,
            nonblocking,
        } = *self;
        for flag in [shutdown_read, reuse_address, nonblocking] {
            to.bool(flag);
        }
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            shutdown_read: from.bool("shutdown_read")?,
            reuse_address: from.bool("reuse_address")?,
            nonblocking: from.bool("nonblocking")?,
        })
    }
}

impl Record for PendingError {
    const TAG: u16 = 9;
    const NAME: &'static str = "pending_error";

    fn write(&self, to: &mut Writer) {
        let errno = match *self {
            Self::Errno(errno) => Some(errno),
            Self::Untaken => None,
        };
        to.option(errno, |to, errno| to.raw(&errno.to_le_bytes()));
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        let errno = from.option("pending_error", |from| from.array("pending_error"))?;
        Ok(errno.map_or(Self::Untaken, |errno| {
            Self::Errno(i32::from_le_bytes(errno))
        }))
    }
}

impl Record for Filter {
    const TAG: u16 = 11;
    const NAME: &'static str = "filter";

    fn write(&self, to: &mut Writer) {
        let Self { program, locked } = self;
        to.bool(*locked);
        to.list(program, |to, &Instruction { code, jt, jf, k }| {
            to.u16(code);
            to.u8(jt);
            to.u8(jf);
            to.u32(k);
        });
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        const SIZE: usize = size_of::<Instruction>();
        Ok(Self {
            locked: from.bool("filter.locked")?,
            program: from.list("filter.program", SIZE, |from| {
                Ok(Instruction {
                    code: from.u16("filter.program.code")?,
                    jt: from.u8("filter.program.jt")?,
                    jf: from.u8("filter.program.jf")?,
                    k: from.u32("filter.program.k")?,
                })
            })?,
        })
    }
}

impl Record for Path {
    const TAG: u16 = 12;
    const REQUIRED: bool = false;
    const NAME: &'static str = "path";

    fn write(&self, to: &mut Writer) {
        let Self {
            rtt,
            rttvar,
            rto,
            cwnd,
            ssthresh,
            mtu,
        } = *self;
        for number in [rtt, rttvar, rto, cwnd, ssthresh, mtu] {
            to.u32(number);
        }
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        Ok(Self {
            rtt: from.u32("path.rtt")?,
            rttvar: from.u32("path.rttvar")?,
            rto: from.u32("path.rto")?,
            cwnd: from.u32("path.cwnd")?,
            ssthresh: from.u32("path.ssthresh")?,
            mtu: from.u32("path.mtu")?,
        })
    }
}

/// What the save could not read.
impl Record for Vec<Loss> {
    const TAG: u16 = 13;
    const REQUIRED: bool = false;
    const NAME: &'static str = "unsaved";

    fn write(&self, to: &mut Writer) {
        to.list(self, |to, Loss { what, detail }| {
            // The numbers that the type is declared with are those of images.
            to.u16(*what as u16);
            to.bytes(detail.as_bytes());
        });
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        const LEAST: usize = size_of::<u16>() + size_of::<u64>();
        from.list("unsaved", LEAST, |from| {
            let number = from.u16("unsaved.what")?;
            let detail = from.text("unsaved.detail")?;
            Ok(match Lost::from_number(number) {
                Some(what) => Loss::new(what, detail),
                None => Loss::new(Lost::Unknown, format!("loss {number}: {detail}")),
            })
        })
    }
}

/// The name of the link of link-local addresses.
pub(super) struct Link(pub(super) String);

impl Record for Link {
    const TAG: u16 = 14;
    const REQUIRED: bool = false;
    const NAME: &'static str = "link";

    fn write(&self, to: &mut Writer) {
        to.bytes(self.0.as_bytes());
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        from.text("link").map(|name| Self(name.to_owned()))
    }
}
