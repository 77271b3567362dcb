//! What can go wrong, said so that the reader knows what to do.

mod hint;

use crate::helper::Failure;
use crate::queue::Queue;
use crate::state::TcpState;
use std::fmt;
use std::io;

/// A save or a restore that did not happen: the step it was at, and why.
///
/// After an error from a save the connection runs on as before, unless the error is one from resuming it: then the
/// kernel has refused to take it out of repair mode ([`Step::Resume`]). After an error from a restore the half-built
/// socket is gone without a packet, and the snapshot can be restored again.
#[derive(Debug)]
pub struct Error {
    step: Step,
    kind: Box<ErrorKind>,
}

/// The steps of a save and of a restore, in the order in which they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Looking at the socket before it is paused.
    Inspect,
    /// Entering repair mode.
    Pause,
    /// Reading everything but the queues.
    ReadData,
    /// Reading a queue.
    ReadQueue(Queue),
    /// Checking a snapshot.
    Validate,
    /// Creating the socket to restore into.
    Create,
    /// Restoring what has to be there before `bind` and `connect`.
    UnboundData,
    /// Binding to the local address.
    Bind,
    /// Connecting, without a packet, to the remote address.
    Connect,
    /// Restoring what has to be there before the queues.
    NoQueueData,
    /// Writing a queue.
    WriteQueue(Queue),
    /// Restoring what has to come after the queues.
    RemainingData,
    /// Leaving repair mode, and putting back what it changed.
    Resume,
    /// Ending a connection without a packet.
    Close,
}

/// Why a step failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel refused a system call.
    System {
        /// The call, with its option.
        call: &'static str,
        /// What it returned.
        source: io::Error,
    },
    /// The helper that is to set `TCP_REPAIR` has failed ([`with_helper`](crate::with_helper)).
    Helper(Failure),
    /// This kind of socket, this state or this kernel is not one that can do it; a socket to save is untouched.
    Unsupported(Unsupported),
    /// The snapshot says something that no connection can be.
    Refused(Refusal),
    /// Somebody else has put the socket into repair mode.
    AlreadyInRepair,
    /// Data kept moving between the reads of one save.
    Unstable {
        /// How many times everything was read.
        attempts: u32,
    },
    /// A queue is longer than the buffer that the kernel grants here.
    Buffer {
        /// The queue.
        queue: Queue,
        /// Bytes to put in.
        wanted: usize,
        /// Bytes that went in, if it came to that.
        accepted: usize,
        /// Size of the buffer, bytes, as the kernel counts it (with its own overhead).
        granted: usize,
    },
    /// The kernel has no memory for a queue, though its buffer is large enough: that of all sockets together, or of a control
    /// group, is used up (guide A67).
    #[non_exhaustive]
    Memory {
        /// The queue.
        queue: Queue,
        /// Bytes to put in.
        wanted: usize,
        /// Bytes that went in.
        accepted: usize,
    },
    /// A packet that puts a FIN back was sent, and did not come in.
    #[non_exhaustive]
    NotInjected {
        /// The state that it should have brought about.
        wanted: TcpState,
    },
    /// The link that link-local addresses belong to is not in this network namespace.
    #[non_exhaustive]
    NoLink {
        /// Its name.
        name: String,
    },
    /// Something is not what the restore needs: a value that the kernel took for another, a socket of the caller's own.
    #[non_exhaustive]
    Mismatch {
        /// What was looked at.
        what: &'static str,
        /// What it has to be.
        wanted: String,
        /// What it is.
        found: String,
    },
}

/// What this version, or this kernel, cannot save, restore or close silently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// Not a TCP socket: the protocol number.
    Protocol(i32),
    /// A state that no restore can bring about: LISTEN, SYN-RECEIVED, TIME-WAIT.
    State(TcpState),
    /// A state with a number that no kernel had when this was written.
    UnknownState(u8),
    /// Urgent data is waiting: what lies behind the mark cannot be read without consuming it.
    UrgentData {
        /// Bytes up to the mark.
        readable: usize,
        /// Bytes received and not read.
        unread: usize,
    },
    /// An upper-layer protocol such as `tls` sits on the socket.
    UpperLayer(String),
    /// An eBPF filter is attached, which cannot be read.
    EbpfFilter,
    /// The application has locked its socket filter, so that none can be put in its place as an ingress lock.
    LockedFilter,
    /// TCP-AO signs the segments of the connection, with keys that are not carried.
    Authentication,
    /// The connection has negotiated Accurate ECN (RFC 9768; kernel 7.0), and the peer would count congestion marks that
    /// never were (guide H4).
    AccurateEcn,
    /// The kernel cannot leave repair mode quietly, which an unsent tail needs (`TCP_REPAIR_OFF_NO_WP`, 4.19).
    QuietOff,
}

/// A value in a snapshot that no connection can have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The field, as it is written in Rust.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// The rule that it breaks.
    pub rule: String,
}

impl Refusal {
    pub(crate) fn new(field: &'static str, value: impl ToString, rule: impl ToString) -> Self {
        Self {
            field,
            value: value.to_string(),
            rule: rule.to_string(),
        }
    }
}

impl Error {
    pub(crate) fn new(step: Step, kind: ErrorKind) -> Self {
        Self {
            step,
            kind: Box::new(kind),
        }
    }

    pub(crate) fn mismatch(
        step: Step,
        what: &'static str,
        wanted: impl ToString,
        found: impl ToString,
    ) -> Self {
        let kind = ErrorKind::Mismatch {
            what,
            wanted: wanted.to_string(),
            found: found.to_string(),
        };
        Self::new(step, kind)
    }

    /// What was being done.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The `errno` of the system call, if it was one that failed.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match &*self.kind {
            ErrorKind::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.kind)?;
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspect => f.write_str("looking at the socket before pausing it"),
            Self::Pause => f.write_str("pausing the socket"),
            Self::ReadData => f.write_str("reading the state of the socket"),
            Self::ReadQueue(queue) => write!(f, "reading the {queue}"),
            Self::Validate => f.write_str("checking the snapshot"),
            Self::Create => f.write_str("creating a socket"),
            Self::UnboundData => f.write_str("restoring unbound data"),
            Self::Bind => f.write_str("binding to the local address"),
            Self::Connect => f.write_str("connecting to the remote address in repair mode"),
            Self::NoQueueData => f.write_str("restoring no-queue data"),
            Self::WriteQueue(queue) => write!(f, "restoring the {queue}"),
            Self::RemainingData => f.write_str("restoring the remaining data"),
            Self::Resume => f.write_str("resuming the socket"),
            Self::Close => f.write_str("closing the connection without a packet"),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { call, source } => write!(f, "{call}: {source}"),
            Self::Unsupported(unsupported) => unsupported.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Helper(failure) => failure.fmt(f),
            Self::AlreadyInRepair => f.write_str("the socket is already in repair mode"),
            Self::Unstable { attempts } => {
                write!(
                    f,
                    "data kept moving while it was read, {attempts} times in a row"
                )
            }
            Self::Buffer {
                queue,
                wanted,
                accepted,
                granted,
            } => write!(
                f,
                "the {queue} holds {wanted} bytes, of which {accepted} went into the buffer of {granted} that the \
                 kernel grants here"
            ),
            Self::Memory {
                queue,
                wanted,
                accepted,
            } => write!(
                f,
                "the kernel has no memory for the {queue}: of {wanted} bytes it took {accepted}"
            ),
            Self::NotInjected { wanted } => write!(
                f,
                "the packet that puts the FIN back has not brought the socket into the state {wanted}"
            ),
            Self::NoLink { name } => {
                write!(
                    f,
                    "there is no link {name:?}, which the link-local address belongs to"
                )
            }
            Self::Mismatch {
                what,
                wanted,
                found,
            } => write!(f, "{what} has to be {wanted}, and is {found}"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(libc::IPPROTO_MPTCP) => f.write_str("the socket is an MPTCP socket"),
            Self::Protocol(number) => {
                write!(f, "the socket has protocol {number}, which is not TCP")
            }
            Self::State(state) => write!(f, "the socket is in the state {state}"),
            Self::UnknownState(number) => {
                write!(f, "the kernel reports an unknown state, {number}")
            }
            Self::UrgentData { readable, unread } => write!(
                f,
                "urgent data is waiting: only {readable} of {unread} received bytes lie before the urgent mark"
            ),
            Self::UpperLayer(name) => {
                write!(f, "the upper-layer protocol {name:?} sits on the socket")
            }
            Self::EbpfFilter => f.write_str("an eBPF filter is attached to the socket"),
            Self::LockedFilter => f.write_str("the socket filter is locked"),
            Self::Authentication => f.write_str("TCP-AO signs the segments of the connection"),
            Self::AccurateEcn => f.write_str("the connection has negotiated Accurate ECN"),
            Self::QuietOff => {
                f.write_str("the kernel cannot leave repair mode without a window probe")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} {}", self.field, self.value, self.rule)
    }
}

impl std::error::Error for Refusal {}

// No `source()`: the message says the cause already, and a chain would say it twice. `kind()` has it.
impl std::error::Error for Error {}

/// Names the step and the call at which a system call failed.
pub(crate) trait At<T> {
    /// `call` as it is written in C, with its option.
    fn at(self, step: Step, call: &'static str) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: Step, call: &'static str) -> Result<T, Error> {
        self.map_err(|source| {
            let kind = match source.downcast::<Failure>() {
                Ok(failure) => ErrorKind::Helper(failure),
                Err(source) => ErrorKind::System { call, source },
            };
            Error::new(step, kind)
        })
    }
}
