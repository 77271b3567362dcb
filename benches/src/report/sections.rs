//! What the reports say: the same for both, and in short for the terminal.

mod plots;

use super::Section;
use crate::bench_connection::Filled;
use crate::results::{Latency, Outage, Results, Work, size};
use crate::statistics::Ratio;
use crate::subject::name;
use crate::table::Table;
use crate::targets::shown;

/// What stands above everything.
pub(crate) fn title(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "soccr on kernel {} ({}, {} processors, {})",
        machine.kernel,
        machine.architecture,
        machine.processors,
        if machine.root {
            "root"
        } else {
            "ordinary user"
        }
    )
}

/// All sections.
pub(crate) fn all(results: &Results) -> Vec<Section> {
    vec![
        targets(results),
        standstill(results),
        calls(results),
        distributions(results),
        crowds(results),
        outages(results),
        fidelity(results),
        how(results),
    ]
}

/// What the terminal shows.
#[must_use]
pub fn short(results: &Results) -> String {
    let mut text = format!("{}\n\n{}", title(results), latencies(results));
    for table in [crowd_table(results), outage_table(results)] {
        if !table.rows.is_empty() {
            text += &format!("\n{table}");
        }
    }
    text.push('\n');
    for verdict in &results.verdicts {
        let word = if verdict.met { "met" } else { "MISSED" };
        text += &format!("{word:<7} {}: {}\n", verdict.target, verdict.measured);
    }
    for skipped in &results.skipped {
        text += &format!("skipped {skipped}\n");
    }
    text
}

fn targets(results: &Results) -> Section {
    let mut table = Table::new(["target", "", "measured"]);
    for verdict in &results.verdicts {
        let word = if verdict.met { "met" } else { "missed" };
        table.push([&*verdict.target, word, &*verdict.measured]);
    }
    let mut text = "Ratios are those of medians of rounds that were measured in turn, with the interval in which 95 % of \
                    their bootstrap draws lie."
        .to_owned();
    for skipped in &results.skipped {
        text += &format!(" Not measured here: {skipped}.");
    }
    Section {
        title: "Targets".to_owned(),
        text,
        table: Some(table),
        charts: Vec::new(),
    }
}

fn standstill(results: &Results) -> Section {
    Section {
        title: "How long a connection stands still".to_owned(),
        text: "From the call that enters repair mode to the call that leaves it, in the middle of all rounds. The floor makes \
               the least system calls that save and restore a connection, without any check or cure; its buffers are always \
               there. The whole call is with what is done before the pause: the library looks at everything that the \
               application has set, and touches its buffers; the floor does neither."
            .to_owned(),
        table: Some(latencies(results)),
        charts: plots::standstill(results),
    }
}

/// A row for each work, queue and length.
fn latencies(results: &Results) -> Table {
    let mut head = vec![
        "standstill",
        "soccr",
        "floor",
        "to the floor",
        "cold to warm",
        "whole call",
        "to the floor's",
    ];
    if results.baseline.is_some() {
        head.extend(["baseline", "to the baseline"]);
    }
    let mut table = Table::new(head);
    for work in Work::BOTH {
        for queue in Filled::ALL {
            for ours in results.latencies_of(work, queue, name::WARM) {
                let other = |subject: &str| {
                    let mut all = results.latencies_of(work, queue, subject);
                    all.find(|other| other.bytes == ours.bytes)
                };
                let middle = |latency: Option<&Latency>| {
                    latency.map_or_else(missing, |it| time(it.standstill.median()))
                };
                let (cold, baseline) = (other(name::COLD), other(name::BASELINE));
                let mut row = vec![
                    format!("{work}, {queue} queue {}", size(ours.bytes)),
                    time(ours.standstill.median()),
                    middle(other(name::FLOOR)),
                    of(ours.to_floor),
                    of(cold.and_then(|cold| cold.to_warm)),
                    time(ours.call.median()),
                    of(ours.call_to_floor),
                ];
                if results.baseline.is_some() {
                    row.extend([middle(baseline), of(ours.to_baseline)]);
                }
                table.push(row);
            }
        }
    }
    table
}

fn calls(results: &Results) -> Section {
    let mut table = Table::new([
        "system calls",
        "beside the pause",
        "paused",
        "paused and closed",
        "restore",
        "resume",
    ]);
    for calls in &results.calls {
        let what = format!(
            "{} queue {}, {}",
            calls.queue,
            size(calls.bytes),
            calls.subject
        );
        let counts = [
            calls.beside_pause,
            calls.paused,
            calls.closed,
            calls.restore,
            calls.resume,
        ];
        table.push(std::iter::once(what).chain(counts.map(|count| count.to_string())));
    }
    Section {
        title: "System calls".to_owned(),
        text: "Counted, not known. Beside the pause, the library asks for what the application has set; with the \
               connection only, it does not."
            .to_owned(),
        table: Some(table),
        charts: Vec::new(),
    }
}

fn distributions(results: &Results) -> Section {
    let mut table = Table::new(["percentile", "1", "25", "50", "75", "99"]);
    for latency in &results.latencies {
        let percentiles = [1, 25, 50, 75, 99].map(|it| time(latency.standstill.percentile(it)));
        table.push(std::iter::once(latency.title()).chain(percentiles));
    }
    Section {
        title: "Distribution".to_owned(),
        text: "The standstill of all rounds.".to_owned(),
        table: Some(table),
        charts: plots::distributions(results),
    }
}

fn crowd_table(results: &Results) -> Table {
    let mut table = Table::new(["save_many", "each", "each stands still", "to one alone"]);
    for crowd in &results.crowds {
        let threads = match crowd.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        table.push([
            format!("{} sockets, {threads}", crowd.sockets),
            time(crowd.per_socket.median()),
            time(crowd.standstill),
            of(crowd.to_one),
        ]);
    }
    table
}

fn crowds(results: &Results) -> Section {
    Section {
        title: "Many sockets".to_owned(),
        text: "What each socket costs where many are saved by one call, a kilobyte in the receive queue of each.".to_owned(),
        table: Some(crowd_table(results)),
        charts: plots::crowds(results),
    }
}

fn outage_table(results: &Results) -> Table {
    let mut table = Table::new([
        "bulk transfer",
        "away",
        "silence",
        "no data",
        "recovery",
        "before",
        "after",
        "sent again",
        "resets",
    ]);
    for outage in &results.outages {
        table.push([
            format!("{}, {}", happening(outage), outage.subject),
            time(outage.standstill.median()),
            time(outage.silence.median()),
            time(outage.no_data.median()),
            time(outage.recovery.median()),
            rate(outage.goodput_before.median()),
            rate(outage.goodput_after.median()),
            outage.retransmissions.to_string(),
            outage.resets.to_string(),
        ]);
    }
    table
}

/// What has happened, in words.
fn happening(outage: &Outage) -> &'static str {
    match outage.moved {
        true => "move to another host",
        false => "freeze and thaw",
    }
}

fn outages(results: &Results) -> Section {
    Section {
        title: "What the peer sees".to_owned(),
        text: "Of a sender that is frozen and thawed, or moves to another host, while it sends as fast as it may. Away: from \
               the pause to the resume, with the rules that block the traffic and the address that moves. Silence and no \
               data: by the packets on the peer's link. Recovery: until the peer reads nine tenths as fast as before."
            .to_owned(),
        table: Some(outage_table(results)),
        charts: plots::outages(results),
    }
}

fn fidelity(results: &Results) -> Section {
    let mut table = Table::new(["", "restored", "twin", "ratio"]);
    let mut text = "A restored connection and one that was never touched send in turn. ".to_owned();
    if let Some(fidelity) = &results.fidelity {
        text += &format!("Each has sent for {:.1} seconds.", fidelity.seconds);
        table.push([
            "throughput".to_owned(),
            rate(fidelity.restored),
            rate(fidelity.twin),
            shown(&fidelity.ratio),
        ]);
    }
    Section {
        title: "A restored connection beside its twin".to_owned(),
        text,
        table: Some(table),
        charts: Vec::new(),
    }
}

fn how(results: &Results) -> Section {
    let baseline = results.baseline.as_deref().unwrap_or("none");
    Section {
        title: "How it was measured".to_owned(),
        text: format!(
            "Everybody once a round, each round beginning with somebody else; several blocks of rounds, each on connections \
             of its own; the intervals are those of a bootstrap over blocks and rounds. Scale: {}. Baseline: {baseline}. \
             Format {} of results.json.",
            results.scale, results.format
        ),
        table: None,
        charts: Vec::new(),
    }
}

fn of(ratio: Option<Ratio>) -> String {
    ratio.as_ref().map_or_else(missing, shown)
}

fn missing() -> String {
    "-".to_owned()
}

/// Nanoseconds, for people.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e4 => format!("{:.2} µs", ns / 1e3),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e7 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.1} ms", ns / 1e6),
    }
}

/// Bytes per second, for people.
fn rate(bytes: f64) -> String {
    match bytes * 8.0 {
        bits if bits < 1e9 => format!("{:.0} Mbit/s", bits / 1e6),
        bits => format!("{:.2} Gbit/s", bits / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Verdict;
    use crate::results::sample::results;

    #[test]
    fn the_terminal_shows_every_length_what_was_missed_and_what_was_skipped() {
        let mut results = results();
        results.verdicts.push(Verdict {
            target: "fast".to_owned(),
            met: false,
            measured: "slow".to_owned(),
        });
        let text = short(&results);
        let lines = text.lines();
        assert_eq!(
            lines.filter(|line| line.contains("queue 64 KiB")).count(),
            Work::BOTH.len() * Filled::ALL.len()
        );
        assert!(text.contains("MISSED  fast: slow\n"), "{text}");
        assert!(text.contains("skipped 10000 sockets at a time\n"));
        assert!(!text.contains("to the baseline"));
        results.baseline = Some("libsoccr.so".to_owned());
        assert!(short(&results).contains("to the baseline"));
    }

    #[test]
    fn times_and_rates_are_as_short_as_people_want_them() {
        let times = [950.0, 1234.0, 56_789.0, 2e6, 3.21e7].map(time);
        assert_eq!(
            times,
            ["950 ns", "1.23 µs", "56.8 µs", "2.00 ms", "32.1 ms"]
        );
        assert_eq!([1e8, 2.5e9].map(rate), ["800 Mbit/s", "20.00 Gbit/s"]);
    }
}
