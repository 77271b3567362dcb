//! A library with the C interface, and its caller.

use super::Subject;
use super::caller;
use super::library::{Refusal, Restored};
use super::message::{Reply, Request};
use super::session::Session;
use crate::verdict::{Failure, Stop, Verdict, expect_eq};
use lab::Host;
use soccr::Snapshot;
use soccr_capi::SkData;
use soccr_capi::client::{from_numbers, numbers};
use std::marker::PhantomData;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes of the structure have a meaning in this version of the interface.
const MEANINGFUL: i32 = 68;

/// What a library did that its contract forbids, and that no oracle sees.
pub(crate) type Breaches = Arc<Mutex<Vec<Failure>>>;

/// A library with the C interface, with a process for each host that it is used on.
pub(super) struct Driver {
    subject: Subject,
    breaches: Breaches,
    sessions: Mutex<Vec<(String, Arc<Session>)>>,
    /// What the last save has given.
    last: Mutex<Option<Numbers>>,
}

/// The numbers of a save.
#[derive(Clone, Copy)]
struct Numbers {
    /// As the library has given them.
    given: SkData,
    /// As the snapshot has them.
    understood: SkData,
}

impl Driver {
    pub(super) fn new(subject: Subject, breaches: Breaches) -> Self {
        Self {
            subject,
            breaches,
            sessions: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// The process on this host, started if need be.
    fn session(&self, host: &Host) -> Result<Arc<Session>, Stop> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, session)) = sessions.iter().find(|(name, _)| name == host.name()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::start(host, &self.subject)?);
        sessions.push((host.name().to_owned(), Arc::clone(&session)));
        Ok(session)
    }

    pub(super) fn pause<'a>(
        self: &Arc<Self>,
        host: &Host,
        socket: &'a TcpStream,
    ) -> Result<Result<ByC<'a>, Refusal>, Stop> {
        let mut carried = Snapshot::new(caller::endpoints(socket)?);
        caller::read(host, socket, &mut carried)?;
        let session = self.session(host)?;
        let request = Request::Pause;
        let (reply, _) = session.ask(&request, [&[], &[]], Some(socket.as_fd()))?;
        Ok(match reply {
            Reply::Done => Ok(ByC {
                driver: Arc::clone(self),
                session,
                carried: Box::new(carried),
                _socket: PhantomData,
            }),
            other => Err(session.refusal(&request, other)?),
        })
    }

    pub(super) fn restore(
        self: &Arc<Self>,
        host: &Host,
        snapshot: &Snapshot,
    ) -> Result<Result<Restored, Refusal>, Stop> {
        let session = self.session(host)?;
        let socket = caller::socket(host, snapshot)?;
        let [local, remote] = caller::addresses(snapshot.endpoints);
        let request = Request::Restore {
            data: numbers(&self.numbers(snapshot)),
            local,
            remote,
        };
        let queues = [&*snapshot.receive.bytes, &*snapshot.send.bytes];
        let (reply, _) = session.ask(&request, queues, Some(socket.as_fd()))?;
        match reply {
            Reply::Restored { edited } => {
                self.edited(edited);
                Ok(Ok(Restored::ByC(RestoredByC {
                    session,
                    socket,
                    resumed: false,
                    snapshot: Box::new(snapshot.clone()),
                })))
            }
            Reply::Failed { failed, edited } => {
                self.edited(edited);
                Ok(Err(session.told(&request, failed)))
            }
            other => Ok(Err(session.refusal(&request, other)?)),
        }
    }

    /// What a library is given for a snapshot: the very numbers that it has saved, but for those that the case has changed.
    fn numbers(&self, snapshot: &Snapshot) -> SkData {
        let wanted = understood(snapshot);
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Numbers { given, understood }) = last else {
            return wanted;
        };
        let (given, understood) = (numbers(&given), numbers(&understood));
        let mut result = numbers(&wanted);
        for (number, (given, understood)) in
            result.iter_mut().zip(given.into_iter().zip(understood))
        {
            if *number == understood {
                *number = given;
            }
        }
        from_numbers(result)
    }

    fn edited(&self, edited: Vec<String>) {
        if edited.is_empty() {
            return;
        }
        let what = "what the library was given for the restore";
        let failure = Failure::new(what, "the same afterwards", edited.join(", "));
        let mut breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        breaches.push(failure);
    }
}

/// The numbers of a snapshot, its clock as it is: whether it is to be passed on so is for the library to know.
fn understood(snapshot: &Snapshot) -> SkData {
    let mut data = SkData::of(snapshot, snapshot.options.mask());
    if let Some(clock) = snapshot.options.timestamps {
        data.timestamp = clock.value;
    }
    data
}

/// A socket that is paused by a library with the C interface.
pub struct ByC<'a> {
    driver: Arc<Driver>,
    session: Arc<Session>,
    _socket: PhantomData<&'a TcpStream>,
    /// What the caller carries.
    carried: Box<Snapshot>,
}

impl ByC<'_> {
    /// Saves the connection; the socket stays paused, unless that fails.
    pub(super) fn save(&self) -> Result<Result<Snapshot, Refusal>, Stop> {
        let request = Request::Save;
        let (reply, [receive, send]) = self.session.ask(&request, [&[], &[]], None)?;
        let Reply::Saved { returned, data } = reply else {
            return Ok(Err(self.session.refusal(&request, reply)?));
        };
        expect_eq("what the save returned, in bytes", returned, MEANINGFUL)?;
        let given = from_numbers(data);
        let snapshot = given.snapshot(self.carried.endpoints, receive, send);
        let mut snapshot = snapshot.map_err(|fault| {
            Failure::new("the numbers of the save", "those of a connection", fault)
        })?;
        let understood = understood(&snapshot);
        *self
            .driver
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Numbers { given, understood });
        let carried = &self.carried;
        snapshot.link.clone_from(&carried.link);
        snapshot.buffers = carried.buffers;
        snapshot.reuse_address = carried.reuse_address;
        snapshot.nonblocking = carried.nonblocking;
        snapshot.socket_options.clone_from(&carried.socket_options);
        Ok(Ok(snapshot))
    }

    /// Ends the handle alone; what is read in repair mode from here on is not the library's.
    pub(super) fn release(self) -> Verdict {
        self.session.done(&Request::Release)
    }

    pub(super) fn resume(self) -> Verdict {
        self.session.done(&Request::Resume)
    }
}

/// A socket that a library with the C interface has restored a connection into.
pub struct RestoredByC {
    session: Arc<Session>,
    socket: OwnedFd,
    resumed: bool,
    snapshot: Box<Snapshot>,
}

impl RestoredByC {
    pub(super) fn resume(mut self) -> Result<TcpStream, Stop> {
        caller::put_back(&self.socket, &self.snapshot)?;
        self.resumed = true;
        self.session.done(&Request::Resume)?;
        Ok(self.socket.try_clone()?.into())
    }
}

impl AsFd for RestoredByC {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A restore that is given up: nothing of it may be left.
impl Drop for RestoredByC {
    fn drop(&mut self) {
        if !self.resumed {
            // A process that has gone holds nothing any more.
            let _ = self.session.done(&Request::Release);
        }
    }
}
