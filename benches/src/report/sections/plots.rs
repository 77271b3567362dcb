//! The charts of a report.

use super::happening;
use crate::bench_connection::Filled;
use crate::report::chart::{Axis, Chart, Curve, Point, Scale};
use crate::results::{Latency, Results, Work, size};
use crate::statistics::{Distribution, Ratio};
use crate::subject::name;

/// Everybody whose standstill is measured, in the order of the legend.
const SUBJECTS: [&str; 4] = [name::WARM, name::FLOOR, name::COLD, name::BASELINE];

/// The standstill by length, and its ratio to the floor's.
pub(super) fn standstill(results: &Results) -> Vec<Chart> {
    let mut charts = Vec::new();
    for work in Work::BOTH {
        for queue in Filled::ALL {
            charts.push(by_length(results, work, queue));
        }
        charts.push(ratios(results, work));
    }
    charts
}

fn by_length(results: &Results, work: Work, queue: Filled) -> Chart {
    let lengths = lengths(results);
    let curve = |subject: &&str| {
        let latencies = results.latencies_of(work, queue, subject);
        let points = latencies.map(|latency| Point {
            x: place(&lengths, latency.bytes),
            y: latency.standstill.median() / 1e3,
            interval: Some(quartiles(&latency.standstill)),
        });
        curve(subject, points)
    };
    Chart {
        title: format!("Standstill by length of the {queue} queue: {work}"),
        x: named("bytes in the queue", &lengths),
        y: axis(
            "microseconds (the middle half of all rounds)",
            Scale::Logarithmic,
        ),
        curves: SUBJECTS.iter().filter_map(curve).collect(),
        limit: None,
        dots: true,
    }
}

fn ratios(results: &Results, work: Work) -> Chart {
    let lengths = lengths(results);
    let mut curves = Vec::new();
    for queue in Filled::ALL {
        for (subject, of, to) in [
            (
                name::WARM,
                to_floor as fn(&Latency) -> Option<Ratio>,
                "floor",
            ),
            (name::BASELINE, to_floor, "floor"),
            (name::WARM, to_baseline, "baseline"),
        ] {
            let latencies = results.latencies_of(work, queue, subject);
            let points = latencies.filter_map(|latency| {
                let ratio = of(latency)?;
                Some(Point {
                    x: place(&lengths, latency.bytes),
                    y: ratio.value,
                    interval: Some((ratio.low, ratio.high)),
                })
            });
            curves.extend(curve(&format!("{subject} to {to}, {queue}"), points));
        }
    }
    Chart {
        title: format!("Ratio of the standstill: {work}"),
        x: named("bytes in the queue", &lengths),
        y: axis("ratio, with its interval of 95 %", Scale::Linear),
        curves,
        limit: Some(1.10),
        dots: true,
    }
}

fn to_floor(latency: &Latency) -> Option<Ratio> {
    latency.to_floor
}

fn to_baseline(latency: &Latency) -> Option<Ratio> {
    latency.to_baseline
}

/// Of the shortest and of the longest queue.
pub(super) fn distributions(results: &Results) -> Vec<Chart> {
    let lengths = lengths(results);
    let ends = [lengths.first(), lengths.last()].into_iter().flatten();
    let charts = ends.map(|bytes| {
        let curve = |subject: &&str| {
            let mut latencies = results.latencies_of(Work::PauseToResume, Filled::Receive, subject);
            let latency = latencies.find(|latency| latency.bytes == *bytes)?;
            let percentiles = latency.standstill.percentiles.iter().enumerate();
            let points = percentiles.map(|(percent, value)| Point {
                x: percent as f64,
                y: value / 1e3,
                interval: None,
            });
            curve(subject, points)
        };
        let length = size(*bytes);
        Chart {
            title: format!("Distribution: pause, save, resume, receive queue of {length}"),
            x: axis("percent of the rounds", Scale::Linear),
            y: axis("microseconds at most", Scale::Logarithmic),
            curves: SUBJECTS.iter().filter_map(curve).collect(),
            limit: None,
            dots: false,
        }
    });
    charts.collect()
}

/// By the number of sockets.
pub(super) fn crowds(results: &Results) -> Vec<Chart> {
    let mut threads: Vec<_> = results.crowds.iter().map(|crowd| crowd.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let curves = threads.into_iter().filter_map(|threads| {
        let crowds = results
            .crowds
            .iter()
            .filter(|crowd| crowd.threads == threads);
        let points = crowds.map(|crowd| Point {
            x: crowd.sockets as f64,
            y: crowd.per_socket.median() / 1e3,
            interval: Some(quartiles(&crowd.per_socket)),
        });
        curve(&format!("{threads} threads"), points)
    });
    vec![Chart {
        title: "Cost of a socket among many".to_owned(),
        x: axis("sockets saved by one call", Scale::Logarithmic),
        y: axis("microseconds for each", Scale::Linear),
        curves: curves.collect(),
        limit: None,
        dots: true,
    }]
}

/// What the peer has read around the resume.
pub(super) fn outages(results: &Results) -> Vec<Chart> {
    let charts = [false, true].map(|moved| {
        let outages = results
            .outages
            .iter()
            .filter(|outage| outage.moved == moved);
        let curves: Vec<_> = outages
            .clone()
            .filter_map(|outage| {
                let first = outage.timeline.first()?.1;
                let points = outage.timeline.iter().map(|(ms, bytes)| Point {
                    x: *ms,
                    y: bytes.saturating_sub(first) as f64 / f64::from(1 << 20),
                    interval: None,
                });
                curve(&outage.subject, points)
            })
            .collect();
        let what = outages.clone().map(happening).next()?;
        Some(Chart {
            title: format!("Outage as the peer sees it: {what}"),
            x: axis("milliseconds since the resume", Scale::Linear),
            y: axis("MiB that the peer has read", Scale::Linear),
            curves,
            limit: None,
            dots: false,
        })
    });
    charts.into_iter().flatten().collect()
}

fn curve(name: &str, points: impl Iterator<Item = Point>) -> Option<Curve> {
    let points: Vec<_> = points.collect();
    (!points.is_empty()).then(|| Curve {
        name: name.to_owned(),
        points,
    })
}

fn quartiles(distribution: &Distribution) -> (f64, f64) {
    let at = |percent| distribution.percentile(percent) / 1e3;
    (at(25), at(75))
}

fn axis(label: &str, scale: Scale) -> Axis {
    Axis {
        label: label.to_owned(),
        scale,
        names: Vec::new(),
    }
}

/// One place for each length: zero has none on a logarithmic axis.
fn named(label: &str, lengths: &[usize]) -> Axis {
    Axis {
        names: lengths.iter().map(|bytes| size(*bytes)).collect(),
        ..axis(label, Scale::Names)
    }
}

fn lengths(results: &Results) -> Vec<usize> {
    let mut lengths: Vec<_> = results.latencies.iter().map(|it| it.bytes).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

fn place(lengths: &[usize], bytes: usize) -> f64 {
    let at = lengths.iter().position(|length| *length == bytes);
    at.unwrap_or(0) as f64
}
