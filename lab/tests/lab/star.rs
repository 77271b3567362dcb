//! Hosts around a switch.

use crate::Case;
use crate::connect::talk;
use lab::{Error, Families, Family, Pair, Star};
use libtest_mimic::Failed;
use std::net::UdpSocket;
use std::thread;

pub(crate) const CASES: &[Case] = &[
    (
        "star/everybody_talks_to_everybody",
        everybody_talks_to_everybody,
    ),
    ("star/the_first_packet_passes", the_first_packet_passes),
    ("star/others_see_nothing", others_see_nothing),
    ("star/a_number_that_cannot_be", a_number_that_cannot_be),
    ("families/only_one", only_one),
    ("star/eight_at_once", eight_at_once),
];

fn everybody_talks_to_everybody() -> Result<(), Failed> {
    let star = Star::new(4)?;
    for (i, client) in star.hosts().iter().enumerate() {
        assert_eq!(client.name(), format!("h{}", i + 1));
        for server in star.hosts().iter().filter(|it| it.name() != client.name()) {
            for family in Family::ALL {
                talk(&client.connection_to(server, family).open()?)?;
            }
        }
    }
    Ok(())
}

/// A SYN that is lost is sent again: there is only one.
fn the_first_packet_passes() -> Result<(), Failed> {
    for family in Family::ALL {
        let star = Star::new(2)?;
        let [a, b] = star.hosts() else {
            return Err("two hosts".into());
        };
        let capture = a.capture()?;
        talk(&a.connection_to(b, family).open()?)?;
        let trace = capture.trace()?;
        let syns = trace.segments().filter(|it| it.flags.syn()).count();
        assert_eq!(syns, 2, "{family}: {trace}");
    }
    Ok(())
}

/// Not even the first packet, of hosts that have not said a word before: without IPv6 they report no groups.
fn others_see_nothing() -> Result<(), Failed> {
    let star = Star::builder().families(Families::V4Only).build(3)?;
    let [a, b, c] = star.hosts() else {
        return Err("three hosts".into());
    };
    let captures = [a.capture()?, b.capture()?, c.capture()?];
    talk(&a.connection_to(b, Family::V4).open()?)?;
    let mut seen = Vec::new();
    for capture in &captures {
        seen.push(capture.trace()?.segments().count() > 0);
    }
    assert_eq!(seen, [true, true, false]);
    Ok(())
}

fn a_number_that_cannot_be() -> Result<(), Failed> {
    for hosts in [0, 100] {
        let error = Star::new(hosts).err().ok_or("it was built")?;
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(&hosts.to_string()), "{error}");
    }
    Ok(())
}

fn only_one() -> Result<(), Failed> {
    for (families, there, missing) in [
        (Families::V4Only, Family::V4, Family::V6),
        (Families::V6Only, Family::V6, Family::V4),
    ] {
        let pair = Pair::builder().families(families).build()?;
        talk(&pair.connection(there).open()?)?;
        let bound = pair
            .a()
            .enter(|| UdpSocket::bind((pair.a().address(missing), 0)))?;
        assert_eq!(
            bound.err().and_then(|it| it.raw_os_error()),
            Some(libc::EADDRNOTAVAIL),
            "{families:?}"
        );
        let trio = lab::Trio::builder().families(families).build()?;
        trio.move_address()?;
        let server = trio.holder();
        let connection = trio.client().connection_to(server, there);
        talk(
            &connection
                .at(trio.client().address(there), trio.address(there))
                .open()?,
        )?;
    }
    Ok(())
}

/// Each is a world of its own, with the same addresses.
fn eight_at_once() -> Result<(), Failed> {
    let builders: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| -> Result<_, Error> {
                let (star, trio) = (Star::new(3)?, lab::Trio::new()?);
                trio.move_address()?;
                Ok((star, trio))
            })
        })
        .collect();
    let mut labs = Vec::new();
    for builder in builders {
        labs.push(builder.join().map_err(|_| "a thread panicked")??);
    }
    // All are alive.
    for (star, trio) in &labs {
        let [a, _, c] = star.hosts() else {
            return Err("three hosts".into());
        };
        talk(&a.connection_to(c, Family::V4).open()?)?;
        let address = trio.address(Family::V6);
        let connection = trio.client().connection_to(trio.new_host(), Family::V6);
        talk(&connection.at(trio.client().v6(), address).open()?)?;
    }
    Ok(())
}
