//! Results of a run that never was, for tests of what is made of them.

use super::*;

pub(crate) fn results() -> Results {
    let ratio = Some(Ratio {
        value: 1.05,
        low: 1.0,
        high: 1.1,
    });
    let times = Distribution::of(&[900.0, 1000.0, 1200.0]);
    let latency = |work, queue, bytes, subject: &str| Latency {
        work,
        queue,
        bytes,
        subject: subject.to_owned(),
        standstill: times.clone(),
        call: times.clone(),
        page_faults: 0.0,
        to_floor: ratio.filter(|_| subject != crate::subject::name::FLOOR),
        call_to_floor: ratio.filter(|_| subject != crate::subject::name::FLOOR),
        to_baseline: None,
        to_warm: ratio.filter(|_| subject == crate::subject::name::COLD),
    };
    let mut latencies = Vec::new();
    for work in Work::BOTH {
        for queue in Filled::ALL {
            for bytes in [64 << 10, 4 << 20] {
                for subject in ["soccr", "floor", "soccr, cold buffers"] {
                    latencies.push(latency(work, queue, bytes, subject));
                }
            }
        }
    }
    let calls = |subject: &str, paused| Calls {
        queue: Filled::Receive,
        bytes: 0,
        subject: subject.to_owned(),
        beside_pause: 100,
        paused,
        closed: 12,
        restore: 20,
        resume: 3,
    };
    let crowd = |sockets, to_one| Crowd {
        sockets,
        threads: 1,
        per_socket: times.clone(),
        standstill: 1000.0,
        to_one,
    };
    let outage = |moved| Outage {
        moved,
        subject: "soccr".to_owned(),
        count: 3,
        standstill: times.clone(),
        silence: times.clone(),
        no_data: times.clone(),
        recovery: times.clone(),
        goodput_before: Distribution::of(&[1.2e8]),
        goodput_after: Distribution::of(&[1.2e8]),
        retransmissions: 0,
        resets: 0,
        timeline: vec![(-1.0, 0), (0.0, 1 << 20), (2.5, 3 << 20)],
    };
    Results {
        format: FORMAT,
        machine: Machine {
            kernel: "6.18 <&>".to_owned(),
            architecture: "x86_64".to_owned(),
            processors: 2,
            root: true,
        },
        scale: "full".to_owned(),
        baseline: None,
        latencies,
        calls: vec![calls("soccr", 25), calls("floor", 14)],
        crowds: vec![crowd(1, None), crowd(10, ratio)],
        outages: vec![outage(false), outage(true)],
        undisturbed: vec![Undisturbed {
            pattern: Pattern::Idle,
            freezes: 3,
            retransmissions: 0,
            resets: 0,
        }],
        fidelity: Some(Fidelity {
            seconds: 1.0,
            restored: 2e9,
            twin: 2.1e9,
            ratio: Ratio {
                value: 0.99,
                low: 0.97,
                high: 1.01,
            },
        }),
        verdicts: Vec::new(),
        skipped: vec!["10000 sockets at a time".to_owned()],
    }
}
