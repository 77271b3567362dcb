//! What scenarios are generated from.

use super::aim::Aim;
use super::model::Model;
use super::setup::{Clock, Congestion, MAX_SHIFT, Network, Opening, Scaling, Setup};
use super::step::{Setting, Step, Who};
use crate::oracle::stream::End;
use lab::Family;
use proptest::prelude::*;
use proptest_state_machine::Sequential;

/// A generated scenario has so many steps.
const STEPS: std::ops::RangeInclusive<usize> = 2..=16;

/// Scenarios as proptest generates and shrinks them: the model in its first state, and the steps.
pub type Generated = (
    Model,
    Vec<Step>,
    Option<std::sync::Arc<std::sync::atomic::AtomicUsize>>,
);

/// All scenarios that are generated; those with an aim begin with what leads there.
pub(super) fn strategy(aim: Option<Aim>) -> impl Strategy<Value = Generated> {
    // How many steps lead there does not depend on the start.
    let lead = aim.map_or(0, |aim| aim.steps(&Setup::PLAIN).len());
    let steps = lead + STEPS.start()..=lead + STEPS.end();
    let aimed = move |setup| aim.map_or(setup, |aim| aim.setup(setup));
    Sequential::new(
        steps.into(),
        move || {
            setup()
                .prop_map(move |setup| Drawn::new(consistent(aimed(setup))))
                .boxed()
        },
        |drawn: &Drawn, step: &Step| drawn.model.forbids(step).is_none(),
        move |drawn: &Drawn| {
            let lead = aim.map(|aim| aim.steps(&drawn.model.setup));
            match lead.and_then(|lead| lead.get(drawn.taken).copied()) {
                Some(next) => Just(next).boxed(),
                None => step(&drawn.model),
            }
        },
        |drawn: Drawn, step: &Step| drawn.after(step),
    )
    .prop_map(|(drawn, steps, taken)| (drawn.model, steps, taken))
}

/// What has been drawn so far: the next step follows from it.
#[derive(Clone, Debug)]
struct Drawn {
    model: Model,
    /// How many steps.
    taken: usize,
}

impl Drawn {
    fn new(setup: Setup) -> Self {
        Self {
            model: Model::new(setup),
            taken: 0,
        }
    }

    fn after(mut self, step: &Step) -> Self {
        self.model.apply(step);
        self.taken += 1;
        self
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let network = prop_oneof![3 => Just(Network::Wire), 1 => Just(Network::Move)];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6), Just(Family::V4Mapped)];
    let mtu = prop_oneof![3 => Just(1500), 1 => Just(1280), 1 => Just(9000), 1 => 1281..4000_u32];
    let opening = prop_oneof![
        2 => Just(Opening::Handshake),
        1 => number().prop_map(|subject| Opening::Lost { subject }),
        2 => (number(), number(), number()).prop_map(|(subject, peer, clock)| Opening::Forged {
            subject,
            peer,
            clock: clock & !1,
        }),
    ];
    let timestamps = prop_oneof![
        2 => Just(Clock::Milliseconds),
        1 => Just(Clock::Off),
        1 => Just(Clock::Microseconds),
    ];
    let shift = || 0..=MAX_SHIFT;
    let scaling = prop_oneof![
        2 => Just(Scaling::Usual),
        1 => Just(Scaling::Off),
        2 => (shift(), shift()).prop_map(|(subject, peer)| Scaling::Shifts(subject, peer)),
    ];
    let mss = prop_oneof![3 => Just(None), 1 => (88..1460_u16).prop_map(Some)];
    let congestion = prop_oneof![
        Just(Congestion::Reno),
        Just(Congestion::Usual),
        Just(Congestion::Cubic),
        Just(Congestion::Bbr),
    ];
    let buffer = || prop_oneof![3 => Just(None), 1 => (2_048..200_000_u32).prop_map(Some)];
    (
        (network, family, mtu, any::<bool>(), opening),
        (timestamps, any::<bool>(), scaling, mss, congestion),
        (buffer(), buffer()),
    )
        .prop_map(
            |(
                (network, family, mtu, offload, opening),
                (timestamps, sack, scaling, mss, congestion),
                (subject, peer),
            )| {
                Setup {
                    network,
                    family,
                    mtu,
                    offload,
                    opening,
                    timestamps,
                    sack,
                    scaling,
                    mss,
                    congestion,
                    receive_buffers: [subject, peer],
                }
            },
        )
}

/// A connection with a handshake has what a handshake can negotiate.
fn consistent(setup: Setup) -> Setup {
    if matches!(setup.opening, Opening::Forged { .. }) {
        return setup;
    }
    Setup {
        timestamps: match setup.timestamps {
            Clock::Microseconds => Clock::Milliseconds,
            other => other,
        },
        scaling: match setup.scaling {
            Scaling::Shifts(..) => Scaling::Usual,
            other => other,
        },
        ..setup
    }
}

/// A number that is about to wrap, or to be taken for a negative one, or any.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        2 => Just(1_000_000),
        2 => (u32::MAX - 100_000)..=u32::MAX,
        1 => (1_u32 << 31) - 50_000..(1 << 31) + 50_000,
        1 => any::<u32>(),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Subject), Just(End::Peer)]
}

/// Whose segments something happens to: those of the subject are lost as it is where only its SYN was sent.
fn faulty(open: bool) -> impl Strategy<Value = End> {
    prop_oneof![u32::from(open) => Just(End::Subject), 1 => Just(End::Peer)]
}

/// So many bytes that something changes from one to the next: segments, windows, buffers.
fn bytes(model: &Model) -> impl Strategy<Value = u32> + use<> {
    let segment = model.setup.segment();
    prop_oneof![
        4 => Just(1),
        4 => Just(segment - 1),
        6 => Just(segment),
        4 => Just(segment + 1),
        6 => segment..10 * segment,
        4 => Just(10 * segment + 1),
        2 => 65_534..=65_537_u32,
        4 => 10_000..200_000_u32,
        1 => 200_000..3_000_000_u32,
    ]
}

fn step(model: &Model) -> BoxedStrategy<Step> {
    let mut steps: Vec<(u32, BoxedStrategy<Step>)> = Vec::new();
    let mut add = |weight, step: BoxedStrategy<Step>| steps.push((weight, step));
    let talking = [End::Subject, End::Peer].into_iter().filter(|_| model.open);
    for end in talking {
        if !model.ended[end as usize] {
            add(
                9,
                bytes(model).prop_map(move |n| Step::Write(end, n)).boxed(),
            );
            // A FIN that is lost, or crosses the other one, makes the rarer states.
            let ends = if model.is_clear() { 2 } else { 5 };
            add(ends, Just(Step::End(end)).boxed());
            add(1, Just(Step::Urgent(end)).boxed());
        }
        add(
            3,
            bytes(model)
                .prop_map(move |n| Step::Read(end, Some(n)))
                .boxed(),
        );
        add(3, Just(Step::Read(end, None)).boxed());
    }
    if model.open {
        add(
            2,
            (end(), setting())
                .prop_map(|(end, setting)| Step::Set(end, setting))
                .boxed(),
        );
    }
    // What a SYN offers, it can be sent.
    let links = if model.open { 4_000 } else { model.setup.mtu };
    add(1, (1280..=links).prop_map(Step::Mtu).boxed());
    let end = || faulty(model.open);
    add(3, end().prop_map(|end| Step::Lose(end, None)).boxed());
    if model.setup.network == Network::Wire {
        let some = || (end(), 1..4_u32);
        add(
            3,
            some().prop_map(|(end, n)| Step::Lose(end, Some(n))).boxed(),
        );
        add(2, end().prop_map(Step::Hold).boxed());
        add(2, some().prop_map(|(end, n)| Step::Reorder(end, n)).boxed());
        add(
            1,
            some().prop_map(|(end, n)| Step::Duplicate(end, n)).boxed(),
        );
    } else {
        add(8, Just(Step::Move).boxed());
    }
    if !model.is_clear() {
        add(4, Just(Step::Clear).boxed());
    }
    let others = u32::from(model.open);
    let who = || {
        prop_oneof![
            6 => Just(Who::One(End::Subject)),
            2 * others => Just(Who::One(End::Peer)),
            others => Just(Who::Both),
        ]
    };
    let saves = if model.is_clear() { 1 } else { 2 };
    add(3 * saves, who().prop_map(Step::Checkpoint).boxed());
    add(10 * saves, who().prop_map(Step::Restore).boxed());
    proptest::strategy::Union::new_weighted(steps).boxed()
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        1 => Just(Setting::NoDelay),
        1 => any::<bool>().prop_map(Setting::Cork),
        1 => Just(Setting::KeepAlive),
        1 => (1_024..300_000_u32).prop_map(Setting::ReceiveBuffer),
        1 => (1_024..300_000_u32).prop_map(Setting::SendBuffer),
        2 => prop_oneof![1_000..3_000_u32, 3_000..100_000_u32].prop_map(Setting::WindowClamp),
        1 => (1_000..100_000_u32).prop_map(Setting::NotSentLowat),
        1 => (10_000..100_000_u32).prop_map(Setting::UserTimeout),
        1 => any::<u8>().prop_map(|tos| Setting::Tos(tos & !3)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, bins};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    fn check(scenario: Generated) {
        let (model, steps, _) = scenario;
        let scenario = Scenario {
            setup: model.setup,
            steps,
        };
        assert_eq!(scenario.contradiction(), None, "{scenario}");
        let text = scenario.to_string();
        assert_eq!(text.parse(), Ok(scenario), "{text}");
    }

    #[test]
    fn what_is_generated_can_happen_and_is_read_back_as_it_was_written() {
        let mut runner = TestRunner::deterministic();
        for _ in 0..300 {
            check(strategy(None).new_tree(&mut runner).unwrap().current());
        }
    }

    #[test]
    fn what_leads_to_any_pair_of_circumstances_can_happen_and_fits_into_a_scenario() {
        let mut runner = TestRunner::deterministic();
        for pair in bins::pairs().filter(|pair| bins::unreachable(*pair).is_none()) {
            let aim = Aim(pair);
            let tree = strategy(Some(aim)).new_tree(&mut runner).unwrap();
            let (model, steps, seen) = tree.current();
            let lead = aim.steps(&model.setup);
            assert!(
                steps.starts_with(&lead) && steps.len() > lead.len(),
                "{lead:?}"
            );
            check((model, steps, seen));
        }
    }
}
