//! From a live socket to a [`Snapshot`], in the documented order: pause; get data; get the bytes of both queues;
//! resume, or leave in repair mode and close.

use crate::error::{At, Error, ErrorKind, Step};
use crate::faults;
use crate::raw::{Opt, TcpInfo};
use crate::reading::{Data, Inspected, Memory, close_window};
use crate::repair::{Probe, Repair};
use crate::report::PauseReport;
use crate::settings::SaveSettings;
use crate::snapshot::Snapshot;
use crate::sys;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often everything is read again when traffic changes the socket during a save.
///
/// One reading takes a few microseconds, less than a full segment takes on a 1 Gbit/s wire: this many in a row
/// all disturbed means a flood, and a flood is the caller's to block.
const MAX_ATTEMPTS: u32 = 64;

/// Saves a connection and lets it run on.
///
/// The socket is in repair mode for some microseconds; no packet is sent because of it, but for an acknowledgement
/// that was due already. Traffic that arrives while it is read makes the reading start again. What arrives **after**
/// the snapshot is not in it: to move a connection, block its traffic first and use [`save_and_close`].
///
/// Nobody else may use the socket meanwhile: see [the notes](crate#what-it-needs).
///
/// # Errors
/// [`Error`] with the step; the connection runs on as before. Needs `CAP_NET_ADMIN` in the user namespace that
/// owns the socket's network namespace.
#[doc(alias = "libsoccr_save")]
pub fn save(socket: &impl AsFd) -> Result<Snapshot, Error> {
    let saved = pause(socket)?.read()?.queue_bytes()?;
    Ok(saved.finish(Probe::Omit)?.0)
}

/// As [`save`], into a snapshot that is there already, whose memory is used again: for one connection that is saved
/// often. Tells what the pause has cost.
///
/// # Errors
/// As [`save`]; the snapshot's queues are empty then.
pub fn save_into(
    socket: &impl AsFd,
    snapshot: &mut Snapshot,
    settings: SaveSettings,
) -> Result<PauseReport, Error> {
    let paused = pause_into(socket, snapshot, settings)?;
    let (saved, report) = paused.read()?.queue_bytes()?.finish(Probe::Omit)?;
    *snapshot = saved;
    Ok(report)
}

/// Saves a connection and closes its socket without a packet: for the peer, nothing has happened.
///
/// Block the traffic of the connection first: once the socket is gone, this host answers every packet for it
/// with a RST, and what arrived between the save and the close would be lost. The connection only vanishes when
/// this was the last descriptor of the socket; another one would be left with a socket in repair mode.
///
/// Nobody else may use the socket meanwhile: see [the notes](crate#what-it-needs).
///
/// # Errors
/// [`NotSaved`] gives the socket back; the connection runs on as before.
pub fn save_and_close<T: AsFd + Into<OwnedFd>>(socket: T) -> Result<Snapshot, NotSaved<T>> {
    match pause_and_read(&socket) {
        Ok(snapshot) => {
            drop(socket.into());
            Ok(snapshot)
        }
        Err(error) => Err(NotSaved { socket, error }),
    }
}

fn pause_and_read(socket: &impl AsFd) -> Result<Snapshot, Error> {
    Ok(pause(socket)?.read()?.queue_bytes()?.release())
}

/// A connection that was not saved, with its socket: dropping this closes the connection as usual.
#[derive(Debug)]
pub struct NotSaved<T> {
    /// The socket, running as before.
    pub socket: T,
    /// Why.
    pub error: Error,
}

impl<T> fmt::Display for NotSaved<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for NotSaved<T> {}

/// Pauses a socket: the first step of a save, and all of it that happens before anything is read.
///
/// What needs no repair mode is done before it is entered: the checks, the addresses, the buffers for the queues. An
/// acknowledgement that is due is sent now.
///
/// Until it is resumed, nobody else may use the socket: see [the notes](crate#what-it-needs).
///
/// # Errors
/// [`ErrorKind::Unsupported`] for what cannot be saved, [`ErrorKind::AlreadyInRepair`], or the kernel's refusal;
/// the socket is as before.
#[doc(alias = "libsoccr_pause")]
pub fn pause(socket: &impl AsFd) -> Result<Paused<'_>, Error> {
    pause_with(socket, SaveSettings::new())
}

/// As [`pause`], the ways chosen by the caller.
///
/// # Errors
/// As there; [`Unsupported::LockedFilter`](crate::Unsupported::LockedFilter) where an ingress lock is wanted and cannot
/// be.
pub fn pause_with(socket: &impl AsFd, settings: SaveSettings) -> Result<Paused<'_>, Error> {
    pause_in(socket, &mut Memory::default(), settings)
}

/// As [`pause_with`], with the memory of a snapshot that is there already, as [`save_into`] takes it.
///
/// # Errors
/// As there; the snapshot's queues are empty in any case.
pub fn pause_into<'fd>(
    socket: &'fd impl AsFd,
    snapshot: &mut Snapshot,
    settings: SaveSettings,
) -> Result<Paused<'fd>, Error> {
    let mut memory = Memory {
        receive: std::mem::take(&mut snapshot.receive.bytes),
        send: std::mem::take(&mut snapshot.send.bytes),
    };
    pause_in(socket, &mut memory, settings)
}

fn pause_in<'fd>(
    socket: &'fd impl AsFd,
    memory: &mut Memory,
    settings: SaveSettings,
) -> Result<Paused<'fd>, Error> {
    let fd = socket.as_fd();
    let inspected = Inspected::look_at(fd, memory, settings)?;
    Ok(Paused {
        repair: Repair::enter(fd, inspected.filter(), settings)?,
        inspected,
    })
}

/// A paused socket of which nothing was read yet. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
#[derive(Debug)]
pub struct Paused<'fd> {
    repair: Repair<'fd>,
    inspected: Inspected,
}

/// A paused socket, everything but the queues read. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
#[derive(Debug)]
pub struct DataRead<'fd> {
    paused: Paused<'fd>,
    data: Data,
}

/// A paused socket, all of it read. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
#[derive(Debug)]
pub struct Saved<'fd> {
    repair: Repair<'fd>,
    snapshot: Snapshot,
    data: Data,
    readings: u32,
}

impl<'fd> Paused<'fd> {
    /// A socket that somebody else has paused.
    pub(crate) fn taken_over(
        mut repair: Repair<'fd>,
        settings: SaveSettings,
    ) -> Result<Self, Error> {
        let inspected = Inspected::look_at(repair.fd(), &mut Memory::default(), settings)?;
        repair.set_aside_for(inspected.filter(), settings)?;
        Ok(Self { repair, inspected })
    }

    /// Reads the state, the negotiated options, the windows, and where the queues begin and end.
    ///
    /// # Errors
    /// The socket is resumed.
    #[doc(alias = "libsoccr_get_sk_data")]
    pub fn read_data(self) -> Result<DataRead<'fd>, Error> {
        let mut read = self.read()?;
        // Nobody knows when the caller goes on.
        read.data.deselect(read.paused.repair.fd())?;
        Ok(read)
    }

    /// As [`read_data`](Self::read_data), for a caller who goes on at once.
    pub(crate) fn read(self) -> Result<DataRead<'fd>, Error> {
        let data = Data::read(self.repair.fd())?;
        Ok(DataRead { paused: self, data })
    }

    /// Resumes the socket, with one window probe.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<(), Error> {
        self.repair.leave(Probe::Send, 0)?;
        Ok(())
    }
}

impl<'fd> DataRead<'fd> {
    /// Reads the bytes of both queues, and everything again until two readings agree.
    ///
    /// Repair mode does not keep packets out (guide A9): without this, a segment that arrives between two reads
    /// would tear the snapshot (guide G10).
    ///
    /// # Errors
    /// [`ErrorKind::Unstable`] if traffic never paused;
    /// [`Unsupported::UrgentData`](crate::Unsupported::UrgentData); the socket is resumed.
    #[doc(alias = "libsoccr_get_queue_bytes")]
    pub fn queue_bytes(self) -> Result<Saved<'fd>, Error> {
        let Self {
            paused: Paused {
                repair,
                mut inspected,
            },
            mut data,
        } = self;
        let fd = repair.fd();
        for readings in 1..=MAX_ATTEMPTS {
            let complete = inspected.read_queues(fd, &data)?;
            // Last of all: the peer must not see a timestamp that is older than one it has seen (guide A51).
            let timestamp = timestamp(fd)?;
            if complete && data.still_holds(fd)? {
                let reuse_address = repair.reuse_address();
                let mut snapshot = inspected.into_snapshot(&data, timestamp, reuse_address);
                faults::saved(fd, &mut snapshot);
                return Ok(Saved {
                    repair,
                    snapshot,
                    data,
                    readings,
                });
            }
            data = data.read_again(fd)?;
        }
        let kind = ErrorKind::Unstable {
            attempts: MAX_ATTEMPTS,
        };
        Err(Error::new(Step::ReadData, kind))
    }

    /// Resumes the socket, with one window probe.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    pub fn resume(self) -> Result<(), Error> {
        self.paused.resume()
    }
}

fn timestamp(fd: BorrowedFd<'_>) -> Result<u32, Error> {
    let value =
        sys::get_int(fd, Opt::TCP_TIMESTAMP).at(Step::ReadData, Opt::TCP_TIMESTAMP.getting)?;
    Ok(value as u32)
}

impl Saved<'_> {
    /// What was read.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What `TCP_INFO` said in the reading that the snapshot is made of.
    #[must_use]
    pub fn tcp_info(&self) -> &TcpInfo {
        &self.data.info
    }

    /// What the pause has cost so far.
    #[must_use]
    pub fn report(&self) -> PauseReport {
        PauseReport {
            taken_as_sent: self.data.taken_as_sent(),
            ..self.repair.report(self.readings)
        }
    }

    /// Resumes the socket, with a window probe where [`Restored::resume`](crate::Restored::resume) would send one: the
    /// connection runs on.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<Snapshot, Error> {
        let probe = Probe::at_resume(&self.snapshot);
        Ok(self.finish(probe)?.0)
    }

    /// Leaves the socket in repair mode: closing its last descriptor then makes it vanish without a packet.
    ///
    /// As long as nothing comes in, it sends nothing more that is in the snapshot as unsent: its window is closed, and what has
    /// left since it was read, as a paced connection sends at any time, is sent in the snapshot, too. An error that waited for the
    /// application is now in the snapshot, and no more in the socket. Who wants the socket back after all takes
    /// [`Rescue`](crate::Rescue), which knows of the window.
    #[doc(alias = "libsoccr_release")]
    #[must_use = "the snapshot is all that is left of the connection once the socket is closed"]
    pub fn release(mut self) -> Snapshot {
        self.snapshot.take_pending_error(self.repair.fd());
        self.settle_what_is_sent();
        faults::released(self.repair.fd());
        self.repair.release();
        self.snapshot
    }

    /// Sees to it that what the snapshot calls unsent is unsent, and stays so.
    ///
    /// What left behind the last reading, and is restored as unsent, is acknowledged beyond what was sent, which the restored
    /// connection takes for nonsense, over and over (kernel `tcp_ack`): it would never get on.
    fn settle_what_is_sent(&mut self) {
        let fd = self.repair.fd();
        let send = &mut self.snapshot.send;
        if send.unsent > 0 || send.fin_unsent {
            // A socket that refuses this refuses what follows as well, and what was read before is all that is known.
            let _ = close_window(fd, Step::ReadData);
        } else if send.bytes.is_empty() {
            // No timer sends anything.
            return;
        }
        if let Ok(true) = self.data.look_what_has_left(fd) {
            (send.unsent, send.fin_unsent) = self.data.unsent();
            if let (Some(clock), Ok(now)) = (&mut self.snapshot.options.timestamps, timestamp(fd)) {
                clock.value = now;
            }
        }
    }

    /// Leaves the socket in repair mode and as it was otherwise.
    pub(crate) fn stay(self) -> Result<Snapshot, Error> {
        self.repair.stay()?;
        Ok(self.snapshot)
    }

    fn finish(self, probe: Probe) -> Result<(Snapshot, PauseReport), Error> {
        let report = PauseReport {
            taken_as_sent: self.data.taken_as_sent(),
            ..self.repair.leave(probe, self.readings)?
        };
        Ok((self.snapshot, report))
    }
}
