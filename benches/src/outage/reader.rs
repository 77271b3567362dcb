//! The receiver of a bulk transfer: reads, checks every byte, and remembers when it had how many.

use super::waited;
use crate::error::Error;
use crate::stream::{CHUNK, chunk};
use std::io::Read;
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// In which a rate is measured that counts as recovered.
const WINDOW: Duration = Duration::from_millis(20);
/// What counts as recovered.
const RECOVERED: f64 = 0.9;

/// A thread that reads to the end.
pub(super) struct Reader(JoinHandle<Result<Reads, Error>>);

/// When how much was read.
pub(super) struct Reads(Vec<(Instant, u64)>);

impl Reader {
    pub(super) fn start(socket: TcpStream) -> Result<Self, Error> {
        let thread = thread::Builder::new().name("reader".to_owned());
        Ok(Self(thread.spawn(|| read(socket))?))
    }

    /// Waits for the end, which has to come behind so many bytes.
    pub(super) fn finish(self, sent: u64) -> Result<Reads, Error> {
        let panicked = |_| Error::broken("the reader has panicked");
        let reads = self.0.join().map_err(panicked)??;
        match reads.total() {
            total if total == sent => Ok(reads),
            total => Err(Error::broken(format!(
                "{total} of {sent} bytes have arrived"
            ))),
        }
    }
}

fn read(mut socket: TcpStream) -> Result<Reads, Error> {
    let (mut reads, mut total) = (vec![(Instant::now(), 0)], 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = socket.read(&mut buffer);
        let count = count.map_err(|error| {
            let what = format!("behind {total} bytes, the receiver received nothing");
            waited(error, &what)
        })?;
        if count == 0 {
            return Ok(Reads(reads));
        }
        if buffer[..count] != chunk(total)[..count] {
            return Err(Error::broken(format!(
                "what arrived behind byte {total} is not what was sent"
            )));
        }
        total += count as u64;
        reads.push((Instant::now(), total));
    }
}

impl Reads {
    fn total(&self) -> u64 {
        self.0.last().map_or(0, |(_, total)| *total)
    }

    /// How much was read by then.
    fn by(&self, time: Instant) -> u64 {
        let later = self.0.partition_point(|(at, _)| *at <= time);
        let last = later.checked_sub(1).and_then(|last| self.0.get(last));
        last.map_or(0, |(_, total)| *total)
    }

    /// Bytes per second in between.
    pub(super) fn rate(&self, from: Instant, to: Instant) -> f64 {
        let seconds = to.duration_since(from).as_secs_f64();
        match seconds > 0.0 {
            true => (self.by(to) - self.by(from)) as f64 / seconds,
            false => 0.0,
        }
    }

    /// How long it takes until what is read is nearly as fast as before; all the time that is left where it never is.
    pub(super) fn recovery(&self, resumed: Instant, before: f64) -> Duration {
        let later = self.0.iter().map(|(at, _)| *at).filter(|at| *at >= resumed);
        let fast = |at: &Instant| self.rate(*at, *at + WINDOW) >= RECOVERED * before;
        let end = self.0.last().map_or(resumed, |(at, _)| *at);
        let recovered = later.clone().find(fast).unwrap_or(end);
        recovered.saturating_duration_since(resumed)
    }

    /// Milliseconds since then, and how much was read.
    pub(super) fn around(&self, then: Instant, time: Duration) -> Vec<(f64, u64)> {
        let milliseconds = |at: Instant| match at.checked_duration_since(then) {
            Some(after) => after.as_secs_f64() * 1e3,
            None => -(then.duration_since(at).as_secs_f64() * 1e3),
        };
        let near = |(at, _): &&(Instant, u64)| milliseconds(*at).abs() <= time.as_secs_f64() * 1e3;
        let reads = self.0.iter().filter(near);
        reads
            .map(|(at, total)| (milliseconds(*at), *total))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A kilobyte each millisecond, but for ten from the 100th on, and half as fast for 50 after them.
    fn reads(start: Instant) -> Reads {
        let mut total = 0;
        let read = |ms: u32| {
            total += match ms {
                100..110 => 0,
                110..160 => 500,
                _ => 1000,
            };
            (start + MS * ms, total)
        };
        Reads((0..400).map(read).collect())
    }

    #[test]
    fn rates_and_recovery_are_those_of_the_reads() {
        let start = Instant::now();
        let reads = reads(start);
        let before = reads.rate(start + MS * 50, start + MS * 100);
        assert!((before - 980_000.0).abs() < 1.0, "{before}");
        let recovery = reads.recovery(start + MS * 110, before);
        // The window begins to be fast enough a little before all of it is.
        assert!((44..=50).contains(&recovery.as_millis()), "{recovery:?}");
        let never = reads.recovery(start + MS * 110, 10.0 * before);
        assert_eq!(never, MS * 289);
    }

    #[test]
    fn what_is_read_around_a_moment_has_times_of_both_signs() {
        let start = Instant::now();
        let around = reads(start).around(start + MS * 100, MS * 3);
        let times: Vec<_> = around.iter().map(|(ms, _)| ms.round() as i64).collect();
        assert_eq!(times, [-3, -2, -1, 0, 1, 2, 3]);
    }
}
