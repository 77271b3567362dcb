//! Repair mode as a guard: a socket forgotten in it is a dead connection.

use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::ingress::{self, Filter, Instruction};
use crate::raw::{MSG_DONTWAIT, MSG_PEEK, Opt};
use crate::report::PauseReport;
use crate::settings::SaveSettings;
use crate::snapshot::Snapshot;
use crate::switch::Switch;
use crate::sys;
use crate::window::Window;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// Whether leaving repair mode sends a window probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// One probe, which makes the peer say its window again.
    Send,
    /// Nothing leaves; on a kernel that cannot (before 4.19), one probe.
    Omit,
}

impl Probe {
    /// Whether one is sent when a connection is resumed that is what this snapshot says.
    ///
    /// A probe tells of all the room that there is, in a segment below the peer's window, from which the peer takes none
    /// (`tcp_validate_incoming`). The kernel counts it as told (`tcp_select_window`), and unless the room is twice that when
    /// the application has read, sends no update (`tcp_cleanup_rbuf`): a peer that knows of none then waits for its own next
    /// probe, for minutes where it has waited before. So none is sent where reading is what tells the peer, unless something
    /// waits to be sent: that wants the peer's window, and its acknowledgement.
    pub(crate) fn at_resume(snapshot: &Snapshot) -> Self {
        let left = |window: Window| window.left_to_receive(snapshot.rcv_nxt()) as usize;
        let unread = snapshot.receive.bytes.len();
        let is_behind = snapshot.window.is_some_and(|window| left(window) < unread);
        match is_behind && snapshot.send.bytes.is_empty() {
            true => Self::Omit,
            false => Self::Send,
        }
    }
}

/// A socket in repair mode; dropping the guard resumes it.
///
/// It also holds what an application has set and a save has to set aside, and puts it back: `SO_REUSEADDR`, which
/// repair mode overwrites (guide A6), `SO_PEEK_OFF`, which would move the start of the receive queue (guide A28),
/// `SO_OOBINLINE`, without which an urgent mark hides what lies behind it (guide A29), and the socket filter, in whose
/// place there can be an ingress lock.
#[derive(Debug)]
pub(crate) struct Repair<'fd> {
    fd: BorrowedFd<'fd>,
    switch: Switch,
    aside: Aside,
    entered: Entered,
    armed: bool,
}

/// What was set aside. `None`: nothing to put back.
#[derive(Debug, Default)]
struct Aside {
    reuse_address: bool,
    peek_offset: Option<i32>,
    urgent_out_of_line: bool,
    filter: Option<Vec<Instruction>>,
}

/// When repair mode was entered, and how many system calls had been made then.
#[derive(Clone, Copy, Debug)]
struct Entered {
    at: Instant,
    calls: u64,
}

impl Entered {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            calls: sys::made(),
        }
    }
}

/// How often a call is made that must not fail: what keeps it from working may pass, a socket that is left in repair
/// mode stays dead.
const PERSISTENCE: u32 = 3;

/// Makes a call that must not fail, again if it does.
pub(crate) fn persist<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..PERSISTENCE {
        if let Ok(done) = call() {
            return Ok(done);
        }
    }
    call()
}

impl<'fd> Repair<'fd> {
    /// Sets aside what is in the way, locks what comes in if wanted, and enters repair mode.
    pub(crate) fn enter(
        fd: BorrowedFd<'fd>,
        filter: &Filter,
        settings: SaveSettings,
    ) -> Result<Self, Error> {
        let mut guard = Self::prepare(fd)?;
        guard.set_aside_for(filter, settings)?;
        acknowledge(fd)?;
        guard.pause()
    }

    /// A guard for a socket that somebody has paused, or that is paused now, and that may be saved.
    ///
    /// Nothing is set aside yet: see [`set_aside_for`](Self::set_aside_for).
    pub(crate) fn take_over(fd: BorrowedFd<'fd>, reuse_address: bool) -> Result<Self, Error> {
        let in_repair =
            sys::get_int(fd, Opt::TCP_REPAIR).at(Step::Inspect, Opt::TCP_REPAIR.getting)?;
        let guard = Self::new(fd, reuse_address);
        match in_repair {
            0 => {
                acknowledge_unseen(fd)?;
                guard.pause()
            }
            _ => Ok(guard),
        }
    }

    /// Sets aside what is in the way of a save of a socket that is paused already.
    pub(crate) fn set_aside_for(
        &mut self,
        filter: &Filter,
        settings: SaveSettings,
    ) -> Result<(), Error> {
        if settings.ingress_lock {
            self.lock_ingress(filter)?;
        }
        self.set_aside()
    }

    /// Enters repair mode for a socket whose queues nobody will read: nothing is set aside, and nothing sent.
    pub(crate) fn enter_to_close(fd: BorrowedFd<'fd>) -> Result<Self, Error> {
        Self::prepare(fd)?.pause()
    }

    /// A guard for a socket that is not in repair mode yet.
    fn prepare(fd: BorrowedFd<'fd>) -> Result<Self, Error> {
        let in_repair =
            sys::get_int(fd, Opt::TCP_REPAIR).at(Step::Inspect, Opt::TCP_REPAIR.getting)?;
        if in_repair != 0 {
            return Err(Error::new(Step::Inspect, ErrorKind::AlreadyInRepair));
        }
        let reuse_address =
            sys::get_int(fd, Opt::SO_REUSEADDR).at(Step::Inspect, Opt::SO_REUSEADDR.getting)?;
        Ok(Self::new(fd, reuse_address != 0))
    }

    fn new(fd: BorrowedFd<'fd>, reuse_address: bool) -> Self {
        Self {
            fd,
            switch: Switch::current(),
            aside: Aside {
                reuse_address,
                ..Aside::default()
            },
            entered: Entered::now(),
            armed: true,
        }
    }

    fn pause(mut self) -> Result<Self, Error> {
        self.entered = Entered::now();
        let entered = self.switch.enter(self.fd);
        entered.at(Step::Pause, Opt::TCP_REPAIR.setting)?;
        Ok(self)
    }

    fn lock_ingress(&mut self, filter: &Filter) -> Result<(), Error> {
        if filter.locked {
            let unsupported = ErrorKind::Unsupported(Unsupported::LockedFilter);
            return Err(Error::new(Step::Inspect, unsupported));
        }
        self.aside.filter = Some(filter.program.clone());
        ingress::lock(self.fd, Step::Inspect)
    }

    fn set_aside(&mut self) -> Result<(), Error> {
        let get = |option: Opt| sys::get_int(self.fd, option).at(Step::Inspect, option.getting);
        let set = |option: Opt, value| {
            sys::set_int(self.fd, option, value).at(Step::Inspect, option.setting)
        };
        if get(Opt::SO_OOBINLINE)? == 0 {
            set(Opt::SO_OOBINLINE, 1)?;
            self.aside.urgent_out_of_line = true;
        }
        // Before kernel 6.9 TCP has no peek offset: then there is nothing in the way.
        if let Some(offset) = sys::get_int(self.fd, Opt::SO_PEEK_OFF)
            .ok()
            .filter(|&offset| offset >= 0)
        {
            set(Opt::SO_PEEK_OFF, -1)?;
            self.aside.peek_offset = Some(offset);
        }
        Ok(())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'fd> {
        self.fd
    }

    /// Whether the application had set `SO_REUSEADDR`.
    pub(crate) fn reuse_address(&self) -> bool {
        self.aside.reuse_address
    }

    /// What the pause has cost so far.
    pub(crate) fn report(&self, readings: u32) -> PauseReport {
        let nanoseconds = self.entered.at.elapsed().as_nanos();
        PauseReport {
            nanoseconds: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
            // Another thread than the one that has paused it counts its own.
            system_calls: sys::made().saturating_sub(self.entered.calls),
            readings,
            taken_as_sent: 0,
        }
    }

    /// Leaves repair mode and puts everything back; tells what the pause has cost.
    pub(crate) fn leave(mut self, probe: Probe, readings: u32) -> Result<PauseReport, Error> {
        self.armed = false;
        self.undo(probe, readings)
    }

    /// Leaves the socket in repair mode, for a silent close.
    pub(crate) fn release(mut self) {
        self.armed = false;
    }

    /// Leaves the socket in repair mode, and everything else as it was, for one who resumes it by means of his own.
    pub(crate) fn stay(mut self) -> Result<(), Error> {
        self.put_back()?;
        self.armed = false;
        Ok(())
    }

    /// Leaves repair mode first, for that is what an application waits for, and goes on after a failure, so that one
    /// option that cannot be put back does not keep the others from it.
    fn undo(&self, probe: Probe, readings: u32) -> Result<PauseReport, Error> {
        let options = self.put_back_options();
        let off =
            persist(|| self.switch.leave(self.fd, probe)).at(Step::Resume, Opt::TCP_REPAIR.setting);
        let report = self.report(readings);
        // Leaving repair mode clears it (guide A6).
        let reuse = set_back(self.fd, Opt::SO_REUSEADDR, self.aside.reuse_address.into());
        off.and(reuse).and(options).and(self.put_back_filter())?;
        Ok(report)
    }

    /// Puts back what needs no leaving of repair mode.
    fn put_back(&self) -> Result<(), Error> {
        let options = self.put_back_options();
        options.and(self.put_back_filter())
    }

    fn put_back_options(&self) -> Result<(), Error> {
        let peek = match self.aside.peek_offset {
            Some(offset) => set_back(self.fd, Opt::SO_PEEK_OFF, offset),
            None => Ok(()),
        };
        let inline = match self.aside.urgent_out_of_line {
            true => set_back(self.fd, Opt::SO_OOBINLINE, 0),
            false => Ok(()),
        };
        inline.and(peek)
    }

    fn put_back_filter(&self) -> Result<(), Error> {
        match &self.aside.filter {
            Some(program) => persist(|| sys::set_filter(self.fd, program))
                .at(Step::Resume, "setsockopt(SO_ATTACH_FILTER)"),
            None => Ok(()),
        }
    }
}

/// As [`acknowledge`], of a socket of which nothing is set aside: its peek offset does not move.
pub(crate) fn acknowledge_unseen(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let mut guard = Repair::new(fd, false);
    // It only puts back what it has set aside.
    guard.armed = false;
    let acknowledged = guard.set_aside().and_then(|()| acknowledge(fd));
    guard.put_back().and(acknowledged)
}

fn set_back(fd: BorrowedFd<'_>, option: Opt, value: i32) -> Result<(), Error> {
    persist(|| sys::set_int(fd, option, value)).at(Step::Resume, option.setting)
}

impl Drop for Repair<'_> {
    fn drop(&mut self) {
        if self.armed {
            // Nobody is left to tell: the error that led here is on its way to the caller.
            let _ = self.undo(Probe::Omit, 0);
        }
    }
}

/// Lets the kernel send the acknowledgement, or the window update, that is due.
///
/// The kernel looks for one at the end of every read, a peek included (`tcp_cleanup_rbuf`): without this, peeking at
/// the receive queue would send it during the pause.
fn acknowledge(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let unread = sys::siocinq(fd).at(Step::Inspect, "ioctl(SIOCINQ)")?;
    // Only where there are bytes to return does a read not consume an error that waits for the application.
    if unread > 0 {
        // Bytes behind an urgent mark cannot be peeked at; the save itself will say so.
        let _ = sys::recv(fd, &mut [0], MSG_PEEK | MSG_DONTWAIT);
    }
    Ok(())
}
