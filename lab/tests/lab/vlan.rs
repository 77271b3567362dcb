//! VLANs: tags on the links, and hosts that are in one.

use crate::connect::talk;
use crate::{Case, NeedyCase};
use lab::wire::Matcher;
use lab::{
    Craft, Direction, Error, Family, Flags, Flow, Host, Match, Pair, PairWithWire, Star, Trio, wait,
};
use libtest_mimic::Failed;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("vlan/tags_are_seen_and_carried", tags_are_seen_and_carried),
    ("vlan/a_number_that_no_vlan_has", a_number_that_no_vlan_has),
    (
        "vlan/without_8021q_the_error_says_so",
        without_8021q_the_error_says_so,
    ),
];

/// For kernels with `8021q` only.
pub(crate) const NEEDY: &[NeedyCase] = &[
    (("vlan/hosts_talk_in_theirs", hosts_talk_in_theirs), need),
    (("vlan/a_wire_knows_them", a_wire_knows_them), need),
    (
        ("vlan/what_is_made_up_arrives", what_is_made_up_arrives),
        need,
    ),
    (("vlan/packets_are_swallowed", packets_are_swallowed), need),
    (("vlan/an_address_moves", an_address_moves), need),
];

/// A bound against hanging, not an expectation.
const LONG: Duration = Duration::from_secs(20);
const ID: u16 = 7;

/// Whether this kernel has VLANs.
fn need() -> Result<(), Error> {
    Pair::builder().vlan(ID).build().map(drop)
}

/// A tagged segment from one host to another, which knows nothing of it.
fn tagged(from: &Host, to: &Host, family: Family) -> Craft {
    let [source, destination] = [from, to].map(|it| SocketAddr::new(it.address(family), 9));
    Craft::new(from, to, Flow::new(source, destination))
        .payload(b"tagged")
        .vlan(ID)
}

/// Both ends see the frame as it was made, in whatever way the kernel keeps the tag in between.
fn carried(from: &Host, to: &Host) -> Result<(), Failed> {
    let captures = [from.capture()?, to.capture()?];
    for family in [Family::V4, Family::V6] {
        let frame = tagged(from, to, family).frame()?;
        from.inject(&frame)?;
        for capture in &captures {
            capture.until("the tagged frame", LONG, |it| it.bytes == frame)?;
            let trace = capture.trace()?;
            let packet = trace.packets().find(|it| it.bytes == frame);
            let packet = packet.ok_or("it was there a moment ago")?;
            assert_eq!(packet.vlan(), Some(ID), "{trace}");
            assert_eq!(packet.original_len as usize, frame.len(), "{trace}");
            let segment = packet.segment().ok_or("a segment")?;
            assert_eq!(segment.payload, b"tagged", "{trace}");
            let printed = trace.to_string();
            assert!(printed.contains(" vlan 7 [1] .  0:6(6)"), "{printed}");
        }
    }
    Ok(())
}

fn tags_are_seen_and_carried() -> Result<(), Failed> {
    for offload in [true, false] {
        let pair = Pair::builder().offload(offload).build()?;
        carried(pair.a(), pair.b())?;
        let pair = PairWithWire::builder().offload(offload).build()?;
        carried(pair.b(), pair.a())?;
        let seen = pair.wire().until(Matcher::payload_len(6..=6), LONG)?;
        assert_eq!(seen.relative_seq, None, "{seen}");
    }
    let star = Star::new(3)?;
    let [a, _, c] = star.hosts() else {
        return Err("three hosts".into());
    };
    carried(a, c)
}

fn a_number_that_no_vlan_has() -> Result<(), Failed> {
    let pair = Pair::new()?;
    for id in [0, 4095] {
        let built = Pair::builder().vlan(id).build().map(drop);
        let made = tagged(pair.a(), pair.b(), Family::V4).vlan(id).frame();
        for result in [built, made.map(drop)] {
            let Err(error @ Error::Invalid { .. }) = result else {
                return Err(format!("{id}: {result:?}").into());
            };
            assert!(error.to_string().contains(&id.to_string()), "{error}");
        }
    }
    Ok(())
}

fn without_8021q_the_error_says_so() -> Result<(), Failed> {
    match need() {
        Ok(()) | Err(Error::NotInKernel { what: "8021q" }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Every packet of a talk has the tag, and no other.
fn talk_in_vlan(client: &Host, server: &Host, family: Family) -> Result<(), Failed> {
    let captures = [client.capture()?, server.capture()?];
    let connection = client.connection_to(server, family).open()?;
    talk(&connection)?;
    for capture in &captures {
        let trace = capture.trace()?.of(&connection.flow());
        assert!(trace.len() > 4, "{trace}");
        assert!(trace.packets().all(|it| it.vlan() == Some(ID)), "{trace}");
    }
    Ok(())
}

fn hosts_talk_in_theirs() -> Result<(), Failed> {
    for offload in [true, false] {
        for family in Family::ALL {
            let pair = Pair::builder().vlan(ID).offload(offload).build()?;
            assert_eq!(pair.a().link(), "vlan7");
            talk_in_vlan(pair.a(), pair.b(), family)?;
            let (mut client, mut server) = pair.connection(family).open()?.into_peers();
            client.transfer(&mut server, 1 << 20)?;
            let star = Star::builder().vlan(ID).offload(offload).build(3)?;
            let [a, _, c] = star.hosts() else {
                return Err("three hosts".into());
            };
            talk_in_vlan(a, c, family)?;
        }
    }
    Ok(())
}

fn a_wire_knows_them() -> Result<(), Failed> {
    for offload in [true, false] {
        for family in Family::ALL {
            let pair = PairWithWire::builder().vlan(ID).offload(offload).build()?;
            talk_in_vlan(pair.a(), pair.b(), family)?;
            let connection = pair.connection(family).open()?;
            let data = Matcher::flow(connection.flow()).and(Matcher::nth_data(1));
            let (mut client, mut server) = connection.into_peers();
            client.transfer(&mut server, 1 << 20)?;
            let first = pair.wire().until(data, LONG)?;
            assert_eq!(first.relative_seq, Some(1), "{first}");
        }
    }
    Ok(())
}

fn what_is_made_up_arrives() -> Result<(), Failed> {
    let pair = Pair::builder().vlan(ID).build()?;
    for family in Family::ALL {
        let capture = pair.a().capture()?;
        let mut connection = pair.connection(family).open()?;
        talk(&connection)?;
        let trace = capture.trace()?.along(&connection.flow());
        let last = trace.last(|_| true).ok_or("a segment")?;
        let reset = Craft::like(pair.a(), pair.b(), last)
            .seq(last.end_seq())
            .payload(&[])
            .flags(Flags::RST);
        pair.a().inject(&reset.frame()?)?;
        let error = connection.server.read(&mut [0]).map_err(|it| it.kind());
        assert_eq!(error, Err(ErrorKind::ConnectionReset));
        // An untagged one would have arrived, too: a host takes its addresses for its own on every link.
        let trace = capture.trace()?.along(&connection.flow());
        assert!(trace.any(|it| it.flags.rst()), "{trace}");
        assert!(trace.packets().all(|it| it.vlan() == Some(ID)), "{trace}");
    }
    Ok(())
}

fn packets_are_swallowed() -> Result<(), Failed> {
    for direction in [Direction::Egress, Direction::Ingress] {
        let pair = Pair::builder().vlan(ID).build()?;
        let connection = pair.connection(Family::V4).open()?;
        let (flow, sender) = match direction {
            Direction::Egress => (connection.flow(), pair.a()),
            Direction::Ingress => (connection.flow().reversed(), pair.b()),
        };
        let swallowing = pair.a().blackhole(direction, Match::tcp().flow(flow))?;
        let (client, server) = connection.into_peers();
        let (mut from, mut to) = match direction {
            Direction::Egress => (client, server),
            Direction::Ingress => (server, client),
        };
        from.send(10)?;
        let before = sender.counters()?;
        wait::until("what was swallowed to be sent again", LONG, || {
            let after = sender.counters();
            after.is_ok_and(|after| after.since(&before).by("Tcp.RetransSegs") > 1)
        })?;
        to.socket().set_nonblocking(true)?;
        let nothing = to.socket().peek(&mut [0]).map_err(|it| it.kind());
        assert_eq!(nothing, Err(ErrorKind::WouldBlock));
        to.socket().set_nonblocking(false)?;
        drop(swallowing);
        to.receive(10)?;
    }
    Ok(())
}

fn an_address_moves() -> Result<(), Failed> {
    let trio = Trio::builder().vlan(ID).build()?;
    for _ in 0..2 {
        trio.move_address()?;
        for family in [Family::V4, Family::V6] {
            talk_in_vlan(trio.client(), trio.holder(), family)?;
        }
    }
    Ok(())
}
