//! Helpers that set `TCP_REPAIR` for a library without capabilities: its own one, and one that fails on purpose.
//!
//! The latter is written without the library: it also says what is on the wire between the two.

use crate::verdict::Stop;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use soccr::Helper;
use soccr::raw::{self, Opt};
use std::fmt;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer is waited for that does not come, so that nothing hangs on how long this is.
const SHORT: Duration = Duration::from_millis(20);

/// How long a helper that will be late is waited for until then: a bound, as its answers do come. What is waited for in
/// vain, too, where the library asks again before it could be made impatient.
const LONG: Duration = Duration::from_secs(2);

/// What a helper does to a request instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It ends.
    EndBefore,
    /// It does what it is asked, and ends without an answer.
    EndAfter,
    /// It answers with a byte that is no answer, and does nothing.
    Garbage,
    /// It answers that the kernel has refused (`EPERM`).
    Refuse,
    /// It answers, and does nothing.
    Idle,
    /// It does nothing until the library has given it up, and then everything that it was asked, in its order.
    Late,
}

impl Manner {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::EndBefore, "ends-before"),
        (Self::EndAfter, "ends-after"),
        (Self::Garbage, "answers-garbage"),
        (Self::Refuse, "refuses"),
        (Self::Idle, "does-nothing"),
        (Self::Late, "is-late"),
    ];
}

/// A helper that is running, in this process.
pub struct Running {
    /// The way to it.
    pub helper: Helper,
    release: Sender<()>,
    thread: JoinHandle<io::Result<usize>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.helper.fmt(f)
    }
}

/// Starts the library's own.
///
/// # Errors
/// [`Stop::Broken`] where there is no pair of sockets.
pub fn serve() -> Result<Running, Stop> {
    start(|stream, _, library| {
        // The stream ends with the last descriptor of its other end.
        drop(library);
        soccr::helper::serve(stream).map(|()| 0)
    })
}

/// Starts one that does what it is asked, and counts it; but for the request with a number from 0, if there is one.
///
/// # Errors
/// [`Stop::Broken`] where there is no pair of sockets.
pub fn scripted(fails: Option<(usize, Manner)>) -> Result<Running, Stop> {
    let late = fails.filter(|(_, manner)| *manner == Manner::Late);
    let mut running = start(move |stream, released, library| {
        let impatient = late.map(|(at, _)| (at, library));
        follow(&stream, fails, &released, impatient)
    })?;
    if let Some((at, _)) = late {
        let patience = if at == 0 { SHORT } else { LONG };
        running.helper = running.helper.patience(patience)?;
    }
    Ok(running)
}

impl Running {
    /// Lets go of one that is late, waits until it has done all that it was asked, and tells how many requests those were.
    ///
    /// # Errors
    /// [`Stop::Broken`] with what it has failed of.
    pub fn end(self) -> Result<usize, Stop> {
        let Self {
            helper,
            release,
            thread,
        } = self;
        drop(release);
        drop(helper);
        let ended = thread.join();
        let ended = ended.map_err(|_| Stop::Broken("the helper panicked".to_owned()))?;
        Ok(ended?)
    }
}

fn start(
    work: impl FnOnce(UnixStream, Receiver<()>, UnixStream) -> io::Result<usize> + Send + 'static,
) -> Result<Running, Stop> {
    let (ours, theirs) = UnixStream::pair()?;
    let library = ours.try_clone()?;
    let (release, released) = channel();
    Ok(Running {
        helper: Helper::new(ours)?,
        release,
        thread: std::thread::spawn(move || work(theirs, released, library)),
    })
}

fn follow(
    stream: &UnixStream,
    fails: Option<(usize, Manner)>,
    released: &Receiver<()>,
    mut impatient: Option<(usize, UnixStream)>,
) -> io::Result<usize> {
    let mut number = 0;
    // Whoever is to be late for the first request has an impatient library from the start.
    impatient.take_if(|(at, _)| *at == 0);
    while let Some((mode, sockets)) = receive(stream.as_fd())? {
        let set = || -> io::Result<()> {
            sockets
                .iter()
                .try_for_each(|socket| raw::set_int(socket, Opt::TCP_REPAIR, mode.into()))
        };
        let mut answer = mode;
        match fails.filter(|(at, _)| *at == number) {
            None => set()?,
            Some((_, Manner::EndBefore)) => return Ok(number),
            Some((_, Manner::EndAfter)) => {
                set()?;
                return Ok(number);
            }
            Some((_, Manner::Garbage)) => answer = 77,
            Some((_, Manner::Refuse)) => answer = -2,
            Some((_, Manner::Idle)) => {}
            Some((_, Manner::Late)) => {
                // Says that the other end is gone, which is what is waited for.
                let _ = released.recv();
                set()?;
            }
        }
        drop(sockets);
        // Whoever does not wait any more does not hear it.
        let _ = (&*stream).write(&answer.to_ne_bytes());
        number += 1;
        if let Some((_, library)) = impatient.take_if(|(at, _)| *at == number) {
            library.set_read_timeout(Some(SHORT))?;
        }
    }
    Ok(number)
}

/// A request; `None` at the end of the stream.
fn receive(from: BorrowedFd<'_>) -> io::Result<Option<(i8, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = {
        let mut slices = [IoSliceMut::new(&mut byte)];
        recvmsg(from, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    };
    let count = match received {
        Err(rustix::io::Errno::CONNRESET) => 0,
        received => received?.bytes,
    };
    let sockets = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((count > 0).then_some((i8::from_ne_bytes(byte), sockets)))
}
