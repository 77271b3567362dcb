//! An honest connection, and what has to be left of it.

use crate::world;
use arbitrary::Arbitrary;
use lab::{Connection, Family, wait};
use soccr::raw::{self, Opt};
use soccr::{Instruction, TcpState};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

/// A bound, never reached where all is well.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a connection is opened, and what has happened to it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Opened {
    family: Kind,
    /// How much the peer has written, which nobody has read.
    unread: u8,
    peer_ends: bool,
    ends: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    V4,
    V6,
    Mapped,
}

/// The peer, and what the other end still has to read and may write.
pub(super) struct Ends {
    opened: Opened,
    server: TcpStream,
}

impl Opened {
    /// Opens it; nothing is on its way any more.
    pub(super) fn open(self) -> (TcpStream, Ends) {
        let family = match self.family {
            Kind::V4 => Family::V4,
            Kind::V6 => Family::V6,
            Kind::Mapped => Family::V4Mapped,
        };
        let connection = world::hosts().connection(family).open();
        let Connection {
            client, mut server, ..
        } = connection.expect("a connection");
        server.write_all(&self.bytes()).expect("it takes data");
        let unread = i32::from(self.unread);
        until("the bytes", || {
            raw::siocinq(&client).is_ok_and(|it| it == unread)
        });
        if self.peer_ends {
            server.shutdown(Shutdown::Write).expect("it ends");
            until("its end", || state(&client) == Some(TcpState::CloseWait));
        }
        if self.ends {
            client.shutdown(Shutdown::Write).expect("it ends");
            let last = match self.peer_ends {
                true => TcpState::Close,
                false => TcpState::FinWait2,
            };
            until("our end", || state(&client) == Some(last));
        }
        let opened = self;
        (client, Ends { opened, server })
    }

    fn bytes(self) -> Vec<u8> {
        (0..self.unread).collect()
    }
}

impl Ends {
    /// Blocks the traffic, as whoever moves a connection has to: a peer that sends something again while the socket is missing
    /// does not hear the reset that its host answers.
    pub(super) fn block(&self) {
        let nothing = Instruction {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            ..Instruction::default()
        };
        raw::set_filter(&self.server, &[nothing]).expect("a filter");
    }

    /// Every byte is there, each end hears the other as far as it speaks, and hears the end where it does not.
    pub(super) fn judge(mut self, mut client: TcpStream) {
        let opened = self.opened;
        raw::set_filter(&self.server, &[]).expect("no filter");
        runs(&client);
        for end in [&client, &self.server] {
            end.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        }
        client.set_nonblocking(false).expect("it waits");
        let mut unread = vec![0; opened.unread.into()];
        client.read_exact(&mut unread).expect("what was not read");
        assert_eq!(unread, opened.bytes());
        hears(&mut self.server, &mut client, opened.peer_ends);
        hears(&mut client, &mut self.server, opened.ends);
        for end in [&client, &self.server] {
            let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
        }
    }
}

/// What one end says, or that it says nothing more, the other one hears.
fn hears(from: &mut TcpStream, to: &mut TcpStream, ended: bool) {
    let mut byte = [0];
    if ended {
        let end = to.read(&mut byte);
        assert!(matches!(end, Ok(0)), "no end, but {end:?}");
    } else {
        from.write_all(b"x").expect("it takes data");
        to.read_exact(&mut byte).expect("it arrives");
        assert_eq!(byte, *b"x");
    }
}

/// It is not in repair mode, where every call of the application would fail.
pub(super) fn runs(socket: &TcpStream) {
    let mode = raw::get_int(socket, Opt::TCP_REPAIR);
    assert_eq!(mode.expect("a socket"), 0, "it is in repair mode");
}

/// The state that the kernel has it in.
pub(super) fn state(socket: &impl AsFd) -> Option<TcpState> {
    let info = raw::tcp_info(socket).expect("a socket");
    TcpState::from_kernel(info.state)
}

fn until(what: &str, condition: impl FnMut() -> bool) {
    wait::until(what, PATIENCE, condition).expect("it comes to that");
}
