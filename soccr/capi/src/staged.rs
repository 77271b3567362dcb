//! The staged interface: the caller binds and connects, and gives the queues when the connection is there.

use crate::border::{Failed, enter};
use crate::data::SkData;
use crate::fault::Fault;
use crate::handle::{Handle, SETTINGS, without_bytes};
use crate::memory::bytes_at;
use crate::{arguments, queue_bytes};
use soccr::raw::TCP_RECV_QUEUE;
use soccr::restore::{connected, create_from};
use soccr::{Buffers, Endpoints, Snapshot, TcpState};
use std::ffi::{c_char, c_int, c_uint};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

/// How far a staged restore has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stage: Stage,
    /// The sizes of the buffers before they were grown.
    buffers: Buffers,
    receive: Option<Vec<u8>>,
    send: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    None,
    /// The first step has failed half-way.
    Torn,
    /// Sequence numbers set.
    Unbound,
    /// Options and clock set.
    NoQueue,
    /// All of it.
    Complete,
}

impl Progress {
    /// Whether something was restored, and something is missing.
    pub(crate) fn is_half_way(&self) -> bool {
        matches!(self.stage, Stage::Torn | Stage::Unbound | Stage::NoQueue)
    }

    fn require(&self, stage: Stage, before: &str) -> Result<(), Fault> {
        match self.stage == stage {
            true => Ok(()),
            false => Err(Fault::argument(format!(
                "out of order: it comes after {before}"
            ))),
        }
    }
}

impl Handle {
    fn set_unbound(&mut self, data: &SkData) -> Result<(), Fault> {
        self.progress.require(Stage::None, "libsoccr_pause")?;
        let local = self.live_address(true)?;
        // Addresses that are known only once the caller has connected; any will do until then.
        let mut snapshot = starting(data, somewhere(local))?;
        if snapshot.state == TcpState::Close {
            let message = "a connection that is over cannot be restored by the staged interface";
            return Err(Fault::new(libc::EOPNOTSUPP, message));
        }
        self.remember(&mut snapshot);
        snapshot.keep_settings_of(&self.socket()?)?;
        self.progress.buffers = snapshot.buffers;
        let created = create_from(&snapshot, self.another()?)?;
        let paused = created.settings(SETTINGS).pause()?;
        // Half-way from here on, whatever becomes of it.
        self.progress.stage = Stage::Torn;
        let unbound = paused.unbound_data()?;
        match snapshot.state {
            // In repair mode the caller's connect would send nothing.
            TcpState::SynSent => unbound.outside_of_repair_mode()?,
            _ => drop(unbound),
        }
        self.progress.stage = Stage::Unbound;
        Ok(())
    }

    fn set_noq(&mut self, data: &SkData) -> Result<(), Fault> {
        self.progress
            .require(Stage::Unbound, "libsoccr_set_sk_data_unbound")?;
        let snapshot = starting(data, self.live_endpoints()?)?;
        drop(connected(&snapshot, self.another()?, SETTINGS)?.no_queue_data()?);
        self.progress.stage = Stage::NoQueue;
        Ok(())
    }

    fn set_all(&mut self, data: &SkData) -> Result<(), Fault> {
        self.progress
            .require(Stage::NoQueue, "libsoccr_set_sk_data_noq")?;
        without_bytes(data, self.live_endpoints()?)?;
        let receive = self.progress.receive.take().unwrap_or_default();
        let send = self.progress.send.take().unwrap_or_default();
        let mut snapshot = data.snapshot(self.live_endpoints()?, receive, send)?;
        self.remember(&mut snapshot);
        snapshot.keep_settings_of(&self.socket()?)?;
        snapshot.buffers = self.progress.buffers;
        let restored = connected(&snapshot, self.another()?, SETTINGS)?
            .no_queue_data()?
            .queue_bytes()?
            .remaining_data()?;
        self.finish(restored)?;
        self.progress.stage = Stage::Complete;
        Ok(())
    }

    /// The place for the bytes of a queue, and how many they are to be.
    fn queue_to_put(
        &mut self,
        number: c_int,
        data: &SkData,
    ) -> Result<(&mut Option<Vec<u8>>, u32), Fault> {
        self.progress
            .require(Stage::NoQueue, "libsoccr_set_sk_data_noq")?;
        // An unknown number is refused here.
        self.queue(number)?;
        without_bytes(data, self.live_endpoints()?)?;
        Ok(match number {
            TCP_RECV_QUEUE => (&mut self.progress.receive, data.inq_len),
            _ => (&mut self.progress.send, data.outq_len),
        })
    }

    fn live_endpoints(&self) -> Result<Endpoints, Fault> {
        Ok(Endpoints {
            local: self.live_address(true)?,
            remote: self.live_address(false)?,
        })
    }
}

/// The connection at the beginning of its queues, before they are filled. Its windows belong to their ends.
fn starting(data: &SkData, endpoints: Endpoints) -> Result<Snapshot, Fault> {
    let mut snapshot = without_bytes(data, endpoints)?;
    snapshot.receive.end = snapshot.receive.end.back(data.inq_len);
    snapshot.send.end = snapshot.send.end.back(data.outq_len);
    snapshot.window = None;
    Ok(snapshot)
}

/// Two addresses of the family of a socket, from those that are for documentation (RFC 5737, RFC 3849).
fn somewhere(like: SocketAddr) -> Endpoints {
    let at = |last: u8| match like.ip() {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::new(192, 0, 2, last)),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())),
    };
    Endpoints {
        local: SocketAddr::new(at(1), 1),
        remote: SocketAddr::new(at(2), 2),
    }
}

/// Saves a paused connection.
///
/// # Safety
/// As `soccr.h` has it: a handle of [`libsoccr_pause`](crate::libsoccr_pause) or null, and `data_size` bytes at `data`, or
/// null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_get_sk_data(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    // SAFETY: as the caller of this promises.
    unsafe { crate::save("libsoccr_get_sk_data", sk, data, data_size) }
}

/// The saved bytes of a queue.
///
/// # Safety
/// As [`libsoccr_get_sk_data`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_staged_get_queue_bytes(
    sk: *mut Handle,
    queue_id: c_int,
    steal: c_int,
) -> *mut c_char {
    enter("libsoccr_get_queue_bytes", ptr::null_mut(), || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { arguments::handle(sk, ptr::null_mut()) }?;
        queue_bytes(handle, queue_id, steal != 0)
    })
}

/// Restores what has to be there before the caller binds and connects.
///
/// # Safety
/// As [`libsoccr_get_sk_data`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_sk_data_unbound(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    // SAFETY: as the caller of this promises.
    unsafe {
        step(
            "libsoccr_set_sk_data_unbound",
            sk,
            data,
            data_size,
            Handle::set_unbound,
        )
    }
}

/// Restores what has to be there before the queues.
///
/// # Safety
/// As [`libsoccr_get_sk_data`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_sk_data_noq(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    // SAFETY: as the caller of this promises.
    unsafe {
        step(
            "libsoccr_set_sk_data_noq",
            sk,
            data,
            data_size,
            Handle::set_noq,
        )
    }
}

/// Takes a copy of the bytes of a queue.
///
/// # Safety
/// As [`libsoccr_get_sk_data`]; at `buf` there are as many bytes as the data say, or it is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_staged_set_queue_bytes(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
    queue: c_int,
    buf: *mut c_char,
) -> c_int {
    let work = |handle: &mut Handle, data: &SkData| {
        let (place, length) = handle.queue_to_put(queue, data)?;
        *place = Some(match (buf.is_null(), length) {
            (_, 0) => Vec::new(),
            (true, length) => {
                let message = format!("no bytes, where the data say {length}");
                return Err(Fault::argument(message));
            }
            // SAFETY: as the caller of this promises.
            (false, length) => unsafe { bytes_at(buf, length) }?,
        });
        Ok(())
    };
    // SAFETY: as the caller of this promises.
    unsafe { step("libsoccr_set_queue_bytes", sk, data, data_size, work) }
}

/// Restores all that is left.
///
/// # Safety
/// As [`libsoccr_get_sk_data`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_sk_data(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    // SAFETY: as the caller of this promises.
    unsafe { step("libsoccr_set_sk_data", sk, data, data_size, Handle::set_all) }
}

/// A step of a restore: 0, or -1.
///
/// # Safety
/// As [`libsoccr_get_sk_data`].
unsafe fn step(
    name: &str,
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
    work: impl FnOnce(&mut Handle, &SkData) -> Result<(), Fault>,
) -> c_int {
    enter(name, -1, || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { arguments::handle(sk, -1) }?;
        // SAFETY: as the caller of this promises.
        let data = unsafe { arguments::data(data, data_size, -1) }?;
        work(handle, &data).map_err(|fault| Failed::new(-1, fault))?;
        Ok(0)
    })
}
