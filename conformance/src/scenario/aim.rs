//! Scenarios that are aimed at a pair of circumstances: the start and the first steps that lead the subject there.
//!
//! What is not needed for it stays as it was drawn, and what follows is drawn as always. Whether a save was in these
//! circumstances, the snapshot tells (`bins.rs`): an aim can miss.

use super::bins::{Pair, values};
use super::setup::{Clock, Congestion, Network, Opening, Scaling, Setup};
use super::step::{Setting, Step, Who};
use crate::oracle::stream::End;
use lab::Family;

/// More than every buffer takes: the window closes, and something stays unsent.
const FLOOD: u32 = 3_000_000;
/// More than half of what a connection offers at its beginning.
const HALF_A_WINDOW: u32 = 40_000;
/// The smallest clamp that the kernel takes (`SOCK_MIN_RCVBUF / 2`), less than every segment that fits the links.
const CLAMP: u32 = 1_000;
/// A buffer that is offered as one segment.
const BUFFER_OF_A_SEGMENT: u32 = 2_048;
/// A number that is far from wrapping, and from being taken for a negative one.
const PLAIN: u32 = 1 << 30;
/// One that is about to wrap.
const WRAPPING: u32 = u32::MAX - 50_000;

/// How a connection with such numbers is opened.
const FORGED: Opening = Opening::Forged {
    subject: PLAIN,
    peer: PLAIN,
    clock: PLAIN,
};

/// A pair of circumstances to reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim(pub(super) Pair);

impl Aim {
    fn wants(self, circumstance: &str) -> bool {
        debug_assert!(
            values().any(|value| value.to_string() == circumstance),
            "{circumstance}"
        );
        let Self((one, other)) = self;
        [one, other]
            .iter()
            .any(|value| value.to_string() == circumstance)
    }

    fn wants_one_of(self, circumstances: &[&str]) -> bool {
        circumstances.iter().any(|it| self.wants(it))
    }

    /// What stands beside the circumstance that is wanted, or else what was there.
    fn pick<T: Copy>(self, from: &[(&str, T)], otherwise: T) -> T {
        let found = from
            .iter()
            .find(|(circumstance, _)| self.wants(circumstance));
        found.map_or(otherwise, |(_, wanted)| *wanted)
    }

    /// The start that leads there, as near to another one as can be.
    pub(super) fn setup(self, mut setup: Setup) -> Setup {
        if self.counts_bytes() {
            // What fits is known then.
            setup.mtu = 1500;
            setup.mss = None;
            setup.receive_buffers = [None; 2];
            setup.scaling = Scaling::Usual;
        }
        let networks = [
            ("how move", Network::Move),
            ("network disordered", Network::Wire),
        ];
        setup.network = self.pick(&networks, setup.network);
        let families = [
            ("family v4", Family::V4),
            ("family v6", Family::V6),
            ("family mapped", Family::V4Mapped),
        ];
        setup.family = self.pick(&families, setup.family);
        let links = [
            ("link 1280", 1280),
            ("link 1500", 1500),
            ("link 9000", 9000),
            ("link other", 2000),
            ("link changed", 1500),
        ];
        setup.mtu = self.pick(&links, setup.mtu);
        let congestions = [
            ("congestion usual", Congestion::Usual),
            ("congestion reno", Congestion::Reno),
            ("congestion cubic", Congestion::Cubic),
            ("congestion bbr", Congestion::Bbr),
        ];
        setup.congestion = self.pick(&congestions, setup.congestion);
        self.options(setup)
    }

    /// Options, buffers and numbers of the connection.
    fn options(self, mut setup: Setup) -> Setup {
        let clocks = [
            ("timestamps off", Clock::Off),
            ("timestamps ms", Clock::Milliseconds),
            ("timestamps us", Clock::Microseconds),
        ];
        setup.timestamps = self.pick(&clocks, setup.timestamps);
        setup.sack = self.pick(&[("sack off", false), ("sack on", true)], setup.sack);
        let scalings = [
            ("scaling off", Scaling::Off),
            ("scaling shift-0", Scaling::Shifts(0, 7)),
            ("scaling shift-1-7", Scaling::Usual),
            ("scaling shift-8-14", Scaling::Shifts(8, 7)),
        ];
        setup.scaling = self.pick(&scalings, setup.scaling);
        let buffer = &mut setup.receive_buffers[End::Peer as usize];
        if self.wants_it_cut_off() {
            *buffer = Some(63_772);
            setup.mss = Some(133);
            setup.opening = FORGED;
        }
        if self.wants_it_filled() {
            *buffer = Some(BUFFER_OF_A_SEGMENT);
            setup.scaling = Scaling::Off;
        }
        let wrapping = Opening::Forged {
            subject: WRAPPING,
            peer: PLAIN,
            clock: PLAIN,
        };
        let numbers = [("numbers plain", FORGED), ("numbers wrapping", wrapping)];
        setup.opening = self.pick(&numbers, setup.opening);
        if self.wants("state syn-sent") || self.wants_a_number_and_no_shifts() {
            setup.opening = Opening::Lost {
                subject: self.pick(&[("numbers wrapping", WRAPPING)], PLAIN),
            };
        } else if matches!(setup.opening, Opening::Lost { .. }) {
            setup.opening = Opening::Handshake;
        }
        let only_forged =
            setup.timestamps == Clock::Microseconds || matches!(setup.scaling, Scaling::Shifts(..));
        if only_forged && setup.opening == Opening::Handshake {
            setup.opening = FORGED;
        }
        if setup.scaling == Scaling::Off && matches!(setup.opening, Opening::Forged { .. }) {
            // What was restored, and forged connections are, has shifts, if only of 0 (guide A47).
            setup.opening = Opening::Handshake;
        }
        setup
    }

    /// Small segments use up a small buffer, and the window closes over what is in flight (guide B24).
    fn wants_it_cut_off(self) -> bool {
        self.wants_one_of(&["sent in-flight", "sent both"])
            && self.wants_one_of(&["window closed", "network clear"])
    }

    /// Only the number of a SYN can be chosen where a handshake is needed.
    fn wants_a_number_and_no_shifts(self) -> bool {
        self.wants("numbers wrapping") && self.wants("scaling off")
    }

    /// The window closes behind the last byte, or the FIN.
    fn wants_it_filled(self) -> bool {
        self.wants("window closed") && self.wants_one_of(&["sent empty", "state fin-wait-2"])
    }

    /// Whether it depends on what fits into windows and segments.
    fn counts_bytes(self) -> bool {
        let Self((one, other)) = self;
        [one, other]
            .iter()
            .any(|value| ["received", "sent", "window"].contains(&value.dimension()))
    }

    /// The steps that lead there from such a start.
    pub(super) fn steps(self, setup: &Setup) -> Vec<Step> {
        let (mine, theirs) = (End::Subject, End::Peer);
        let mut steps = Vec::new();
        if self.wants_a_number_and_no_shifts() {
            steps.push(Step::Clear);
        }
        if self.wants("link changed") {
            steps.push(Step::Mtu(1400));
        }
        if self.wants("window narrow") {
            steps.extend(narrowed(theirs, setup));
        }
        if self.wants("received window-full") {
            steps.extend(narrowed(mine, setup));
        }
        if self.wants_one_of(&["received window-full", "received below-a-segment"]) {
            steps.push(Step::Write(theirs, 1));
        }
        if self.wants("received segments") {
            steps.push(Step::Write(theirs, 2 * setup.segment()));
        }
        steps.extend(self.to_the_state(setup));
        if self.wants_one_of(&["network losing", "network disordered"]) {
            steps.push(self.block(theirs));
        }
        steps.push(self.save());
        steps
    }

    /// What ends the streams, and leaves something unsent or not acknowledged.
    fn to_the_state(self, setup: &Setup) -> Vec<Step> {
        let (mine, theirs) = (End::Subject, End::Peer);
        let mut steps = Vec::new();
        if self.wants_one_of(&["state close-wait", "state last-ack"]) {
            steps.push(Step::End(theirs));
        }
        let owes_fin = self.wants_one_of(&["state fin-wait-1", "state last-ack", "state closing"]);
        let fills = self.wants_one_of(&["window closed", "sent unsent"]);
        if self.wants_it_cut_off() {
            let beyond = if self.wants("sent both") { 20_000 } else { 0 };
            steps.push(Step::Write(mine, 20_000 + beyond));
        } else if self.wants_it_filled() {
            let fin = u32::from(self.wants("state fin-wait-2"));
            steps.push(Step::Write(mine, setup.segment() - fin));
        } else if self.wants("sent unsent") && self.wants_one_of(&["window narrow", "window open"])
        {
            // Where all is heard, a timer lets go what is corked before the next step.
            steps.push(self.block(mine));
            steps.push(Step::Set(mine, Setting::Cork(true)));
            steps.push(Step::Write(mine, 1));
        } else if fills || (owes_fin && self.wants("network clear")) {
            steps.push(Step::Write(mine, FLOOD));
        } else if owes_fin || self.wants_one_of(&["sent in-flight", "sent both"]) {
            steps.push(self.block(mine));
            if self.wants_one_of(&["sent in-flight", "sent both"]) {
                steps.push(Step::Write(mine, 100));
            }
            if self.wants("sent both") {
                steps.push(Step::Write(mine, 30 * setup.segment()));
            }
        }
        if owes_fin || self.wants_one_of(&["state fin-wait-2", "state close"]) {
            steps.push(Step::End(mine));
        }
        if self.wants_one_of(&["state closing", "state close"]) {
            steps.push(Step::End(theirs));
        }
        steps
    }

    /// What keeps an end from being heard.
    fn block(self, end: End) -> Step {
        match self.wants("network disordered") {
            true => Step::Hold(end),
            false => Step::Lose(end, None),
        }
    }

    fn save(self) -> Step {
        if self.wants("how checkpoint") {
            Step::Checkpoint(Who::One(End::Subject))
        } else if self.wants("how restore-both") {
            Step::Restore(Who::Both)
        } else if self.wants("how move") {
            Step::Move
        } else {
            Step::Restore(Who::One(End::Subject))
        }
    }
}

/// What makes an end offer less than a segment at a time.
///
/// A buffer that is not fixed, and a first segment, let the kernel forget the clamp; what was offered before it stays so.
fn narrowed(end: End, setup: &Setup) -> [Step; 8] {
    let (write, read) = (
        |bytes| Step::Write(end.other(), bytes),
        Step::Read(end, None),
    );
    [
        Step::Set(end, Setting::ReceiveBuffer(60_000)),
        write(2 * setup.segment()),
        read,
        Step::Set(end, Setting::WindowClamp(CLAMP)),
        write(HALF_A_WINDOW),
        read,
        write(HALF_A_WINDOW),
        read,
    ]
}
