//! Networks that cases leave to others: only as they were found, and only by cases that have passed.

use conformance::case::Case;
use conformance::context::Context;
use conformance::probe::Needs;
use conformance::report::Silent;
use conformance::runner::{Options, run_cases};
use conformance::verdict::{Failure, Stop, Verdict};
use lab::harness::{self, Test};
use lab::{Family, Host, Pair, wait};
use libtest_mimic::Failed;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

fn main() -> ExitCode {
    harness::main([
        Test::new("one-that-is-as-it-was-goes-on", || {
            second_has_the_first_ones(|_, _| Ok(()), true)
        }),
        Test::new("a-connection-in-time-wait-is-ended", || {
            second_has_the_first_ones(leave_time_wait, true)
        }),
        Test::new("sysctls-are-set-back", || {
            let set = |_: &Context, pair: &Pair| Ok(pair.a().sysctl("net.ipv4.tcp_sack", "0")?);
            second_has_the_first_ones(set, true)
        }),
        Test::new("not-of-a-case-that-failed", || {
            let fail = |_: &Context, _: &Pair| Err(Failure::new("x", 1, 2).into());
            second_has_the_first_ones(fail, false)
        }),
        Test::new("not-with-a-socket-that-was-forgotten", || {
            second_has_the_first_ones(forget_a_listener, false)
        }),
        Test::new("not-with-a-change-that-stays", || {
            let change = |_: &Context, pair: &Pair| Ok(pair.b().set_mtu(1400)?);
            second_has_the_first_ones(change, false)
        }),
        Test::new("not-with-what-a-host-has-learned", || {
            let learn = |_: &Context, pair: &Pair| {
                Ok(pair.a().sysctl("net.ipv4.tcp_no_metrics_save", "0")?)
            };
            second_has_the_first_ones(learn, false)
        }),
        Test::new("not-with-other-settings", with_other_settings),
        Test::new("no-two-have-the-same-at-once", at_once),
        Test::new("not-where-none-are-kept", not_where_none_are_kept),
    ])
}

const PATIENCE: Duration = Duration::from_secs(10);

/// The networks of hosts, kept open: the number of one that is gone is given to another.
type Networks = Arc<Mutex<Vec<File>>>;

/// The network that a host is.
fn network(host: &Host) -> Result<File, Stop> {
    Ok(host.enter(|| File::open("/proc/thread-self/ns/net"))??)
}

/// Takes note of a pair, and looks whether it is as new ones are.
fn use_it(pair: &Pair, networks: &Networks) -> Verdict {
    let mut networks = networks.lock().unwrap_or_else(PoisonError::into_inner);
    networks.push(network(pair.a())?);
    let sack = pair.a().read_sysctl("net.ipv4.tcp_sack")?;
    match (sack.as_str(), pair.b().mtu(), pair.a().socket_counts()?.tcp) {
        ("1", 1500, 0) => Ok(()),
        other => Err(Failure::new("the pair", "as new", format!("{other:?}")).into()),
    }
}

/// Runs cases one after the other; the networks that they had.
fn networks(cases: impl FnOnce(&Networks) -> Vec<Case>) -> Vec<u64> {
    networks_with(&Options::default(), cases)
}

fn networks_with(options: &Options, cases: impl FnOnce(&Networks) -> Vec<Case>) -> Vec<u64> {
    let networks = Networks::default();
    run_cases(cases(&networks), Needs::default(), options, &mut Silent);
    let networks = networks.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |it: &File| it.metadata().map_or(0, |it| it.ino());
    networks.iter().map(number).collect()
}

fn case(name: &str, run: impl Fn(&Context) -> Verdict + Send + Sync + 'static) -> Case {
    Case::new(name, "", &[], run)
}

/// Fails unless the case after one that does this has the same network, or has another.
fn second_has_the_first_ones(
    first: impl Fn(&Context, &Pair) -> Verdict + Send + Sync + 'static,
    same: bool,
) -> Result<(), Failed> {
    let had = networks(|networks| {
        let [one, other] = [networks, networks].map(Arc::clone);
        vec![
            case("first", move |ctx| {
                let pair = ctx.pair()?;
                let new = || pair.renew().unwrap_or(false);
                wait::until("the pair to be as new", PATIENCE, new)?;
                let before = used(&pair)?;
                use_it(&pair, &one)?;
                first(ctx, &pair)?;
                // What was closed is counted for a while.
                let closed = || used(&pair).is_ok_and(|it| it == before);
                if same {
                    wait::until("its sockets to be gone", PATIENCE, closed)?;
                }
                Ok(())
            }),
            case("second", move |ctx| use_it(&*ctx.pair()?, &other)),
        ]
    });
    match had[..] {
        [first, second] if (first == second) == same => Ok(()),
        _ => Err(format!("networks {had:?}; the same: {same}").into()),
    }
}

/// How many sockets each host has.
fn used(pair: &Pair) -> Result<[u64; 2], Stop> {
    let count = |host: &Host| host.socket_counts().map(|it| it.used);
    Ok([count(pair.a())?, count(pair.b())?])
}

fn leave_time_wait(ctx: &Context, pair: &Pair) -> Verdict {
    let connection = pair.connection(Family::V4).open()?;
    let flow = connection.flow();
    ctx.connected(flow);
    drop(connection.client);
    drop(connection.server);
    let is = |host: &Host, time_wait| {
        let counts = host.socket_counts();
        counts.is_ok_and(|it| it.time_wait == time_wait && it.tcp == 0)
    };
    let waits = || is(pair.a(), 1) && is(pair.b(), 0);
    Ok(wait::until("TIME-WAIT", PATIENCE, waits)?)
}

fn forget_a_listener(_: &Context, pair: &Pair) -> Verdict {
    let listener = pair.a().enter(|| TcpListener::bind("0.0.0.0:0"))??;
    // Nobody ever closes it.
    let _ = listener.into_raw_fd();
    Ok(())
}

fn with_other_settings() -> Result<(), Failed> {
    let had = networks(|networks| {
        let [one, other] = [networks, networks].map(Arc::clone);
        let without_timestamps = || Pair::builder().sysctl("net.ipv4.tcp_timestamps", "0");
        vec![
            case("first", move |ctx| use_it(&*ctx.pair()?, &one)),
            case("second", move |ctx| {
                use_it(&*ctx.build(without_timestamps())?, &other)
            }),
        ]
    });
    match had[..] {
        [first, second] if first != second => Ok(()),
        _ => Err(format!("networks {had:?}").into()),
    }
}

fn not_where_none_are_kept() -> Result<(), Failed> {
    let options = Options {
        networks: conformance::networks::Networks::not_kept(),
        ..Options::default()
    };
    let had = networks_with(&options, |networks| {
        let [one, other] = [networks, networks].map(Arc::clone);
        vec![
            case("first", move |ctx| use_it(&*ctx.pair()?, &one)),
            case("second", move |ctx| use_it(&*ctx.pair()?, &other)),
        ]
    });
    match had[..] {
        [first, second] if first != second => Ok(()),
        _ => Err(format!("networks {had:?}").into()),
    }
}

fn at_once() -> Result<(), Failed> {
    let had = networks(|networks| {
        let networks = Arc::clone(networks);
        vec![case("both", move |ctx| {
            let (one, other) = (ctx.pair()?, ctx.pair()?);
            use_it(&one, &networks)?;
            use_it(&other, &networks)
        })]
    });
    match had[..] {
        [one, other] if one != other => Ok(()),
        _ => Err(format!("networks {had:?}").into()),
    }
}
