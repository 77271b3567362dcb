//! `struct libsoccr_sk`: a paused socket, and what was read from it or given for it.

use crate::address::Address;
use crate::data::SkData;
use crate::fault::Fault;
use crate::log;
use crate::memory::{Bytes, Given, allocate};
use crate::staged::Progress;
use soccr::raw::{Opt, TCP_RECV_QUEUE, TCP_SEND_QUEUE, destination, local_address};
use soccr::{
    Endpoints, Error, ErrorKind, Family, FinMode, Held, Queue, Restored, SaveSettings, Settings,
    Snapshot, Step, Unsupported,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// How many bytes a queue can have: sequence numbers have no order further apart.
const LONGEST: u32 = (1 << 31) - 1;

/// A paused socket: `struct libsoccr_sk`.
#[doc(alias = "libsoccr_sk")]
pub struct Handle {
    fd: RawFd,
    file: File,
    held: Held,
    receive: Bytes,
    send: Bytes,
    /// Those that the caller has given: local, remote.
    given: [Option<Given<Address>>; 2],
    /// Those that were shown to the caller.
    shown: [Option<Given<Address>>; 2],
    /// Those of the saved connection.
    saved: Option<Endpoints>,
    /// Whether a part of a connection was restored, and the rest was not.
    torn: bool,
    pub(crate) progress: Progress,
}

/// Which file a descriptor leads to: a number can be another one's by now.
#[derive(Clone, Copy, PartialEq, Eq)]
struct File(libc::dev_t, libc::ino_t);

impl File {
    fn of(fd: RawFd) -> Result<Self, Fault> {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: the structure is valid for writes, and any number is allowed.
        let answer = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
        if answer == -1 {
            let doing = format!("looking at the descriptor {fd}");
            return Err(Fault::system(&doing, &io::Error::last_os_error()));
        }
        // SAFETY: zeros are a valid `stat`, and the kernel has written the rest.
        let stat = unsafe { stat.assume_init() };
        Ok(Self(stat.st_dev, stat.st_ino))
    }
}

impl Handle {
    /// Pauses a socket.
    pub(crate) fn pause(fd: RawFd) -> Result<Self, Fault> {
        let file = File::of(fd)?;
        // SAFETY: it is open, as was just seen, and nobody may close it before the handle ends, who keeps the contract.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        let held = Held::pause(&socket)?;
        log::debug(|| format!("paused the socket of descriptor {fd}"));
        Ok(Self {
            fd,
            file,
            held,
            receive: Bytes::default(),
            send: Bytes::default(),
            given: [None, None],
            shown: [None, None],
            saved: None,
            torn: false,
            progress: Progress::default(),
        })
    }

    /// The socket that was paused, if the descriptor still leads to it.
    pub(crate) fn socket(&self) -> Result<BorrowedFd<'_>, Fault> {
        if File::of(self.fd)? != self.file {
            let message = format!("descriptor {} is another file's by now", self.fd);
            return Err(Fault::new(libc::EBADF, message));
        }
        // SAFETY: it is open, as was just seen, and nobody may close it before the handle ends, who keeps the contract.
        Ok(unsafe { BorrowedFd::borrow_raw(self.fd) })
    }

    /// A descriptor of our own, for a restore that closes the one it has.
    pub(crate) fn another(&self) -> Result<OwnedFd, Fault> {
        let copy = self.socket()?.try_clone_to_owned();
        copy.map_err(|error| Fault::system("fcntl(F_DUPFD_CLOEXEC)", &error))
    }

    /// Resumes the socket, unless only a part of a connection was restored into it.
    pub(crate) fn resume(&self) -> Result<(), Fault> {
        if self.torn || self.progress.is_half_way() {
            let message = "only a part of a connection was restored into the socket: it stays paused, so that closing it is \
                           silent";
            return Err(Fault::argument(message));
        }
        self.held.resume(&self.socket()?)?;
        log::debug(|| format!("resumed the socket of descriptor {}", self.fd));
        Ok(())
    }

    /// Saves the connection, and keeps its queues.
    pub(crate) fn save(&mut self) -> Result<SkData, (i32, Fault)> {
        let settings = SaveSettings::new().connection_only(true);
        let socket = self.socket().map_err(|fault| (-2, fault))?;
        let saved = self.held.save(&socket, settings);
        let (snapshot, info) = saved.map_err(|error| (number(&error), error.into()))?;
        let data = SkData::of(&snapshot, info.options);
        log::debug(|| format!("saved {data:?}"));
        log_losses(&snapshot);
        let kept = Bytes::read(&snapshot.receive.bytes)
            .map_err(|fault| (-5, fault))
            .and_then(|receive| {
                let send = Bytes::read(&snapshot.send.bytes).map_err(|fault| (-6, fault))?;
                Ok((receive, send))
            });
        if kept.is_err() {
            // As after every save that fails.
            let _ = self.held.resume(&socket);
        }
        (self.receive, self.send) = kept?;
        self.saved = Some(snapshot.endpoints);
        Ok(data)
    }

    /// The bytes of a queue, by its number.
    pub(crate) fn queue(&mut self, number: i32) -> Result<&mut Bytes, Fault> {
        match number {
            TCP_RECV_QUEUE => Ok(&mut self.receive),
            TCP_SEND_QUEUE => Ok(&mut self.send),
            other => Err(Fault::refused(
                "queue_id",
                other,
                "must be TCP_RECV_QUEUE (1) or TCP_SEND_QUEUE (2)",
            )),
        }
    }

    /// Takes an address of the caller's.
    pub(crate) fn give_address(&mut self, local: bool, at: *mut Address, owned: bool) {
        Given::replace(&mut self.given[index(local)], at, owned);
    }

    /// Shows an address, or gives it away.
    pub(crate) fn address(&mut self, local: bool, give_away: bool) -> Result<*mut Address, Fault> {
        let at = index(local);
        if let Some(given) = self.given[at].take() {
            if give_away {
                return Ok(given.into_raw());
            }
            let pointer = given.as_ptr();
            self.given[at] = Some(given);
            return Ok(pointer);
        }
        if let Some(shown) = self.shown[at].as_ref().filter(|_| !give_away) {
            return Ok(shown.as_ptr());
        }
        let address = Address::new(self.address_of_socket(local)?);
        let memory: *mut Address = allocate(size_of::<Address>())?.cast();
        // SAFETY: it is new, as long as an address, and aligned for everything.
        unsafe { memory.write(address) };
        if !give_away {
            self.shown[at] = Given::new(memory, true);
        }
        Ok(memory)
    }

    fn address_of_socket(&self, local: bool) -> Result<SocketAddr, Fault> {
        match self.saved {
            Some(saved) if local => Ok(saved.local),
            Some(saved) if saved.has_remote() => Ok(saved.remote),
            _ => self.live_address(local),
        }
    }

    /// What the socket itself says.
    pub(crate) fn live_address(&self, local: bool) -> Result<SocketAddr, Fault> {
        let socket = self.socket()?;
        let own = local_address(&socket).map_err(|error| Fault::system("getsockname", &error))?;
        if local {
            return Ok(own);
        }
        let family = match own {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        };
        let never = || io::Error::from_raw_os_error(libc::ENOTCONN);
        let peer = destination(&socket, family).and_then(|peer| peer.ok_or_else(never));
        peer.map_err(|error| Fault::system("getsockopt(SO_PEERNAME)", &error))
    }

    /// Restores a connection into the socket.
    pub(crate) fn restore(&mut self, data: &SkData) -> Result<(), Fault> {
        let mut snapshot = self.given_snapshot(data)?;
        snapshot.keep_settings_of(&self.socket()?)?;
        let created = soccr::restore::create_from(&snapshot, self.another()?)?;
        let paused = created.settings(SETTINGS).pause()?;
        self.torn = true;
        let restored = paused.all_steps()?;
        self.finish(restored)
    }

    /// Lets only the resume be missing.
    pub(crate) fn finish(&mut self, restored: Restored) -> Result<(), Fault> {
        for loss in restored.losses() {
            log::debug(|| format!("not as it was: {loss}"));
        }
        self.torn = true;
        // The descriptor is a copy: the socket is the caller's.
        let (_, held) = restored.hand_over()?;
        self.held = held;
        self.torn = false;
        log::debug(|| format!("restored the socket of descriptor {}", self.fd));
        Ok(())
    }

    fn given_snapshot(&self, data: &SkData) -> Result<Snapshot, Fault> {
        let address = |local| match &self.given[index(local)] {
            Some(given) => Address::read(given),
            None => Err(Fault::argument(match local {
                true => "no local address was given by libsoccr_set_addr",
                false => "no remote address was given by libsoccr_set_addr",
            })),
        };
        let endpoints = Endpoints {
            local: address(true)?,
            remote: address(false)?,
        };
        // Before memory is read, or taken, for them.
        without_bytes(data, endpoints)?;
        let receive = self.receive.to_vec(data.inq_len)?;
        let send = self.send.to_vec(data.outq_len)?;
        let mut snapshot = data.snapshot(endpoints, receive, send)?;
        self.remember(&mut snapshot);
        Ok(snapshot)
    }

    /// What was known at the pause.
    pub(crate) fn remember(&self, snapshot: &mut Snapshot) {
        snapshot.reuse_address = self.held.reuses_address();
    }
}

/// Says what a snapshot has, or has lost, that the numbers have no place for.
fn log_losses(snapshot: &Snapshot) {
    for loss in &snapshot.unsaved {
        log::debug(|| format!("not carried: {loss}"));
    }
    if let Some(error) = snapshot.pending_error {
        log::debug(|| format!("not carried: {error}, which waits for the application"));
    }
    if snapshot.send.fin_unsent && snapshot.send.unsent == 0 {
        log::debug(|| "not carried: that our FIN was never sent".to_owned());
    }
}

/// A FIN that cannot be put back is an error, as it is one in libsoccr.
pub(crate) const SETTINGS: Settings = Settings::new().fin(FinMode::Inject);

/// The connection without its queues, whose bytes are not known: refused where it cannot be one, its windows against the
/// end of what was received.
pub(crate) fn without_bytes(data: &SkData, endpoints: Endpoints) -> Result<Snapshot, Fault> {
    for (name, length) in [("inq_len", data.inq_len), ("outq_len", data.outq_len)] {
        if length > LONGEST {
            return Err(Fault::refused(name, length, "must be less than 2^31"));
        }
    }
    data.check_unsent()?;
    let empty = SkData {
        inq_len: 0,
        outq_len: 0,
        unsq_len: 0,
        ..*data
    };
    let snapshot = empty.snapshot(endpoints, Vec::new(), Vec::new())?;
    snapshot.validate()?;
    Ok(snapshot)
}

fn index(local: bool) -> usize {
    usize::from(!local)
}

/// The number by which libsoccr says which part of a save has failed.
fn number(error: &Error) -> i32 {
    match (error.step(), error.kind()) {
        (Step::ReadQueue(Queue::Receive), _) => -5,
        (Step::ReadQueue(Queue::Send), _) => -6,
        (_, ErrorKind::Unsupported(Unsupported::UrgentData { .. })) => -5,
        (Step::ReadData, ErrorKind::System { call, .. }) => number_of_call(call),
        _ => -2,
    }
}

fn number_of_call(call: &str) -> i32 {
    let is_about = |options: &[Opt]| options.iter().any(|option| call.contains(option.label()));
    if is_about(&[Opt::TCP_MAXSEG, Opt::TCP_TIMESTAMP]) {
        -3
    } else if is_about(&[Opt::TCP_REPAIR_WINDOW]) {
        -4
    } else if is_about(&[Opt::TCP_REPAIR_QUEUE, Opt::TCP_QUEUE_SEQ]) {
        -5
    } else {
        -2
    }
}
