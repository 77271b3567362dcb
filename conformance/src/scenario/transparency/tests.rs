//! Each comparison fails where something differs, and says what.

use super::account::{About, Account};
use super::comparison::Comparison;
use super::ip::Header;
use super::sighting::Sighting;
use crate::oracle::stream::End::{self, Peer, Subject};
use crate::scenario::Scenario;

const HEADER: Header = Header {
    hops: 64,
    class: 0,
    whole: true,
    label: 0,
};

const SCENARIO: &str = "soccr scenario 1
    subject writes 100
    restore subject
    subject writes 50
    subject ends
    restore subject";

fn segment(from: End, at: i64, bytes: u32, acknowledges: i64) -> Sighting {
    Sighting {
        from,
        at,
        bytes,
        acknowledges: Some(acknowledges),
        edge: Some(acknowledges + 65_536),
        control: "",
        options: vec!["TS"],
        timestamps: Some((1, 1)),
        sent: 0,
        heard: 0,
        acknowledged: 0,
        header: Some(HEADER),
    }
}

fn fin() -> Sighting {
    Sighting {
        control: "F",
        ..segment(Subject, 150, 0, 0)
    }
}

/// The opening, a write, a checkpoint, a write, an end, another checkpoint, and the close.
fn segments(checkpoints: bool) -> Vec<Vec<Sighting>> {
    let probe = |at| vec![segment(Subject, at, 0, 0), segment(Peer, 0, 0, at + 1)];
    let first = if checkpoints { probe(99) } else { Vec::new() };
    vec![
        Vec::new(),
        vec![segment(Subject, 0, 100, 0), segment(Peer, 0, 0, 100)],
        first,
        vec![segment(Subject, 100, 50, 0), segment(Peer, 0, 0, 150)],
        vec![fin(), segment(Peer, 0, 0, 151)],
        Vec::new(),
        vec![segment(Peer, 0, 10, 151), segment(Subject, 151, 0, 10)],
    ]
}

fn scenario() -> Scenario {
    SCENARIO.parse().unwrap()
}

/// What differs between two accounts of a scenario.
fn differences(scenario: &Scenario, one: &Account, other: &Account) -> Vec<String> {
    let comparison = Comparison::of(&scenario.steps, one, other);
    let differences = comparison.differences.iter();
    differences.map(ToString::to_string).collect()
}

/// Whether that is among what differs.
fn differs(scenario: &Scenario, one: &Account, other: &Account, what: &str) -> bool {
    let differences = differences(scenario, one, other);
    differences.iter().any(|it| it.contains(what))
}

/// What differs where these segments were seen with the checkpoints, and what of it was allowed.
fn compared(with: Vec<Vec<Sighting>>) -> (Vec<String>, String) {
    let scenario = scenario();
    let without = Account::of_segments(segments(false), &scenario);
    let with = Account::of_segments(with, &scenario);
    let comparison = Comparison::of(&scenario.steps, &without, &with);
    let differences = comparison.differences.iter().map(ToString::to_string);
    (differences.collect(), comparison.allowed.to_string())
}

/// Fails unless the change is noticed, first by what names it so.
fn noticed(change: impl FnOnce(&mut Vec<Vec<Sighting>>), first: &str) {
    let mut with = segments(true);
    change(&mut with);
    let (differences, _) = compared(with);
    assert!(
        differences.iter().any(|it| it.contains(first)),
        "{first}: {differences:#?}"
    );
}

#[test]
fn a_probe_and_its_answer_are_allowed_and_counted() {
    let (differences, allowed) = compared(segments(true));
    assert_eq!(differences, [""; 0]);
    for used in ["one window probe (1): ", "its answer (1): "] {
        assert!(allowed.contains(used), "{allowed}");
    }
}

#[test]
fn a_segment_more_while_something_is_saved_is_noticed() {
    let place = "step 2 (`restore subject`): a segment of the subject: no such segment without";
    noticed(|with| with[2].push(segment(Subject, 99, 0, 0)), place);
    noticed(|with| with[2].push(segment(Subject, 0, 100, 0)), place);
    noticed(
        |with| {
            let reset = Sighting {
                control: "R",
                ..segment(Subject, 100, 0, 0)
            };
            with[2].push(reset);
        },
        place,
    );
    let place = "step 2 (`restore subject`): a segment of the peer: no such segment without";
    noticed(|with| with[2].push(segment(Peer, 0, 0, 100)), place);
    // A probe is none where it stands behind what is acknowledged, nor at the wrong end.
    noticed(|with| with[2][1] = segment(Peer, -1, 0, 100), place);
}

#[test]
fn a_probe_with_another_face_is_noticed() {
    let class = Some(Header {
        class: 32,
        ..HEADER
    });
    let place = "step 2 (`restore subject`): a segment of the subject: ttl 64 class 0x00 DF or";
    noticed(|with| with[2][0].header = class, place);
    let place = "step 2 (`restore subject`): a segment of the subject: [TS] or";
    noticed(|with| with[2][0].options.clear(), place);
}

#[test]
fn what_is_sent_twice_or_not_at_all_is_noticed() {
    noticed(
        |with| with[3].push(segment(Subject, 0, 100, 0)),
        "step 3 (`subject writes 50`): subject: sent again: none without, 0(100) with",
    );
    noticed(
        |with| with[3].remove(0).bytes = 0,
        "step 3 (`subject writes 50`): subject: sent up to: 150 without, 100 with",
    );
    noticed(
        |with| with[4].push(fin()),
        "step 4 (`subject ends`): subject: sent again: none without, 150(0) with",
    );
    noticed(
        |with| with[4][0].bytes = 5,
        "step 4 (`subject ends`): subject: ended: at 150 without, at 155 with",
    );
    noticed(
        |with| {
            let reset = Sighting {
                control: "R",
                ..segment(Peer, 0, 0, 100)
            };
            with[3].push(reset);
        },
        "step 3 (`subject writes 50`): peer: SYN and RST: none without, R0 with",
    );
    noticed(
        |with| with[3].push(segment(Subject, 99, 0, 0)),
        "step 3 (`subject writes 50`): subject: probes: 0 without, 1 with",
    );
}

#[test]
fn other_segments_are_noticed() {
    noticed(
        |with| {
            with[3][0].bytes = 20;
            with[3].insert(1, segment(Subject, 120, 30, 0));
        },
        "step 3 (`subject writes 50`): subject: segments end at: 150 without, 120 150 with",
    );
    noticed(
        |with| {
            with[1][0].bytes = 40;
            with[1].insert(1, segment(Subject, 40, 60, 0));
        },
        "step 1 (`subject writes 100`): subject: largest segment: 100 without, 60 with",
    );
}

#[test]
fn other_segments_are_allowed_where_only_a_wider_window_has_room_for_all() {
    // What the end that is saved sends goes by the window of the other one, and the other way round.
    for (saved, allowed) in [(Subject, false), (Peer, true)] {
        let text = SCENARIO.replace("restore subject", &format!("restore {saved}"));
        let scenario: Scenario = text.parse().unwrap();
        let account = |narrow: bool, wide: [u32; 2]| {
            let mut segments = segments(false);
            segments[1][1].edge = Some(100 + if narrow { 30 } else { 65_536 });
            segments[3][0].bytes = wide[0];
            segments[3].insert(1, segment(Subject, 100 + i64::from(wide[0]), wide[1], 0));
            Account::of_segments(segments, &scenario)
        };
        let noticed = |one, other| differs(&scenario, one, other, "segments end at");
        let (narrow, wide) = (account(true, [30, 20]), account(false, [40, 10]));
        assert_eq!(noticed(&narrow, &wide), !allowed, "{saved}");
        assert!(noticed(&wide, &narrow), "{saved}");
    }
}

#[test]
fn what_a_timer_has_cut_at_the_edge_of_the_window_is_no_other_segment() {
    let scenario: Scenario = SCENARIO.parse().unwrap();
    let account = |cut: Option<u32>| {
        let mut segments = segments(false);
        segments[1][1].edge = Some(130);
        if let Some(bytes) = cut {
            segments[3][0].bytes = bytes;
            let rest = segment(Subject, 100 + i64::from(bytes), 50 - bytes, 0);
            segments[3].insert(1, rest);
        }
        Account::of_segments(segments, &scenario)
    };
    for (bytes, noticed) in [(30, false), (20, true)] {
        let (cut, whole) = (account(Some(bytes)), account(None));
        let differs = differs(&scenario, &cut, &whole, "segments end at");
        assert_eq!(differs, noticed, "{bytes}");
    }
}

#[test]
fn another_face_is_noticed() {
    let header = |change: fn(&mut Header)| {
        move |with: &mut Vec<Vec<Sighting>>| {
            if let Some(header) = &mut with[3][0].header {
                change(header);
            }
        }
    };
    let place = "step 3 (`subject writes 50`): subject: IP header: ttl 64 class 0x00 DF without";
    noticed(header(|header| header.class = 0x20), place);
    noticed(header(|header| header.class = 0x02), place);
    noticed(header(|header| header.hops = 63), place);
    noticed(header(|header| header.whole = false), place);
    noticed(
        |with| with[3][0].options.clear(),
        "step 3 (`subject writes 50`): subject: options with data: [TS] without, [] with",
    );
    noticed(
        |with| with[3][1].options.push("unknown"),
        "step 3 (`subject writes 50`): peer: options without data: [TS] without, [TS, unknown] with",
    );
}

#[test]
fn a_class_that_was_set_is_that_of_a_probe() {
    let steps = "subject sets tos 4\nrestore subject\nsubject sets tos 8";
    let scenario = format!("soccr scenario 1\n{steps}");
    let scenario: Scenario = scenario.parse().unwrap();
    let another = |class| {
        let header = Some(Header { class, ..HEADER });
        let probe = Sighting {
            header,
            ..segment(Subject, -1, 0, 0)
        };
        let account = |probes| {
            let last = segment(Subject, 0, 10, 0);
            let sections = vec![Vec::new(), Vec::new(), probes, Vec::new(), vec![last]];
            Account::of_segments(sections, &scenario)
        };
        let (without, with) = (account(Vec::new()), account(vec![probe]));
        differs(&scenario, &without, &with, "a segment of the subject")
    };
    assert!(!another(4));
    assert!(another(0) && another(8) && another(5));
}

#[test]
fn another_window_or_acknowledgement_is_noticed() {
    noticed(
        |with| with[3][1].edge = Some(150),
        "step 3 (`subject writes 50`): peer: window: open without, closed with",
    );
    noticed(
        |with| with[3][1].edge = Some(150 + 80),
        "step 3 (`subject writes 50`): peer: window: open without, narrow with",
    );
    noticed(
        |with| {
            with[6][1].acknowledges = Some(5);
        },
        "the end: subject: acknowledged: 10 without, 5 with",
    );
}

#[test]
fn what_only_a_saved_end_may_do_is_noticed_at_the_other() {
    noticed(
        |with| with[3][1].timestamps = Some((1, 0)),
        "step 3 (`subject writes 50`): peer: echoes nothing: false without, true with",
    );
    let other = Some(Header { label: 7, ..HEADER });
    noticed(
        |with| with[3][1].header = other,
        "step 3 (`subject writes 50`): peer: flow label: as it was without, another with",
    );
    let mut with = segments(true);
    with[3][0].timestamps = Some((1, 0));
    for segment in with[3..]
        .iter_mut()
        .flatten()
        .filter(|it| it.from == Subject)
    {
        segment.header = other;
    }
    let (differences, allowed) = compared(with);
    assert_eq!(differences, [""; 0]);
    assert!(
        allowed.contains("an echo of nothing (1)") && allowed.contains("another flow label (1)"),
        "{allowed}"
    );
}

#[test]
fn what_the_kernel_tells_is_compared_unless_it_is_held_up() {
    let scenario = scenario();
    let told = |state: &str, held_up: bool| {
        let mut account = Account::of_segments(segments(false), &scenario);
        let section = &mut account.sections[3];
        section
            .facts
            .tell(About::Stream(Subject), "subject: state", state);
        section.held_up[0] = held_up;
        account
    };
    let differences = |one, other| differences(&scenario, one, other);
    let expected = "step 3 (`subject writes 50`): subject: state: Established without, CloseWait with the checkpoints";
    let (one, other) = (told("Established", false), told("CloseWait", false));
    assert_eq!(differences(&one, &other), [expected]);
    let (one, other) = (told("Established", false), told("CloseWait", true));
    assert_eq!(differences(&one, &other), [""; 0]);
}

#[test]
fn a_counter_that_moves_is_noticed() {
    let scenario = scenario();
    let one = Account::of_segments(segments(false), &scenario);
    let mut other = one.clone();
    let facts = &mut other.sections[3].facts;
    facts.tell(About::Counter, "counter TcpExt.PAWSEstab", "moved");
    let expected = "step 3 (`subject writes 50`): counter TcpExt.PAWSEstab: nothing without, moved with the checkpoints";
    assert_eq!(differences(&scenario, &one, &other), [expected]);
}

#[test]
fn every_script_is_a_scenario_with_a_checkpoint_and_can_be_compared_as_it_is() {
    for (name, _, text) in super::scripts::ALL {
        let scenario = super::script(name, text, lab::Family::V4).unwrap();
        assert_eq!(super::comparable(scenario.clone()), scenario, "{name}");
    }
}

#[test]
fn a_whole_segment_that_ends_at_the_edge_is_one_of_the_segments() {
    let scenario = scenario();
    let account = |room: i64| {
        let mut segments = segments(false);
        segments[1][1].edge = Some(100 + room);
        segments[3][0].bytes = 100;
        segments[3].insert(1, segment(Subject, 200, 50, 0));
        Account::of_segments(segments, &scenario)
    };
    // The window of a SYN is a multiple of what a segment takes; what is announced behind it is rounded.
    let (behind_the_syn, later) = (account(100), account(101));
    for (one, other) in [(&behind_the_syn, &later), (&later, &behind_the_syn)] {
        assert_eq!(differences(&scenario, one, other), [""; 0]);
    }
}

#[test]
fn a_reset_behind_the_end_is_allowed_where_a_window_was_closed_over_what_was_sent() {
    let scenario = scenario();
    let account = |reset: Option<i64>, held_up: bool| {
        let mut segments = segments(false);
        let reset = reset.map(|at| Sighting {
            control: "R",
            ..segment(Subject, at, 0, 10)
        });
        segments[6].extend(reset);
        let mut account = Account::of_segments(segments, &scenario);
        account.sections[5].held_up[Subject as usize] = held_up;
        account
    };
    for (at, held_up, allowed) in [(151, true, true), (151, false, false), (150, true, false)] {
        let without = account(None, held_up);
        let with = account(Some(at), held_up);
        let noticed = differs(&scenario, &without, &with, "subject: SYN and RST");
        assert_eq!(noticed, !allowed, "{at} {held_up}");
    }
}
