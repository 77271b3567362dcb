//! What can happen in a scenario.

use crate::oracle::stream::End;

/// What can happen in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An application writes so many bytes, or as many as its socket takes at once.
    Write(End, u32),
    /// An application reads so many bytes, or as many as there are; `None` reads all.
    Read(End, Option<u32>),
    /// An application ends its stream (`shutdown(SHUT_WR)`).
    End(End),
    /// An application sends one byte as urgent data, in line.
    Urgent(End),
    /// An application sets an option of its socket.
    Set(End, Setting),
    /// So many of the next segments that this end sends are lost; `None`: all until [`Step::Clear`].
    Lose(End, Option<u32>),
    /// What this end sends is held, until [`Step::Clear`].
    Hold(End),
    /// The next segment with data that this end sends is overtaken by so many later ones.
    Reorder(End, u32),
    /// So many of the next segments that this end sends arrive twice.
    Duplicate(End, u32),
    /// The network is as it should be again: what is held goes on.
    Clear,
    /// The links take IP packets up to another size, bytes.
    Mtu(u32),
    /// A connection is saved, and runs on.
    Checkpoint(Who),
    /// A connection is saved, its socket is closed, and it is restored on the same host.
    Restore(Who),
    /// The subject's connection is saved, its socket is closed, its address moves to the other host, and it is restored there.
    Move,
}

/// Which ends are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// One.
    One(End),
    /// Both, at the same time.
    Both,
}

impl Who {
    /// The ends, in the order in which they are saved.
    #[must_use]
    pub fn ends(self) -> &'static [End] {
        match self {
            Self::One(End::Subject) => &[End::Subject],
            Self::One(End::Peer) => &[End::Peer],
            Self::Both => &[End::Subject, End::Peer],
        }
    }
}

/// An option that an application sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// `TCP_NODELAY` on.
    NoDelay,
    /// `TCP_CORK`, on or off.
    Cork(bool),
    /// `SO_KEEPALIVE` on, with the times that the host has.
    KeepAlive,
    /// `SO_RCVBUF`, bytes as they are asked for.
    ReceiveBuffer(u32),
    /// `SO_SNDBUF`, bytes as they are asked for.
    SendBuffer(u32),
    /// `TCP_WINDOW_CLAMP`, bytes.
    WindowClamp(u32),
    /// `TCP_NOTSENT_LOWAT`, bytes.
    NotSentLowat(u32),
    /// `TCP_USER_TIMEOUT`, milliseconds.
    UserTimeout(u32),
    /// `IP_TOS` and `IPV6_TCLASS`.
    Tos(u8),
}
