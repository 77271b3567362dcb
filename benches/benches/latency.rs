//! Pause to resume, and the full cycle of save, close, restore and resume: the library next to its floor.

use benches::bench_connection::{BenchConnection, Error, Filled};
use benches::floor::FloorState;
use criterion::{BenchmarkId, Criterion, Throughput};
use std::error::Error as StdError;
use std::net::TcpStream;

/// Length of the filled queue, bytes.
const LENGTHS: [usize; 3] = [0, 64 << 10, 4 << 20];

fn main() -> Result<(), Box<dyn StdError>> {
    // Before criterion starts a thread.
    lab::Sandbox::enter()?;
    let mut criterion = Criterion::default().configure_from_args();
    for filled in [Filled::Receive, Filled::Send] {
        pause_to_resume(&mut criterion, filled)?;
        full_cycle(&mut criterion, filled)?;
    }
    criterion.final_summary();
    Ok(())
}

/// Pause, save everything, resume: how long the connection stands still.
fn pause_to_resume(criterion: &mut Criterion, filled: Filled) -> Result<(), Error> {
    let mut group = criterion.benchmark_group(format!("pause-save-resume/{filled:?}"));
    for length in LENGTHS {
        if length > 0 {
            group.throughput(Throughput::Bytes(length as u64));
        }
        let connection = BenchConnection::open(filled, length)?;
        let Some(subject) = connection.subject else {
            continue;
        };
        let mut failures = Vec::new();
        group.bench_with_input(BenchmarkId::new("soccr", length), &length, |bencher, _| {
            bencher
                .iter(|| soccr::save(&subject).map_err(|error| failures.push(error.to_string())));
        });
        let mut state = FloorState::with_room(length + (1 << 20));
        group.bench_with_input(BenchmarkId::new("floor", length), &length, |bencher, _| {
            bencher.iter(|| {
                let saved = state
                    .save(&subject)
                    .and_then(|()| FloorState::resume(&subject));
                saved.map_err(|error| failures.push(error.to_string()))
            });
        });
        report(&failures);
    }
    group.finish();
    Ok(())
}

/// Pause, save, close, new socket, restore, resume: how long the connection is gone.
fn full_cycle(criterion: &mut Criterion, filled: Filled) -> Result<(), Error> {
    let mut group = criterion.benchmark_group(format!("full-cycle/{filled:?}"));
    for length in LENGTHS {
        if length > 0 {
            group.throughput(Throughput::Bytes(length as u64));
        }
        let mut connection = BenchConnection::open(filled, length)?;
        let mut failures = Vec::new();
        connection.pair.a().enter(|| {
            group.bench_with_input(BenchmarkId::new("soccr", length), &length, |bencher, _| {
                bencher.iter(|| cycle(&mut connection.subject, &mut failures, library_cycle));
            });
            let mut state = FloorState::with_room(length + (1 << 20));
            group.bench_with_input(BenchmarkId::new("floor", length), &length, |bencher, _| {
                bencher.iter(|| {
                    cycle(&mut connection.subject, &mut failures, |socket| {
                        floor_cycle(&mut state, socket)
                    });
                });
            });
        })?;
        report(&failures);
    }
    group.finish();
    Ok(())
}

/// Sends the connection once round; after a failure there is none to send any more.
fn cycle(
    subject: &mut Option<TcpStream>,
    failures: &mut Vec<String>,
    round: impl FnOnce(TcpStream) -> Result<TcpStream, Box<dyn StdError>>,
) {
    if let Some(socket) = subject.take() {
        match round(socket) {
            Ok(socket) => *subject = Some(socket),
            Err(error) => failures.push(error.to_string()),
        }
    }
}

fn library_cycle(socket: TcpStream) -> Result<TcpStream, Box<dyn StdError>> {
    let snapshot = soccr::save_and_close(socket)?;
    Ok(snapshot.restore()?.resume()?)
}

fn floor_cycle(state: &mut FloorState, socket: TcpStream) -> Result<TcpStream, Box<dyn StdError>> {
    let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
    state.save(&socket)?;
    drop(socket);
    Ok(state.restore(local, remote)?)
}

/// A figure over failed rounds is worthless: say so where it is read, and fail the run.
fn report(failures: &[String]) {
    if let Some(first) = failures.first() {
        eprintln!(
            "error: {} rounds failed, the first with: {first}",
            failures.len()
        );
        std::process::exit(1);
    }
}
