//! What has nothing to be measured beside: images, labs, wires; and the library alone, for criterion's own reports.

use benches::Error;
use benches::bench_connection::{BenchNetwork, Filled};
use benches::queues::Queues;
use benches::subject::{Ours, Subject, Way, cycle};
use criterion::{BenchmarkId, Criterion, Throughput};
use lab::{Family, Pair};
use soccr::Snapshot;
use std::io::{Read, Write};
use std::process::ExitCode;

/// Length of the filled queue, bytes.
const LENGTHS: [usize; 3] = [0, 64 << 10, 4 << 20];
/// What a wire carries in one turn.
const TURN: usize = 1 << 20;

/// The first failure of a round: a figure over failed rounds is worthless.
type Failure = Option<Error>;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Error> {
    // Before criterion starts a thread.
    lab::Sandbox::enter()?;
    let mut criterion = Criterion::default().configure_from_args();
    latency(&mut criterion)?;
    images(&mut criterion)?;
    labs(&mut criterion)?;
    throughput(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// The library's calls as they are used; beside its floor it is measured elsewhere.
fn latency(criterion: &mut Criterion) -> Result<(), Error> {
    for filled in Filled::ALL {
        let mut group = criterion.benchmark_group(format!("latency/{filled}"));
        for length in LENGTHS {
            let network = BenchNetwork::build(filled)?;
            let connection = network.open(length)?;
            let queues = Queues::of(&connection.subject)?;
            let mut socket = Some(connection.subject);
            let mut ours = Ours::new(Way::Warm);
            let mut failure: Failure = None;
            if length > 0 {
                group.throughput(Throughput::Bytes(length as u64));
            }
            network.host().enter(|| {
                group.bench_function(BenchmarkId::new("save", length), |bencher| {
                    bencher.iter(|| {
                        if let Some(socket) = &socket {
                            keep(&mut failure, ours.pause_to_resume(socket));
                        }
                    });
                });
                group.bench_function(BenchmarkId::new("full-cycle", length), |bencher| {
                    bencher.iter(|| {
                        let gone = socket.take();
                        let restored = gone.map(|socket| cycle(&mut ours, socket));
                        socket = restored.and_then(|it| Some(keep(&mut failure, it)?.0));
                    });
                });
            })?;
            told(failure)?;
            // What an answered probe has made of an unsent queue is another measurement; here the figures stand already.
            let Some(socket) = &socket else { continue };
            if let Err(change) = queues.expect_still(socket)? {
                println!(
                    "{filled} queue of {length} bytes: not all of this was measured on it: {change}"
                );
            }
        }
        group.finish();
    }
    Ok(())
}

fn images(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("image");
    for length in LENGTHS {
        let network = BenchNetwork::build(Filled::Receive)?;
        let connection = network.open(length)?;
        let snapshot = network
            .host()
            .enter(|| soccr::save(&connection.subject))??;
        let image = snapshot.to_image();
        let mut failure: Failure = None;
        group.throughput(Throughput::Bytes(image.len() as u64));
        group.bench_function(BenchmarkId::new("encode", length), |bencher| {
            bencher.iter(|| snapshot.to_image());
        });
        group.bench_function(BenchmarkId::new("decode", length), |bencher| {
            bencher.iter(|| {
                let read = Snapshot::from_image(&image).map_err(std::io::Error::other);
                keep(&mut failure, read.map_err(Error::from))
            });
        });
        told(failure)?;
    }
    group.finish();
    Ok(())
}

/// How long a test waits for its network.
fn labs(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("lab");
    let mut failure: Failure = None;
    group.bench_function("pair", |bencher| {
        bencher.iter(|| keep(&mut failure, Pair::new().map_err(Error::from)));
    });
    group.bench_function("pair-with-wire", |bencher| {
        bencher.iter(|| keep(&mut failure, Pair::with_wire().map_err(Error::from)));
    });
    group.bench_function("pair-and-connection", |bencher| {
        bencher.iter(|| {
            let opened = Pair::new().and_then(|pair| pair.connection(Family::V4).open());
            keep(&mut failure, opened.map_err(Error::from))
        });
    });
    group.finish();
    told(failure)
}

/// What a link carries, with and without a wire in it.
fn throughput(criterion: &mut Criterion) -> Result<(), Error> {
    let (plain, wired) = (Pair::new()?, Pair::with_wire()?);
    let mut group = criterion.benchmark_group("throughput");
    group.throughput(Throughput::Bytes(TURN as u64));
    for (name, connection) in [
        ("link", plain.connection(Family::V4)),
        ("wire", wired.connection(Family::V4)),
    ] {
        let connection = connection.open()?;
        let (mut from, mut to) = (connection.client, connection.server);
        let mut failure: Failure = None;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let turn = std::thread::scope(|scope| {
                    let writing = scope.spawn(|| from.write_all(&[0x5a; TURN]));
                    to.read_exact(&mut vec![0; TURN])?;
                    let panicked = |_| std::io::Error::other("the writer has panicked");
                    writing.join().map_err(panicked)?
                });
                keep(&mut failure, turn.map_err(Error::from));
            });
        });
        told(failure)?;
    }
    group.finish();
    Ok(())
}

/// The result, if there is one; the first error is kept.
fn keep<T>(failure: &mut Failure, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(error) => {
            failure.get_or_insert(error);
            None
        }
    }
}

fn told(failure: Failure) -> Result<(), Error> {
    failure.map_or(Ok(()), Err)
}
