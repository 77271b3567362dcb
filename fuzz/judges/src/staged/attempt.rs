//! A restore by the staged interface, up to any step, with sockets and calls of the caller's own.

use super::{connection, told};
use arbitrary::Arbitrary;
use soccr::raw::{self, Opt};
use soccr::restore::{connected, create, create_from, stage};
use soccr::{Error, FinMode, InFlight, Restored, Settings, Snapshot, TcpState};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How something is restored.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Ways {
    socket: Whose,
    emulate: bool,
    in_flight: bool,
    ingress_lock: bool,
    freebind: bool,
    /// Whether the caller binds.
    binds: bool,
    /// Whether the caller connects, too, and the library goes on from there.
    connects: bool,
    /// After how many steps it is dropped.
    steps: u8,
    hands_over: bool,
}

/// The socket that it is restored into.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Whose {
    Library,
    Fresh,
    Fresh6,
    Datagrams,
}

/// What has become of a restore.
pub(super) enum Outcome {
    /// A socket, resumed.
    Alive(TcpStream),
    /// An error, or it was dropped on the way.
    Nothing,
}

/// The step at which a restore was dropped.
type Step<T> = Result<Option<T>, Error>;

impl Ways {
    pub(super) fn restore(self, snapshot: &Snapshot) -> Outcome {
        let untouched = snapshot.clone();
        let outcome = match self.try_restore(snapshot) {
            Ok(Some(socket)) => {
                let mode = raw::get_int(&socket, Opt::TCP_REPAIR);
                assert_eq!(mode.expect("a socket"), 0, "it is in repair mode");
                Outcome::Alive(socket)
            }
            Ok(None) => Outcome::Nothing,
            Err(error) => {
                told(&error);
                Outcome::Nothing
            }
        };
        assert!(*snapshot == untouched, "a restore has changed its snapshot");
        outcome
    }

    fn settings(self) -> Settings {
        let in_flight = match self.in_flight {
            true => InFlight::AsUnsent,
            false => InFlight::AsSent,
        };
        let fin = match self.emulate {
            true => FinMode::Emulate,
            false => FinMode::Auto,
        };
        Settings::new()
            .fin(fin)
            .in_flight(in_flight)
            .ingress_lock(self.ingress_lock)
            .freebind(self.freebind)
    }

    /// Whether it goes on behind this step.
    fn goes_on(self, step: u8) -> bool {
        // Most restores come to their end.
        self.steps > step * 4
    }

    fn try_restore(self, snapshot: &Snapshot) -> Step<TcpStream> {
        let created = match self.socket {
            Whose::Library => create(snapshot)?,
            Whose::Fresh => create_from(snapshot, fresh(Domain::IPV4))?,
            Whose::Fresh6 => create_from(snapshot, fresh(Domain::IPV6))?,
            Whose::Datagrams => create_from(snapshot, datagrams())?,
        };
        let paused = created.settings(self.settings()).pause()?;
        if !self.goes_on(0) {
            return Ok(None);
        }
        let unbound = paused.unbound_data()?;
        if !self.goes_on(1) {
            return Ok(None);
        }
        let connected = match (self.binds, self.connects) {
            (false, _) => unbound.bind()?.connect()?,
            (true, false) => {
                // Whether it works is the kernel's affair, and the library looks.
                let _ = raw::bind(&unbound, snapshot.endpoints.local);
                unbound.connect()?
            }
            (true, true) => self.by_hand(snapshot, unbound)?,
        };
        if !self.goes_on(2) {
            return Ok(None);
        }
        let queued = connected.no_queue_data()?.queue_bytes()?;
        if !self.goes_on(3) {
            return Ok(None);
        }
        let restored = queued.remaining_data()?;
        holds_both_queues(&restored, snapshot);
        self.resumed(restored).map(Some)
    }

    /// The caller binds and connects himself.
    fn by_hand<'s>(
        self,
        snapshot: &'s Snapshot,
        unbound: soccr::restore::Restoring<'s, stage::Unbound>,
    ) -> Result<soccr::restore::Restoring<'s, stage::Connected>, Error> {
        let socket = duplicate(&unbound);
        drop(unbound);
        let _ = raw::bind(&socket, snapshot.endpoints.local);
        let _ = raw::connect(&socket, snapshot.endpoints.remote);
        connected(snapshot, socket, self.settings())
    }

    fn resumed(self, restored: Restored) -> Result<TcpStream, Error> {
        for loss in restored.losses() {
            assert!(!loss.to_string().is_empty());
        }
        if !self.hands_over {
            return restored.resume();
        }
        let (socket, held) = restored.hand_over()?;
        held.resume(&socket)?;
        Ok(TcpStream::from(socket))
    }
}

fn fresh(domain: Domain) -> Socket {
    let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
    if domain == Domain::IPV6 {
        socket.set_only_v6(false).expect("an option");
    }
    socket
}

fn datagrams() -> OwnedFd {
    let socket = UdpSocket::bind("127.0.0.1:0");
    socket.expect("a socket").into()
}

fn duplicate(socket: &impl std::os::fd::AsFd) -> OwnedFd {
    let copy = socket.as_fd().try_clone_to_owned();
    copy.expect("a descriptor")
}

/// Both queues are as long as they were, our FIN among them.
fn holds_both_queues(restored: &Restored, snapshot: &Snapshot) {
    if !snapshot.state.is_synchronized() {
        return;
    }
    let received = raw::siocinq(restored).expect("a queue");
    assert_eq!(received as usize, snapshot.receive.bytes.len());
    // Where FINs are emulated, that of FIN-WAIT-2 is yet to be acknowledged.
    let owes_fin = connection::state(restored).is_some_and(TcpState::owes_fin);
    let fin = usize::from(owes_fin);
    let written = raw::siocoutq(restored).expect("a queue");
    assert_eq!(written as usize, snapshot.send.bytes.len() + fin);
}

/// Reads what was received, whoever the peer is meant to be, and closes the socket without waiting for anybody.
pub(super) fn read_and_close(mut socket: TcpStream, snapshot: &Snapshot) {
    connection::runs(&socket);
    if snapshot.state.is_synchronized() {
        socket.set_nonblocking(true).expect("it need not wait");
        let mut received = vec![0; snapshot.receive.bytes.len()];
        socket.read_exact(&mut received).expect("what was received");
        assert!(received == snapshot.receive.bytes, "other bytes");
    }
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}
