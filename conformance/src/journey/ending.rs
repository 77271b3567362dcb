//! How far the close of a connection has come when it is saved.

use super::{PATIENCE, Receive, Send, Traveller};
use crate::oracle::stream::End;
use crate::verdict::Verdict;
use lab::wait;
use soccr::{TcpState, raw};

/// How far the close of a connection has come.
///
/// Whether our FIN was sent follows from the send queue: behind data that waits for a window it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Neither end has closed.
    None,
    /// We have closed, and the peer has not acknowledged it.
    FinWait1,
    /// We have closed, and the peer has acknowledged it.
    FinWait2,
    /// The peer has closed.
    CloseWait,
    /// The peer has closed, then we have, and it has not acknowledged it.
    LastAck,
    /// Both have closed, neither knowing of the other.
    Closing,
}

impl Ending {
    /// The state that it brings a socket to.
    #[must_use]
    pub fn state(self) -> TcpState {
        match self {
            Self::None => TcpState::Established,
            Self::FinWait1 => TcpState::FinWait1,
            Self::FinWait2 => TcpState::FinWait2,
            Self::CloseWait => TcpState::CloseWait,
            Self::LastAck => TcpState::LastAck,
            Self::Closing => TcpState::Closing,
        }
    }
}

impl Traveller {
    /// Fills both queues, and closes as far as wanted.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where it does not come to that.
    pub fn fill_and_end(&mut self, receive: Receive, send: Send, ending: Ending) -> Verdict {
        if matches!(ending, Ending::CloseWait | Ending::LastAck) {
            self.fill(receive, Send::Empty)?;
            self.talk.end(End::Peer, &self.peer)?;
            self.reaches(TcpState::CloseWait)?;
            self.peer_is(&[TcpState::FinWait2], "the peer's FIN is acknowledged")?;
            self.fill(Receive::Empty, send)?;
        } else {
            self.fill(receive, send)?;
        }
        match ending {
            Ending::None | Ending::CloseWait => {}
            Ending::FinWait1 | Ending::LastAck => {
                self.lock.block_ingress(&self.pair, self.flow)?;
                self.talk.end(End::Subject, &self.subject)?;
            }
            Ending::FinWait2 => self.talk.end(End::Subject, &self.subject)?,
            Ending::Closing => {
                // Our FIN is lost, and so is what would acknowledge the peer's.
                self.lock.block_egress(&self.pair, self.flow)?;
                self.talk.end(End::Subject, &self.subject)?;
                self.lock.unblock_ingress();
                self.talk.end(End::Peer, &self.peer)?;
            }
        }
        self.reaches(ending.state())?;
        if matches!(ending, Ending::FinWait1 | Ending::LastAck)
            && send != Send::Unsent
            && send != Send::Both
        {
            self.fin_arrives()?;
        }
        Ok(())
    }

    /// Waits until the subject is in a state.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where it does not come to it.
    pub fn reaches(&self, state: TcpState) -> Verdict {
        let reached = || raw::tcp_info(&self.subject).is_ok_and(|info| info.state == state as u8);
        Ok(wait::until(
            format!("the subject is in the state {state}"),
            PATIENCE,
            reached,
        )?)
    }

    /// Waits until the peer has our FIN.
    fn fin_arrives(&self) -> Verdict {
        let states = [TcpState::CloseWait, TcpState::Close];
        self.peer_is(&states, "the FIN has arrived")
    }

    /// Waits until the peer is in one of these states. An acknowledgement that is due would leave whenever its timer says
    /// so, in a pause too.
    fn peer_is(&self, states: &[TcpState], what: &str) -> Verdict {
        let reached = || {
            let info = raw::tcp_info(&self.peer);
            info.is_ok_and(|info| {
                TcpState::from_kernel(info.state).is_some_and(|state| states.contains(&state))
            })
        };
        Ok(wait::until(what, PATIENCE, reached)?)
    }
}
