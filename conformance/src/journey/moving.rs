//! The journey of a connection from one host to another: saved on the old host, restored on the new one, with the address
//! that moves from here to there.

use super::filling::{SMALL, holds};
use super::{AFTERWARDS, PATIENCE, Privileges, by_image};
use crate::context::Context;
use crate::oracle::peer::{self, PEER_TELLTALES, TELLTALES};
use crate::oracle::state::KernelView;
use crate::oracle::stream::{End, Talk};
use crate::oracle::table;
use crate::oracle::wire::{self, Probes, WireRules};
use crate::subject::{Library, Restored};
use crate::verdict::{Stop, Verdict, expect};
use lab::{Capture, Counters, Family, Flow, Host, Mac, Trio, wait};
use soccr::{SaveSettings, Settings, Snapshot, TcpState, raw};
use socket2::Socket;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

/// A connection whose near end moves from one host to another.
pub struct Mover {
    /// The network: the subject is on the old host, the peer is the client.
    pub trio: Arc<Trio>,
    /// The subject's socket on the old host.
    pub subject: TcpStream,
    /// The peer's socket.
    pub peer: TcpStream,
    /// The connection, from the subject.
    pub flow: Flow,
    /// What was written and read.
    pub talk: Talk,
    /// By which library it is saved and restored.
    pub library: Library,
    /// What leaves and reaches the old and the new host.
    captures: [Arc<Capture>; 2],
}

/// A connection that is saved, and whose socket is gone from the old host.
pub struct Left {
    /// What was saved, as its image has it.
    pub snapshot: Snapshot,
    view: KernelView,
    counters: [Counters; 2],
}

impl Mover {
    /// Opens a connection from the address that moves to the client.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn open(ctx: &Context, family: Family) -> Result<Self, Stop> {
        let trio = ctx.trio()?;
        let connection = trio
            .old_host()
            .connection_to(trio.client(), family)
            .at(trio.address(family), trio.client().address(family))
            .open()?;
        let flow = connection.flow();
        Self::new(ctx, trio, connection.client, connection.server, flow)
    }

    /// Opens a connection from the client to the link-local address that moves.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn open_link_local(ctx: &Context) -> Result<Self, Stop> {
        const PORT: u16 = 40_001;
        let trio = ctx.trio()?;
        own_link_local(trio.client())?;
        let at = |host: &Host| SocketAddrV6::new(trio.link_local(), PORT, 0, host.ifindex());
        let socket = || raw::tcp_socket(soccr::Family::V6);
        let listener = Socket::from(trio.old_host().enter(socket)??);
        listener.bind(&SocketAddr::from(at(trio.old_host())).into())?;
        listener.listen(1)?;
        let peer = trio.client().enter(socket)??;
        raw::connect(&peer, at(trio.client()).into())?;
        let peer = TcpStream::from(peer);
        let subject = TcpStream::from(listener.accept()?.0);
        let flow = Flow::new(subject.local_addr()?, subject.peer_addr()?);
        Self::new(ctx, trio, subject, peer, flow)
    }

    fn new(
        ctx: &Context,
        trio: Arc<Trio>,
        subject: TcpStream,
        peer: TcpStream,
        flow: Flow,
    ) -> Result<Self, Stop> {
        let captures = [ctx.capture(trio.old_host())?, ctx.capture(trio.new_host())?];
        Ok(Self {
            trio,
            subject,
            peer,
            flow,
            talk: Talk::default(),
            library: ctx.library(),
            captures,
        })
    }

    /// Lets some bytes from the peer arrive and be acknowledged.
    ///
    /// # Errors
    /// [`Stop::Broken`] where they do not arrive.
    pub fn receive(&mut self) -> Verdict {
        self.talk.write(End::Peer, &self.peer, SMALL)?;
        let (subject, peer) = (&self.subject, &self.peer);
        let arrived = || Ok(raw::siocinq(subject)? == SMALL as i32 && raw::siocoutq(peer)? == 0);
        Ok(wait::until(
            "the receive queue is filled",
            PATIENCE,
            || holds(arrived()),
        )?)
    }

    /// Lets the peer close, and its FIN be acknowledged: the tick at which that happens comes in repair mode, too (guide A9).
    ///
    /// # Errors
    /// [`Stop::Broken`] where it does not come to that.
    pub fn end_of_peer(&mut self) -> Verdict {
        self.talk.end(End::Peer, &self.peer)?;
        for (socket, state) in [
            (&self.subject, TcpState::CloseWait),
            (&self.peer, TcpState::FinWait2),
        ] {
            let reached = || raw::tcp_info(socket).is_ok_and(|info| info.state == state as u8);
            wait::until(
                format!("one end is in the state {state}"),
                PATIENCE,
                reached,
            )?;
        }
        Ok(())
    }

    /// Saves it and closes its socket without a packet.
    ///
    /// There is no lock: nothing is in flight, and neither end says anything until it is resumed.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn leave(&mut self) -> Result<Left, Stop> {
        let counters = [
            self.trio.client().counters()?,
            self.trio.new_host().counters()?,
        ];
        self.mark(wire::PAUSING)?;
        let old = self.trio.old_host();
        let privileges = Privileges::default();
        let paused = self
            .library
            .pause(old, &self.subject, SaveSettings::new(), &privileges)?;
        self.mark(wire::PAUSED)?;
        let paused = paused.save(old, &privileges)?;
        let view = KernelView::read(&self.subject)?;
        let snapshot = by_image(paused.release()?)?;
        let placeholder = old.enter(|| raw::tcp_socket(soccr::Family::V4))??;
        drop(std::mem::replace(&mut self.subject, placeholder.into()));
        table::expect_absent(old, &self.flow)?;
        self.mark(wire::CLOSED)?;
        self.talk.check_received(&snapshot.receive.bytes)?;
        Ok(Left {
            snapshot,
            view,
            counters,
        })
    }

    /// Restores it on the new host; it stays paused.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn restore(&self, left: &Left) -> Result<Restored, Stop> {
        let (new, snapshot) = (self.trio.new_host(), &left.snapshot);
        let restored =
            self.library
                .restore(new, snapshot, Settings::new(), &Privileges::default())?;
        Ok(restored?)
    }

    /// Fails unless what was restored on the new host is as it was on the old one, and has not said anything yet.
    ///
    /// # Errors
    /// [`Stop::Fail`] with what differs.
    pub fn arrived(&self, left: &Left, restored: &impl AsFd) -> Verdict {
        let view = KernelView::read(restored)?;
        let mut expected = left.view.clone();
        if left.snapshot.state.has_peer_fin() {
            expected.allow_acknowledgement(&view);
        }
        view.expect_equal(&expected)?;
        self.restored()
    }

    /// Says that the connection is restored: what the new host sends from here on is the resumed connection's.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn restored(&self) -> Verdict {
        self.mark(wire::RESTORED)
    }

    /// Resumes it; lets both ends talk and close, and judges what was on the wire of both hosts.
    ///
    /// # Errors
    /// [`Stop`] with what was not as it should be.
    pub fn conclude(self, left: &Left, restored: impl Into<Restored>, probes: Probes) -> Verdict {
        let stream = restored.into().resume()?;
        self.talk.drain(&stream, &self.peer)?;
        self.talk.exchange(&stream, &self.peer, AFTERWARDS)?;
        self.mark(wire::CLOSING)?;
        self.talk.close(&stream, &self.peer)?;
        let [client, new] = &left.counters;
        peer::expect_unmoved(self.trio.client(), client, TELLTALES)?;
        peer::expect_unmoved(self.trio.client(), client, PEER_TELLTALES)?;
        peer::expect_unmoved_at_subject(self.trio.new_host(), new)?;
        let rules = WireRules {
            flow: self.flow,
            snapshot: &left.snapshot,
            probes,
            repeated_fin: false,
            // Nothing was in flight.
            sends_again: false,
        };
        let [old, new] = &self.captures;
        rules.judge(&new.trace()?)?;
        let late = old.trace()?.of(&self.flow).after(wire::PAUSED)?.outgoing();
        let silent = late.segments().next().is_none();
        expect("the wire of the old host", "nothing leaves", &late, silent)
    }

    fn mark(&self, text: &str) -> Verdict {
        for capture in &self.captures {
            capture.mark(text)?;
        }
        Ok(())
    }
}

/// The link-local address that a host makes of the Ethernet address of its link (RFC 4291, appendix A), once it takes packets
/// for it.
///
/// # Errors
/// [`Stop::Broken`] where it has none.
pub fn own_link_local(host: &Host) -> Result<Ipv6Addr, Stop> {
    let Mac([a, b, c, d, e, f]) = host.mac();
    let address = Ipv6Addr::from([
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ]);
    host.settle_address(address.into())?;
    Ok(address)
}
