//! Links that are slow or unreliable by the kernel's own means.

use crate::connect::talk;
use crate::{Case, NeedyCase};
use lab::{Error, Family, Netem, Pair, Star};
use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "shaping/a_rate_lets_everything_through",
        a_rate_lets_everything_through,
    ),
    ("shaping/a_rate_is_not_exceeded", a_rate_is_not_exceeded),
    (
        "shaping/without_netem_the_error_says_so",
        without_netem_the_error_says_so,
    ),
    ("shaping/values_that_cannot_be", values_that_cannot_be),
];

pub(crate) const NEEDY: &[NeedyCase] =
    &[(("shaping/netem_delays", netem_delays), Netem::available)];

const AMOUNT: usize = 200_000;

/// Sends so many bytes from client to server of a pair whose hosts send 8 Mbit/s.
fn transfer(pair: &Pair, family: Family) -> Result<(), Failed> {
    let mut connection = pair.connection(family).open()?;
    thread::scope(|scope| {
        let sender = scope.spawn(|| connection.client.write_all(&vec![7; AMOUNT]));
        let mut received = vec![0; AMOUNT];
        connection.server.read_exact(&mut received)?;
        sender.join().map_err(|_| "the sender panicked")??;
        assert!(received.iter().all(|&byte| byte == 7));
        Ok(())
    })
}

fn a_rate_lets_everything_through() -> Result<(), Failed> {
    let pair = Pair::builder().rate(8_000_000).build()?;
    for family in [Family::V4, Family::V6] {
        transfer(&pair, family)?;
    }
    let star = Star::builder().rate(1_000_000_000).build(2)?;
    let [a, b] = star.hosts() else {
        return Err("two hosts".into());
    };
    talk(&a.connection_to(b, Family::V4).open()?)?;
    Ok(())
}

/// By the time stamps of the kernel: however slow the machine is, so much cannot pass in less time.
fn a_rate_is_not_exceeded() -> Result<(), Failed> {
    let pair = Pair::builder().rate(8_000_000).build()?;
    let capture = pair.b().capture()?;
    transfer(&pair, Family::V4)?;
    let trace = capture.trace()?.incoming();
    let data: Vec<_> = trace
        .packets()
        .filter(|it| it.segment().is_some_and(|it| it.payload_len > 0))
        .collect();
    let (Some(first), Some(last)) = (data.first(), data.last()) else {
        return Err("no data".into());
    };
    // A megabyte a second; ten milliseconds of it may leave at once.
    let least = (AMOUNT as u64 - 10_000 - u64::from(first.original_len)) * 1000;
    let took = last.time - first.time;
    assert!(took >= least * 9 / 10, "{took} ns, at least {least}");
    Ok(())
}

fn without_netem_the_error_says_so() -> Result<(), Failed> {
    let netem = Netem::delay(Duration::from_millis(1));
    let built = Pair::builder().netem(netem).rate(8_000_000).build();
    match (Netem::available(), built) {
        (Ok(()), Ok(_)) => Ok(()),
        (Err(Error::NotInKernel { what: "netem" }), Err(Error::NotInKernel { what: "netem" })) => {
            Ok(())
        }
        (available, built) => Err(format!("{available:?}, but {built:?}").into()),
    }
}

/// Nothing is faster than the delay.
fn netem_delays() -> Result<(), Failed> {
    const DELAY: Duration = Duration::from_millis(20);
    let pair = Pair::builder().netem(Netem::delay(DELAY)).build()?;
    let capture = pair.a().capture()?;
    talk(&pair.connection(Family::V4).open()?)?;
    let trace = capture.trace()?;
    let mut handshake = trace
        .packets()
        .filter(|it| it.segment().is_some_and(|it| it.flags.syn()));
    let (Some(syn), Some(answer)) = (handshake.next(), handshake.next()) else {
        return Err("no handshake".into());
    };
    // The answer is delayed; the SYN is captured when it leaves.
    assert!(
        u128::from(answer.time - syn.time) >= DELAY.as_nanos(),
        "{trace}"
    );
    Ok(())
}

fn values_that_cannot_be() -> Result<(), Failed> {
    for builder in [
        Pair::builder().rate(7999),
        Pair::builder().netem(Netem::default().loss(1.5)),
    ] {
        let error = builder.build().err().ok_or("it was built")?;
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    Ok(())
}
