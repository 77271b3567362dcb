//! The last part of a restore: FINs, the tail that was never sent, and the windows.
//!
//! The order is what matters. A FIN that was sent goes behind the sent data, in repair mode; one that was not goes behind
//! the tail. The peer's FIN comes in before ours where the peer closed first, and after it in CLOSING. The windows come
//! last, since every one of these steps changes them.

use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::filling::write_all;
use crate::fin::{Fins, Injection};
use crate::losses::{Loss, Lost};
use crate::queue::Queue;
use crate::raw::{Opt, TCP_NO_QUEUE, TCP_SEND_QUEUE};
use crate::reading::read_window;
use crate::repair::persist;
use crate::settings::InFlight;
use crate::shelter::{Shelter, hide};
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::switch::Switch;
use crate::sys;
use crate::window::Window;
use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};

const STEP: Step = Step::RemainingData;

/// More than the kernel takes for a segment of a new connection's peer (`rcv_mss`, 88 to 536 bytes), bytes.
const SEVERAL_SEGMENTS: u32 = 4096;

/// `TCP_NOTSENT_LOWAT` that holds nothing back: as a number without a sign, the largest (kernel 3.12).
const UNLIMITED: i32 = -1;

/// A connection in repair mode, its queues restored as far as they were sent.
pub(crate) struct Finishing<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) fins: &'a Fins,
    pub(crate) in_flight: InFlight,
    pub(crate) switch: &'a Switch,
}

impl Finishing<'_> {
    /// Does all of it; returns what had to be done differently.
    pub(crate) fn finish(&self) -> Result<Vec<Loss>, Error> {
        let state = self.snapshot.state;
        let window = self.window()?;
        if matches!(state, TcpState::CloseWait | TcpState::LastAck) {
            self.peer_fin(window, TcpState::CloseWait)?;
        }
        if state.has_own_fin() && !self.fin_is_unsent() {
            self.sent_fin()?;
        }
        if self.has_tail() {
            self.hold_tail(window.ok_or_else(quiet_off)?)?;
        }
        match state {
            TcpState::Closing => self.peer_fin(window, TcpState::Closing)?,
            TcpState::FinWait2 => self.acknowledged_fin(window)?,
            _ => {}
        }
        let emulated_end = self.fins.is_emulated() && state.has_peer_fin();
        if emulated_end || self.snapshot.shutdown_read {
            sys::shutdown(self.fd, Shutdown::Read).at(STEP, "shutdown(SHUT_RD)")?;
        }
        if let Some(window) = window {
            set_window(self.fd, STEP, window)?;
        }
        Ok(self.losses())
    }

    /// The windows to end with, as every kernel takes them; `None` where this one has none to set.
    fn window(&self) -> Result<Option<Window>, Error> {
        let rcv_nxt = self.snapshot.rcv_nxt();
        Ok(match self.snapshot.window {
            Some(window) => Some(window.acceptable(rcv_nxt)),
            // After a connect in repair mode snd_wl1 is 0, so that for half of all sequence numbers the kernel would
            // refuse its own window, and take no window from the peer either (guide A54).
            None => read_window(self.fd, STEP)?.map(|window| Window {
                snd_wl1: rcv_nxt.back(1),
                ..window
            }),
        })
    }

    fn fin_is_unsent(&self) -> bool {
        fin_is_unsent(self.snapshot, self.in_flight)
    }

    fn has_tail(&self) -> bool {
        has_tail(self.snapshot, self.in_flight)
    }

    /// Puts our FIN behind the sent data, as sent: only with the send queue selected does it stay here (guide C30).
    fn sent_fin(&self) -> Result<(), Error> {
        set(self.fd, Opt::TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)?;
        sys::shutdown(self.fd, Shutdown::Write).at(STEP, "shutdown(SHUT_WR)")?;
        set(self.fd, Opt::TCP_REPAIR_QUEUE, TCP_NO_QUEUE)
    }

    /// Lets the peer's FIN come in, and the kernel acknowledge it now: later it would do so in the middle of what follows,
    /// with a window of its own choice and a newer clock.
    fn peer_fin(&self, window: Option<Window>, reaches: TcpState) -> Result<(), Error> {
        match self.fins {
            Fins::Inject(through) => {
                self.injection(through, window)?.fin(reaches)?;
                sys::set_int(self.fd, Opt::TCP_QUICKACK, 1).at(STEP, Opt::TCP_QUICKACK.setting)
            }
            Fins::None | Fins::Emulate => Ok(()),
        }
    }

    fn acknowledged_fin(&self, window: Option<Window>) -> Result<(), Error> {
        match self.fins {
            Fins::Inject(through) => self.injection(through, window)?.ack(TcpState::FinWait2),
            Fins::None | Fins::Emulate => Ok(()),
        }
    }

    /// A segment of the peer's, and the windows in which it is taken and answered.
    ///
    /// An acknowledgement that it draws must not announce more than the peer was told: the right edge is already the
    /// one to end with. It announces the peer's real window, but for a tail that is being held: then none at all.
    fn injection<'a>(
        &'a self,
        through: &'a OwnedFd,
        window: Option<Window>,
    ) -> Result<Injection<'a>, Error> {
        let held = self.has_tail();
        let snd_wnd = window.map_or(0, |window| if held { 0 } else { window.snd_wnd });
        if let Some(window) = window {
            let rcv_nxt = self.snapshot.receive.end;
            // As if several segments were not acknowledged yet: then an acknowledgement is worth being sent at once.
            let before = Window {
                snd_wnd,
                rcv_wup: window.rcv_wup.back(SEVERAL_SEGMENTS),
                rcv_wnd: window.rcv_wnd.saturating_add(SEVERAL_SEGMENTS),
                ..window
            };
            set_window(self.fd, STEP, before.not_after(rcv_nxt).acceptable(rcv_nxt))?;
        }
        let shift = self
            .snapshot
            .options
            .window_scale
            .map_or(0, |scale| scale.snd);
        Ok(Injection {
            through,
            socket: self.fd,
            snapshot: self.snapshot,
            window: u16::try_from(snd_wnd >> shift).unwrap_or(u16::MAX),
        })
    }

    /// Writes the tail, and our FIN where it was not sent either, without sending them.
    ///
    /// In repair mode everything written counts as sent, so the mode has to be left for it. Against a send window
    /// of zero the kernel keeps what it is given; the real window is set only when it is back in repair mode. So
    /// no packet leaves before the restore is complete (guide G16, H9), and resuming cannot fail half-way. A process
    /// that is killed meanwhile leaves no packet either: see [`Shelter`].
    fn hold_tail(&self, window: Window) -> Result<(), Error> {
        let shut = Window {
            snd_wnd: 0,
            ..window
        };
        // Where the peer's FIN is still to come in, its number is not received yet.
        let rcv_nxt = match self.snapshot.state {
            TcpState::Closing if !self.fins.is_emulated() => self.snapshot.receive.end,
            _ => self.snapshot.rcv_nxt(),
        };
        set_window(self.fd, STEP, shut.not_after(rcv_nxt).acceptable(rcv_nxt))?;
        let shelter = Shelter::enter(self.fd);
        match self.switch.leave_quietly(self.fd) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(quiet_off()),
            other => self.or_hide(other)?,
        }
        let written = self.write_tail();
        // Back in repair mode first, whatever happened: only there can the socket vanish.
        self.or_hide(persist(|| self.switch.enter(self.fd)))?;
        written?;
        match shelter {
            Some(shelter) => shelter.leave().at(STEP, Opt::SO_BINDTODEVICE.setting),
            None => Ok(()),
        }
    }

    /// Where the mode could not be switched the socket is to be closed, out of repair mode, or to be taken out of it by a
    /// helper that is late.
    fn or_hide(&self, switched: io::Result<()>) -> Result<(), Error> {
        if switched.is_err() {
            // As far as it is permitted: nothing else can be done.
            let _ = hide(self.fd);
        }
        switched.at(STEP, Opt::TCP_REPAIR.setting)
    }

    fn write_tail(&self) -> Result<(), Error> {
        let tail = match self.in_flight {
            InFlight::AsSent => self.snapshot.send.unsent(),
            InFlight::AsUnsent => &self.snapshot.send.bytes,
        };
        // How much may wait to be sent was for the application to heed, when it wrote this. 0 is the default of the network;
        // what the application has set comes last.
        set(self.fd, Opt::TCP_NOTSENT_LOWAT, UNLIMITED)?;
        write_all(self.fd, Queue::Send, tail)?;
        set(self.fd, Opt::TCP_NOTSENT_LOWAT, 0)?;
        if self.fin_is_unsent() {
            sys::shutdown(self.fd, Shutdown::Write).at(STEP, "shutdown(SHUT_WR)")?;
        }
        Ok(())
    }

    fn losses(&self) -> Vec<Loss> {
        let mut losses = Vec::new();
        if !self.fins.is_emulated() {
            return losses;
        }
        let actual = match self.snapshot.state {
            TcpState::CloseWait => TcpState::Established,
            _ => TcpState::FinWait1,
        };
        let detail = format!(
            "{actual} instead of {}, since no packet puts the FIN back",
            self.snapshot.state
        );
        losses.push(Loss::new(Lost::State, detail));
        if self.snapshot.state == TcpState::FinWait2 {
            let detail = "our FIN, which the peer has acknowledged, is sent once more";
            losses.push(Loss::new(Lost::RepeatedFin, detail));
        }
        losses
    }
}

fn fin_is_unsent(snapshot: &Snapshot, in_flight: InFlight) -> bool {
    let behind_unsent = in_flight == InFlight::AsUnsent && !snapshot.send.bytes.is_empty();
    snapshot.state.owes_fin() && (snapshot.send.fin_unsent || behind_unsent)
}

/// Whether something has to be sent as soon as the connection is resumed.
pub(crate) fn has_tail(snapshot: &Snapshot, in_flight: InFlight) -> bool {
    let bytes = match in_flight {
        InFlight::AsSent => snapshot.send.unsent(),
        InFlight::AsUnsent => &snapshot.send.bytes,
    };
    !bytes.is_empty() || fin_is_unsent(snapshot, in_flight)
}

fn set(fd: BorrowedFd<'_>, option: Opt, value: i32) -> Result<(), Error> {
    sys::set_int(fd, option, value).at(STEP, option.setting)
}

pub(crate) fn set_window(fd: BorrowedFd<'_>, step: Step, window: Window) -> Result<(), Error> {
    sys::set(fd, Opt::TCP_REPAIR_WINDOW, &window.to_bytes())
        .at(step, Opt::TCP_REPAIR_WINDOW.setting)
}

fn quiet_off() -> Error {
    Error::new(STEP, ErrorKind::Unsupported(Unsupported::QuietOff))
}
