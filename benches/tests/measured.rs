//! What the benchmarks claim to measure is what they measure; and what can be counted is asserted, not reported.

use benches::against::Comparison;
use benches::bench_connection::{BenchNetwork, Filled};
use benches::calls;
use benches::paired::page_faults;
use benches::queues::Queues;
use benches::report;
use benches::results::{Calls, Latency, Outage, Pattern, Results, Work};
use benches::run::{Scale, run};
use benches::standstill::Standstill;
use benches::stream;
use benches::subject::{self, Baseline, cycle, name};
use benches::undisturbed::undisturbed;
use lab::harness::Result;
use lab::wait;
use nix::sys::prctl;
use soccr::SaveSettings;
use soccr::raw;
use soccr_capi::client::Library;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

lab::main![
    system_calls,
    nobody_sends_again_because_of_an_idle_connection_that_is_frozen,
    nobody_sends_again_because_of_an_app_limited_connection_that_is_frozen,
    what_counts_as_sent_stays_in_the_queue,
    everybody_carries_the_same_bytes,
    cold_buffers_are_cold_and_warm_ones_are_not,
    no_page_is_looked_for_while_a_socket_stands_still,
    a_run_measures_everything_and_is_no_worse_than_itself,
];

/// Out of repair mode the number depends on how many options a kernel has: at most this many.
const MOST_BESIDE: u64 = 200;
/// Without what the application has set it does not; where there are bytes, one lets a due acknowledgement go.
const BESIDE_CONNECTION_ONLY: RangeInclusive<u64> = 15..=16;

/// How many system calls are made in repair mode for a save, for one of a socket that is closed, for a restore, and for a resume.
#[rustfmt::skip]
const CALLS: [(Filled, usize, &str, [u64; 4]); 12] = [
    (Filled::Receive, 0,        name::WARM,  [21, 20, 20, 3]),
    (Filled::Receive, 0,        name::FLOOR, [13, 12, 11, 1]),
    (Filled::Receive, 64 << 10, name::WARM,  [22, 22, 23, 3]),
    (Filled::Receive, 64 << 10, name::FLOOR, [14, 13, 13, 1]),
    (Filled::Sent,    0,        name::WARM,  [21, 20, 20, 3]),
    (Filled::Sent,    0,        name::FLOOR, [13, 12, 11, 1]),
    (Filled::Sent,    64 << 10, name::WARM,  [23, 23, 23, 3]),
    (Filled::Sent,    64 << 10, name::FLOOR, [14, 13, 13, 1]),
    (Filled::Unsent,  0,        name::WARM,  [21, 20, 20, 3]),
    (Filled::Unsent,  0,        name::FLOOR, [13, 12, 11, 1]),
    (Filled::Unsent,  64 << 10, name::WARM,  [23, 25, 35, 7]),
    (Filled::Unsent,  64 << 10, name::FLOOR, [14, 13, 11, 2]),
];

/// How long a retransmission may take: for good.
const PATIENCE: Duration = Duration::from_secs(10);

fn system_calls() -> Result {
    for queue in Filled::ALL {
        for bytes in [0, 64 << 10] {
            for calls in calls::count(queue, bytes)? {
                check(&calls);
            }
        }
    }
    Ok(())
}

fn check(calls: &Calls) {
    let Calls {
        queue,
        bytes,
        subject,
        beside_pause,
        ..
    } = calls;
    let is_this = |it: &&(Filled, usize, &str, _)| (it.0, it.1, it.2) == (*queue, *bytes, subject);
    match &**subject {
        name::WARM => assert!(*beside_pause <= MOST_BESIDE, "{calls:?}"),
        name::CONNECTION_ONLY => {
            assert!(BESIDE_CONNECTION_ONLY.contains(beside_pause), "{calls:?}");
        }
        _ => assert_eq!(*beside_pause, 0, "{calls:?}"),
    }
    let expected = CALLS.iter().find(is_this).map(|(.., expected)| *expected);
    let counted = [calls.paused, calls.closed, calls.restore, calls.resume];
    match subject.as_str() {
        name::CONNECTION_ONLY => assert_eq!(expected, None, "{calls:?}"),
        _ => assert_eq!(Some(counted), expected, "{calls:?}"),
    }
}

fn nobody_sends_again_because_of_an_idle_connection_that_is_frozen() -> Result {
    undisturbed_by(Pattern::Idle)
}

fn nobody_sends_again_because_of_an_app_limited_connection_that_is_frozen() -> Result {
    undisturbed_by(Pattern::AppLimited)
}

fn undisturbed_by(pattern: Pattern) -> Result {
    let seen = undisturbed(pattern, 10)?;
    assert_eq!(
        (seen.freezes, seen.retransmissions, seen.resets),
        (10, 0, 0)
    );
    Ok(())
}

/// Also once it was sent again: nobody hears of its acknowledgement.
fn what_counts_as_sent_stays_in_the_queue() -> Result {
    const BYTES: usize = 64 << 10;
    let network = BenchNetwork::build(Filled::Sent)?;
    let connection = network.open(BYTES)?;
    let subject = &connection.subject;
    let sent_again = || raw::tcp_info(subject).is_ok_and(|info| info.total_retrans >= 2);
    wait::until("two retransmissions", PATIENCE, sent_again)?;
    // What has come was acknowledged.
    let came = || raw::siocinq(&connection.peer).is_ok_and(|bytes| bytes > 0);
    wait::until("bytes at the peer", PATIENCE, came)?;
    let queues = Queues::of(subject)?;
    let (received, written, unsent) = (0, BYTES as i32, 0);
    let filled = Queues {
        received,
        written,
        unsent,
    };
    assert_eq!(queues, filled);
    Ok(())
}

/// The floor would be no floor if it left something out, and no baseline is worth a ratio that does.
fn everybody_carries_the_same_bytes() -> Result {
    const BYTES: usize = 20_000;
    let baseline = Baseline::new(Library::linked());
    for queue in Filled::ALL {
        for mut subject in subject::all(2 * BYTES, Some(&baseline)) {
            let network = BenchNetwork::build(queue)?;
            let connection = network.open(BYTES)?;
            let socket = network.host().enter(|| -> Result<TcpStream> {
                let mut socket = connection.subject;
                for _ in 0..3 {
                    subject.prepare()?;
                    subject.pause_to_resume(&socket)?;
                    subject.prepare()?;
                    socket = cycle(subject.as_mut(), socket)?.0;
                }
                Ok(socket)
            })??;
            let (from, to) = match queue {
                Filled::Receive => (connection.peer, socket),
                Filled::Sent | Filled::Unsent => (socket, connection.peer),
            };
            drop(connection.deaf);
            let end = connection.written + 1000;
            let arrived = carry(from, to, &stream::bytes(connection.written..end))?;
            let differing = other_than(&stream::bytes(0..end), &arrived);
            assert_eq!(differing, None, "{queue}, {}", subject.name());
        }
    }
    Ok(())
}

/// Writes something more, and reads until the end comes.
fn carry(mut from: TcpStream, mut to: TcpStream, more: &[u8]) -> Result<Vec<u8>> {
    from.write_all(more)?;
    from.shutdown(Shutdown::Write)?;
    let mut arrived = Vec::new();
    to.read_to_end(&mut arrived)?;
    Ok(arrived)
}

/// Where something else has arrived than was sent, in words.
fn other_than(sent: &[u8], arrived: &[u8]) -> Option<String> {
    let same = arrived.iter().zip(sent).take_while(|(a, b)| a == b).count();
    let from = |bytes: &[u8]| {
        format!(
            "{:?} of {}",
            bytes.get(same..bytes.len().min(same + 8)),
            bytes.len()
        )
    };
    (arrived != sent).then(|| format!("behind {same} bytes, {} for {}", from(arrived), from(sent)))
}

fn cold_buffers_are_cold_and_warm_ones_are_not() -> Result {
    const BYTES: usize = 1 << 20;
    small_pages()?;
    let mut standstill = Standstill::new(Work::PauseToResume, Filled::Receive, BYTES, 5);
    standstill.measure(None)?;
    let latencies = standstill.latencies();
    let faults = |subject: &str| -> Option<f64> {
        let of = |it: &&Latency| it.subject == subject;
        Some(latencies.iter().find(of)?.page_faults)
    };
    let pages = pages(BYTES) as f64;
    assert!(
        faults(name::COLD) >= Some(pages),
        "{:?}",
        faults(name::COLD)
    );
    assert!(
        faults(name::WARM) < Some(pages / 2.0),
        "{:?}",
        faults(name::WARM)
    );
    assert!(
        faults(name::FLOOR) < Some(pages / 2.0),
        "{:?}",
        faults(name::FLOOR)
    );
    Ok(())
}

/// Memory that a save needs and does not have yet is there before the pause.
fn no_page_is_looked_for_while_a_socket_stands_still() -> Result {
    const BYTES: usize = 4 << 20;
    /// The program's own, where the kernel has taken one away.
    const FEW: i64 = 8;
    small_pages()?;
    for queue in Filled::ALL {
        let network = BenchNetwork::build(queue)?;
        let connection = network.open(BYTES)?;
        let settings = SaveSettings::new();
        // It finds the pages of the code.
        let mut snapshot = soccr::save(&connection.subject)?;
        for _ in 0..2 {
            // Nobody has touched it: an allocator keeps nothing of this size.
            snapshot.receive.bytes = Vec::with_capacity(33 << 20);
            snapshot.send.bytes = Vec::with_capacity(33 << 20);
            let start = page_faults()?;
            let paused = soccr::pause_into(&connection.subject, &mut snapshot, settings)?;
            let before = page_faults()? - start;
            let saved = paused.read_data()?.queue_bytes()?;
            let within = page_faults()? - start - before;
            snapshot = saved.resume()?;
            let read = snapshot.receive.bytes.len() + snapshot.send.bytes.len();
            assert!(
                read > BYTES - Queues::PROBED as usize,
                "{queue}: {read} bytes"
            );
            assert!(within <= FEW, "{queue}: {within} in the pause");
            assert!(before >= pages(BYTES), "{queue}: {before} before the pause");
        }
    }
    Ok(())
}

/// How many pages hold so many bytes, at the least: of 4 KiB, or of 64.
fn pages(bytes: usize) -> i64 {
    (bytes / (64 << 10)) as i64
}

/// Lets the kernel find pages one by one, also where it is set to find 512 at a time; from here on, in all tests of this process.
fn small_pages() -> Result {
    Ok(prctl::set_thp_disable(true)?)
}

fn a_run_measures_everything_and_is_no_worse_than_itself() -> Result {
    let scale = Scale::test();
    let root = lab::Sandbox::enter()?.is_root();
    let results = run(&scale, root, |_| {})?;
    let expected = Work::BOTH.len() * Filled::ALL.len() * scale.lengths.len() * 4;
    assert_eq!(results.latencies.len(), expected);
    for latency in &results.latencies {
        assert_eq!(latency.standstill.count, scale.blocks * scale.rounds);
        assert!(latency.standstill.percentile(0) > 0.0, "{latency:?}");
        assert!(latency.call.median() >= latency.standstill.percentile(0));
    }
    // The floor may have lost its stream.
    for moved in [false, true] {
        let ours = |it: &&Outage| it.moved == moved && it.subject == name::WARM;
        assert_eq!(results.outages.iter().filter(ours).count(), 1);
    }
    for outage in &results.outages {
        assert_eq!(outage.resets, 0, "{outage:?}");
    }
    assert!(results.crowds.iter().any(|crowd| crowd.to_one.is_some()));
    assert_eq!(results.verdicts.len(), 7);
    let folder = tempfile::tempdir()?;
    report::write_to(folder.path(), &results)?;
    let read = Results::read(&folder.path().join("results.json"))?;
    let comparison = Comparison::of(&results, &read);
    assert!(comparison.compared > 20, "{comparison:?}");
    assert!(comparison.worse.is_empty(), "{comparison:?}");
    assert!(report::short(&results).contains("soccr on kernel"));
    Ok(())
}
