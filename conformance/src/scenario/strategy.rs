//! What scenarios are generated from.

use super::model::Model;
use super::setup::{Clock, Congestion, MAX_SHIFT, Network, Opening, Scaling, Setup};
use super::step::{Setting, Step, Who};
use crate::oracle::stream::End;
use lab::Family;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// A generated scenario has so many steps.
const STEPS: std::ops::RangeInclusive<usize> = 2..=16;

/// Scenarios as proptest generates and shrinks them: the model in its first state, and the steps.
pub type Generated = (
    Model,
    Vec<Step>,
    Option<std::sync::Arc<std::sync::atomic::AtomicUsize>>,
);

/// All scenarios that are generated.
pub fn strategy() -> impl Strategy<Value = Generated> {
    Machine::sequential_strategy(STEPS)
}

/// Steps that follow from what has happened before.
struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        setup().prop_map(Model::new).boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        step(model)
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        model.apply(step);
        model
    }

    fn preconditions(model: &Model, step: &Step) -> bool {
        model.forbids(step).is_none()
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let network = prop_oneof![3 => Just(Network::Wire), 1 => Just(Network::Move)];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6), Just(Family::V4Mapped)];
    let mtu = prop_oneof![3 => Just(1500), 1 => Just(1280), 1 => Just(9000), 1 => 1281..4000_u32];
    let opening = prop_oneof![
        2 => Just(Opening::Handshake),
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
                consistent(Setup {
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
                })
            },
        )
}

/// A connection with a handshake has what a handshake can negotiate.
fn consistent(setup: Setup) -> Setup {
    if setup.opening != Opening::Handshake {
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
    for end in [End::Subject, End::Peer] {
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
    add(
        2,
        (end(), setting())
            .prop_map(|(end, setting)| Step::Set(end, setting))
            .boxed(),
    );
    add(1, (1280..4_000_u32).prop_map(Step::Mtu).boxed());
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
    let who = || {
        prop_oneof![
            6 => Just(Who::One(End::Subject)),
            2 => Just(Who::One(End::Peer)),
            1 => Just(Who::Both),
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
    use crate::scenario::Scenario;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    #[test]
    fn what_is_generated_can_happen_and_is_read_back_as_it_was_written() {
        let mut runner = TestRunner::deterministic();
        for _ in 0..300 {
            let tree = strategy().new_tree(&mut runner).unwrap();
            let (model, steps, _) = tree.current();
            let scenario = Scenario {
                setup: model.setup,
                steps,
            };
            assert_eq!(scenario.contradiction(), None, "{scenario}");
            let text = scenario.to_string();
            assert_eq!(text.parse(), Ok(scenario), "{text}");
        }
    }
}
