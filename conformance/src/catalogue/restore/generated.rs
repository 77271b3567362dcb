//! Generated connections: proptest chooses the queues, the split, the options and the family.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Negotiated, Plan, Receive, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict};
use lab::{Family, Pair};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;

/// Connections per case.
const CONNECTIONS: u32 = 40;

/// The largest queue that is generated, bytes: more than a window without scaling, less than a send buffer.
const LONGEST: usize = 200_000;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new(
        "restore/generated/queues-and-options",
        format!(
            "{CONNECTIONS} connections with generated queues, splits, options and families move whole"
        ),
        &["E1", "A24", "A25", "A31"],
        generated,
    )
    .in_c()]
}

/// One generated connection.
#[derive(Clone, Copy, Debug)]
struct Generated {
    family: Family,
    negotiated: Negotiated,
    /// Bytes that the peer writes; what the window lets in lies in the receive queue.
    received: usize,
    /// Bytes that the subject writes while no acknowledgement comes back.
    written: usize,
    /// The peer's segment size: ten segments are sent, the rest is the unsent tail.
    mss: u32,
    /// Bytes of the receive queue that the application has read before the save.
    read: usize,
}

fn strategy() -> impl Strategy<Value = Generated> {
    let family = prop_oneof![Just(Family::V4), Just(Family::V6), Just(Family::V4Mapped)];
    let bits = (any::<bool>(), any::<bool>(), any::<bool>());
    let length = || prop_oneof![1 => Just(0), 2 => 1..3_000_usize, 2 => 3_000..LONGEST];
    (
        family,
        bits,
        length(),
        length(),
        536..1_460_u32,
        0..100_usize,
    )
        .prop_map(
            |(family, (timestamps, sack, window_scaling), received, written, mss, percent)| {
                Generated {
                    family,
                    negotiated: Negotiated {
                        timestamps,
                        sack,
                        window_scaling,
                    },
                    received,
                    written,
                    mss,
                    read: received.min(60_000) * percent / 100,
                }
            },
        )
}

fn generated(ctx: &Context) -> Verdict {
    let config = Config {
        cases: CONNECTIONS,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&ctx.seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    // What stopped the last connection that was tried: after shrinking, the smallest one that fails.
    let last = RefCell::new(None);
    let result = runner.run(&strategy(), |generated| {
        generated.run(ctx).map_err(|stop| {
            let reason = format!("{stop:?}");
            last.replace(Some(stop));
            TestCaseError::fail(reason)
        })
    });
    match (result, last.into_inner()) {
        (Ok(()), _) => Ok(()),
        (Err(TestError::Fail(_, smallest)), Some(Stop::Fail(failure))) => {
            let what = format!("{} of {smallest:?}, seed {}", failure.what, ctx.seed());
            Err(Failure { what, ..failure }.into())
        }
        (Err(error), Some(stop)) => Err(Stop::Broken(format!("{error}: {stop:?}"))),
        (Err(error), None) => Err(Stop::Broken(error.to_string())),
    }
}

impl Generated {
    /// In a network of its own, whose evidence is not kept: the smallest failing one is what matters.
    fn run(self, ctx: &Context) -> Verdict {
        let ctx = &ctx.aside();
        let plan = Plan {
            family: self.family,
            negotiated: self.negotiated,
            receive: Receive::Empty,
            send: Send::Empty,
            ..Plan::PLAIN
        };
        let pair = ctx.build(plan.network(Pair::builder()))?;
        let capture = ctx.capture(pair.a())?;
        let mss = self.mss;
        let connection = pair
            .connection(self.family)
            .on_client(move |socket| socket.set_tcp_mss(mss))
            .open()?;
        let mut traveller = Traveller::new(ctx, pair, capture, connection);
        traveller.write_until_stalled(End::Peer, self.received)?;
        let mut read = 0;
        while read < self.read {
            match traveller.talk.read(End::Subject, &traveller.subject)? {
                Some(count) if count > 0 => read += count,
                _ => break,
            }
        }
        traveller.write_until_stalled(End::Peer, 0)?;
        if self.written > 0 {
            traveller.send_unacknowledged(self.written)?;
        }
        traveller.travel(ctx, Probes::One)
    }
}
