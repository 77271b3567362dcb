//! Saves and restores without capabilities: a helper sets `TCP_REPAIR` in place of the program, and does nothing else.
//!
//! It is the only call of a save or a restore that takes a capability (`CAP_NET_ADMIN`). What others are for is done
//! without: FINs are put back by [`FinMode::Emulate`](crate::FinMode::Emulate), buffers are not forced, and options
//! that the application could only set with privileges become losses.
//!
//! The privileged process ([`serve()`]):
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! // In a folder that only the program's user can enter.
//! let listener = std::os::unix::net::UnixListener::bind("/run/program/repair")?;
//! for stream in listener.incoming() {
//!     let stream = stream?;
//!     std::thread::spawn(move || soccr::helper::serve(stream));
//! }
//! # Ok(()) }
//! ```
//!
//! The program:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let stream = std::net::TcpStream::connect("192.0.2.1:80")?;
//! let helper = soccr::Helper::connect("/run/program/repair")?;
//! let snapshot = soccr::with_helper(&helper, || soccr::save_and_close(stream))?;
//! // …
//! let restored = soccr::with_helper(&helper, || snapshot.restore())?;
//! let stream = restored.resume()?; // by the helper that has paused it
//! # Ok(()) }
//! ```
//!
//! # What to protect
//! Whoever can speak to a helper can take connections of its own from their peers' sight, and make connections that no
//! handshake has opened, from any address and port that it may bind to, in every network namespace over which the helper
//! has `CAP_NET_ADMIN` and of which it has a socket. Keep the path of the Unix socket in a folder that nobody else can
//! enter, look at the peer's user (`SO_PEERCRED`) before [`serve()`], and give the helper `CAP_NET_ADMIN` and nothing more.
//!
//! The permission is that of the user namespace that owns the network namespace in which the socket was created (guide
//! A1), wherever the helper itself is.
//!
//! # The protocol
//! That of passt's `passt-repair`, which can be the helper (guide C27): it connects to a path on which the program listens,
//! so that the program accepts and calls [`Helper::new`].
//!
//! A request is one signed byte, the value of `TCP_REPAIR` (1, 0, -1), with 1 to 253 sockets (`SCM_RIGHTS`); its answer is
//! the same byte, once it is done and the helper has closed its descriptors. The end of the stream ends the helper. If the
//! kernel refuses, `passt-repair` ends; [`serve()`] answers -1 - `errno`, which is never one of the three, and stays.
//!
//! # If a helper fails
//! [`ErrorKind::Helper`](crate::ErrorKind::Helper) says how. What was done is looked up in the socket, whatever was
//! answered: nobody else than the helper can undo it. A restore that fails leaves nothing. A save leaves the connection
//! as before, unless the helper is gone after it has paused the socket: then nobody can resume it but another helper, with
//! [`Rescue::put_back`](crate::Rescue::put_back). A helper that is late is given up after [`PATIENCE`]; it still does what
//! it was asked, in that order, when it comes to it: a socket that was to be saved is paused for a moment then and loses
//! `SO_REUSEADDR`; one that was to be restored is gone, and says nothing but to its own host (from kernel 5.7).

mod serve;

pub use serve::serve;

use crate::raw::{Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use crate::repair::persist;
use crate::switch::Switch;
use crate::sys;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an answer is waited for, unless [`Helper::patience`] says otherwise. It comes within microseconds; the bound
/// is for a host that is overloaded, and for a helper that is stuck.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The way to a process that sets `TCP_REPAIR`. Clones share it; requests of several threads follow each other.
#[derive(Clone, Debug)]
pub struct Helper(Arc<Mutex<Conversation>>);

#[derive(Debug)]
struct Conversation {
    stream: UnixStream,
    patience: Duration,
    /// Answers that have not come.
    owed: u32,
    /// Whether nothing more is asked: it was silent twice in a row.
    over: bool,
}

/// How a helper has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// It cannot be spoken to any more: it has ended, or has refused what it was asked by ending.
    Gone(io::Error),
    /// It has not answered within this time.
    Silent(Duration),
    /// It has answered with a byte that is no answer to what it was asked.
    #[non_exhaustive]
    Answer {
        /// The byte that it was sent.
        asked: i8,
        /// The byte that came back.
        answered: i8,
    },
    /// It has answered as if it had done what it was asked, and the socket says otherwise.
    Idle,
}

impl Helper {
    /// Connects to a helper that listens.
    ///
    /// # Errors
    /// What `connect` returns.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(UnixStream::connect(path)?)
    }

    /// Takes the stream to a helper: one that was accepted from it, or half of a pair. It is made blocking, and its timeouts
    /// are set ([`PATIENCE`]).
    ///
    /// # Errors
    /// What setting a timeout returns.
    #[doc(alias = "passt-repair")]
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        let helper = Self(Arc::new(Mutex::new(Conversation {
            stream,
            patience: PATIENCE,
            owed: 0,
            over: false,
        })));
        helper.patience(PATIENCE)
    }

    /// Chooses how long an answer is waited for; every clone waits as long.
    ///
    /// # Errors
    /// What setting a timeout returns; `InvalidInput` for none at all.
    pub fn patience(self, patience: Duration) -> io::Result<Self> {
        self.with(|conversation| -> io::Result<()> {
            conversation.stream.set_read_timeout(Some(patience))?;
            conversation.stream.set_write_timeout(Some(patience))?;
            conversation.patience = patience;
            Ok(())
        })?;
        Ok(self)
    }

    /// Sets `TCP_REPAIR` of 1 to 253 sockets: for callers of [`raw`](crate::raw), which does everything itself.
    ///
    /// # Errors
    /// What the kernel has said to the helper, `EINVAL` for a value or a number of sockets that no request can have; a
    /// [`Failure`] inside where it is the helper that has failed. The mode of a socket can be read without it.
    pub fn switch(&self, sockets: &[BorrowedFd<'_>], mode: i32) -> io::Result<()> {
        let (byte, wanted) = match mode {
            TCP_REPAIR_ON => (1, 1),
            TCP_REPAIR_OFF => (0, 0),
            TCP_REPAIR_OFF_NO_WP => (-1, 0),
            _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        if !(1..=sys::MAX_RIGHTS).contains(&sockets.len()) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let answered = self.with(|conversation| conversation.ask(sockets, byte));
        // Where the socket does not tell, the answer has to do.
        let done = sockets.iter().all(|socket| {
            sys::get_int(*socket, Opt::TCP_REPAIR).map_or(answered.is_ok(), |found| found == wanted)
        });
        // What the socket says counts: a connection that lives must not be taken for one that does not.
        match done {
            true => Ok(()),
            false => answered.and_then(|()| Err(Failure::Idle.into())),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Conversation) -> T) -> T {
        // Whoever has panicked has left a count of answers that is right.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Conversation {
    fn ask(&mut self, sockets: &[BorrowedFd<'_>], mode: i8) -> io::Result<()> {
        if self.over {
            return Err(self.silent());
        }
        let late = self.owed > 0;
        sys::send_rights(self.stream.as_fd(), mode as u8, sockets).map_err(Failure::Gone)?;
        self.owed += 1;
        loop {
            let Some(answer) = self.hear()? else {
                self.over = late;
                return Err(self.silent());
            };
            self.owed -= 1;
            // Another one is that of a request which was given up.
            if self.owed == 0 {
                return judge(mode, answer);
            }
        }
    }

    /// The next answer; `None` where none comes in time.
    fn hear(&self) -> Result<Option<i8>, Failure> {
        let mut byte = [0];
        let heard = persist(|| match sys::recv(self.stream.as_fd(), &mut byte, 0) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        });
        match heard {
            Ok(None) => Ok(None),
            Ok(Some(0)) => Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(Some(_)) => Ok(Some(i8::from_ne_bytes(byte))),
            Err(error) => Err(Failure::Gone(error)),
        }
    }

    fn silent(&self) -> io::Error {
        Failure::Silent(self.patience).into()
    }
}

fn judge(asked: i8, answered: i8) -> io::Result<()> {
    match (asked, answered) {
        (asked, answered) if asked == answered => Ok(()),
        (_, ..=-2) => Err(io::Error::from_raw_os_error(-1 - i32::from(answered))),
        (asked, answered) => Err(Failure::Answer { asked, answered }.into()),
    }
}

/// Does work during which this thread's saves and restores leave `TCP_REPAIR` to a helper.
///
/// A socket that is paused meanwhile is resumed by the same helper, wherever and on whatever thread that happens; so it is
/// where its guard is dropped. [`probe()`](crate::probe()) and [`Rescue::put_back`](crate::Rescue::put_back) go by it too;
/// [`raw`](crate::raw) does not.
///
/// It is a matter of the thread, and not of the settings, because it says nothing about a connection: the same calls,
/// with the same settings, are made by a program with the capability and by one without.
pub fn with_helper<T>(helper: &Helper, work: impl FnOnce() -> T) -> T {
    Switch::helper(helper).during(work)
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

impl Failure {
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Gone(_) => {
                "start the helper again and connect to it; passt-repair ends where the kernel refuses, and says why; a \
                 socket that is still in repair mode: Rescue::put_back"
            }
            Self::Silent(_) => {
                "look what keeps the helper; a socket that is still in repair mode: Rescue::put_back by another one"
            }
            Self::Answer { .. } => "it speaks another protocol: see soccr::helper",
            Self::Idle => "it does not set TCP_REPAIR: see soccr::helper",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(error) => write!(f, "the helper cannot be spoken to: {error}"),
            Self::Silent(patience) => write!(f, "the helper has not answered within {patience:?}"),
            Self::Answer { asked, answered } => {
                write!(f, "the helper has answered {answered} to {asked}")
            }
            Self::Idle => f.write_str(
                "the helper has answered, but TCP_REPAIR of the socket is not what it was asked for",
            ),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Family;
    use crate::raw;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    /// A helper that says what the test says, and a socket.
    fn mute() -> (Helper, UnixStream, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let helper = Helper::new(ours).unwrap();
        let helper = helper.patience(Duration::from_millis(1)).unwrap();
        (helper, theirs, raw::tcp_socket(Family::V4).unwrap())
    }

    fn failure(result: io::Result<()>) -> Failure {
        result.unwrap_err().downcast().unwrap()
    }

    fn requests(stream: &UnixStream) -> usize {
        stream.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| sys::receive_rights(stream.as_fd()).ok().flatten()).count()
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_that_to_the_next_request() {
        let (helper, mut theirs, socket) = mute();
        let silent = failure(helper.switch(&[socket.as_fd()], TCP_REPAIR_ON));
        assert!(matches!(silent, Failure::Silent(_)), "{silent}");
        theirs.write_all(&[1, 2]).unwrap();
        let answer = failure(helper.switch(&[socket.as_fd()], TCP_REPAIR_ON));
        let right = matches!(
            answer,
            Failure::Answer {
                asked: 1,
                answered: 2
            }
        );
        assert!(right, "{answer}");
        assert_eq!(requests(&theirs), 2);
    }

    #[test]
    fn a_helper_that_is_silent_twice_is_not_asked_again() {
        let (helper, theirs, socket) = mute();
        for _ in 0..4 {
            let silent = failure(helper.switch(&[socket.as_fd()], TCP_REPAIR_ON));
            assert!(matches!(silent, Failure::Silent(_)), "{silent}");
        }
        assert_eq!(requests(&theirs), 2);
    }

    #[test]
    fn what_the_socket_says_counts() {
        let (helper, theirs, socket) = mute();
        drop(theirs);
        // It has never been in repair mode.
        helper
            .switch(&[socket.as_fd()], TCP_REPAIR_OFF_NO_WP)
            .unwrap();
        let gone = failure(helper.switch(&[socket.as_fd()], TCP_REPAIR_ON));
        assert!(matches!(gone, Failure::Gone(_)), "{gone}");
    }

    #[test]
    fn what_is_no_request_is_not_sent() {
        let (helper, theirs, socket) = mute();
        let fd = socket.as_fd();
        let many = [fd; sys::MAX_RIGHTS + 1];
        for (sockets, mode) in [(&[fd][..], 2), (&[fd], 256), (&[], 1), (&many, 0)] {
            let error = helper.switch(sockets, mode).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{mode}");
        }
        assert_eq!(requests(&theirs), 0);
    }

    #[test]
    fn a_helper_is_in_force_until_the_work_ends_however_it_ends() {
        let (helper, theirs, socket) = mute();
        drop(theirs);
        let is_gone = || {
            let entered = Switch::current().enter(socket.as_fd());
            entered.is_err_and(|error| error.downcast::<Failure>().is_ok())
        };
        assert!(with_helper(&helper, is_gone));
        assert!(!is_gone());
        let panicking = || with_helper(&helper, || std::panic::resume_unwind(Box::new(())));
        let caught: Result<(), _> =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking));
        caught.unwrap_err();
        assert!(!is_gone());
    }
}
