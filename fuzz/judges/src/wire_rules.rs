//! Rules of a wire on any frames: none panics, a frame is neither made up nor forgotten, and matchers mean what they are put
//! together from.
//!
//! An input is decoded by `arbitrary` into a list of orders.

mod meant;

use arbitrary::{Arbitrary, Unstructured};
use lab::wire::{DryRun, Frame, Matcher, Random, Rule, Verdict, Way};
use meant::Meant;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More orders, and more frames, say nothing new.
const MOST: usize = 200;
const MOST_FRAMES: usize = 2000;
/// Longer than any delay.
const AGES: Duration = Duration::from_secs(1 << 33);

/// What is done to the wire.
#[derive(Arbitrary, Debug)]
enum Order {
    Frame(bool, Bytes),
    /// The same frame, so many times more.
    Again(u8),
    Rule(Meant, Fate),
    /// By chance: a seed, shares, and the shortest and the longest delay, seconds.
    Chance(u64, [u8; 4], u64, u64),
    /// Removes the rule with this number.
    Remove(u8),
    Hold(Meant),
    Cut(bool),
    Step,
    Release,
    /// So many milliseconds.
    Elapse(u32),
}

/// What is in a frame.
#[derive(Arbitrary, Clone, Debug)]
enum Bytes {
    Any(Vec<u8>),
    Tcp(Tcp),
}

/// A TCP segment over IPv4.
#[derive(Arbitrary, Clone, Debug)]
struct Tcp {
    ports: [u8; 2],
    seq: u32,
    flags: u8,
    payload: u8,
}

#[derive(Arbitrary, Clone, Debug)]
enum Fate {
    Drop,
    Hold,
    /// So many seconds.
    Delay(u64),
    Duplicate,
    Reorder(u16),
    Corrupt,
    Rewrite(Vec<u8>),
}

/// The orders that an input is.
fn orders(input: &[u8]) -> Vec<Order> {
    let mut input = Unstructured::new(input);
    let orders = input.arbitrary_iter().into_iter().flatten();
    orders.take(MOST).map_while(Result::ok).collect()
}

/// Says what an input is.
pub fn describe(input: &[u8]) -> String {
    format!("{:#?}", orders(input))
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    let mut trial = Trial::default();
    for order in orders(input) {
        trial.obey(order);
    }
    trial.end();
}

/// What was decided about the frame that has come in.
type Decided = Arc<Mutex<Option<Verdict>>>;

/// A wire, and what has to come out of it.
#[derive(Default)]
struct Trial {
    wire: DryRun,
    decided: Decided,
    cut: bool,
    last: Option<(Way, Vec<u8>)>,
    frames: usize,
    /// How many frames have to go on, a to b and b to a.
    owed: [usize; 2],
}

impl Trial {
    fn obey(&mut self, order: Order) {
        match order {
            Order::Frame(way, bytes) => {
                let way = if way { Way::AToB } else { Way::BToA };
                self.last = Some((way, bytes.bytes()));
                self.frame();
            }
            Order::Again(times) => (0..times).for_each(|_| self.frame()),
            Order::Rule(meant, fate) => {
                let rule = meant.matcher().then(fate.verdict());
                self.rule(rule);
            }
            Order::Chance(seed, shares, shortest, longest) => {
                let [loss, duplication, reordering, delay] = shares.map(|it| f64::from(it) / 255.0);
                let times = Duration::from_secs(shortest)..=Duration::from_secs(longest);
                let chance = Random::seeded(seed).among(Matcher::any());
                let chance = chance.loss(loss).duplication(duplication);
                assert_eq!(chance.seed(), seed);
                self.rule(chance.reordering(reordering).delay(delay, times));
            }
            Order::Remove(number) => self.wire.remove_rule(number.into()),
            Order::Hold(meant) => {
                let (decided, meant) = (Arc::clone(&self.decided), meant.matcher());
                self.wire.hold(Matcher::new("held", move |frame| {
                    let held = meant.matches(frame);
                    if held {
                        decide(&decided, Verdict::Hold);
                    }
                    held
                }));
            }
            Order::Cut(cut) => {
                self.cut = cut;
                self.wire.set_cut(cut);
            }
            Order::Step => {
                if let Some(frame) = self.wire.step() {
                    sound(&frame);
                }
            }
            Order::Release => self.wire.release(),
            Order::Elapse(time) => self.wire.elapse(Duration::from_millis(time.into())),
        }
    }

    fn rule(&mut self, mut rule: impl Rule + 'static) {
        let decided = Arc::clone(&self.decided);
        self.wire.rule(move |frame: &Frame| {
            sound(frame);
            let verdict = rule.judge(frame);
            if verdict != Verdict::Pass {
                decide(&decided, verdict.clone());
            }
            verdict
        });
    }

    /// Lets the frame come in, and takes note of what it owes.
    fn frame(&mut self) {
        let Some((way, bytes)) = self.last.clone() else {
            return;
        };
        if self.frames == MOST_FRAMES {
            return;
        }
        self.frames += 1;
        self.wire.frame(way, bytes);
        let decided = self.decided.lock().expect("nobody panics").take();
        assert!(!self.cut || decided.is_none(), "a cut wire asks no rule");
        let verdict = match self.cut {
            true => Verdict::Drop,
            false => decided.unwrap_or(Verdict::Pass),
        };
        self.owed[way as usize] += match verdict {
            Verdict::Drop => 0,
            Verdict::Duplicate => 2,
            _ => 1,
        };
    }

    /// What waits goes on, and then everything has.
    fn end(mut self) {
        self.wire.release();
        self.wire.elapse(AGES);
        assert!(!self.wire.is_delaying() && self.wire.step().is_none());
        let out = self.wire.take_out();
        for way in [Way::AToB, Way::BToA] {
            let gone = out.iter().filter(|(of, _)| *of == way).count();
            assert_eq!(gone, self.owed[way as usize], "{way:?}");
        }
    }
}

/// The first rule with an opinion wins, and no other is asked.
fn decide(decided: &Decided, verdict: Verdict) {
    let before = decided.lock().expect("nobody panics").replace(verdict);
    assert_eq!(before, None, "a second opinion");
}

/// What holds of every frame that a rule is shown.
fn sound(frame: &Frame) {
    let segment = frame.segment.as_ref();
    assert_eq!(frame.number > 0, segment.is_some());
    assert_eq!(frame.data_number > 0, frame.payload_len() > 0);
    assert!(frame.data_number <= frame.number);
    assert!(frame.relative_seq.is_none() || segment.is_some());
    assert!(!frame.to_string().is_empty());
}

impl Bytes {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Any(bytes) => bytes,
            Self::Tcp(tcp) => tcp.bytes(),
        }
    }
}

impl Tcp {
    fn bytes(&self) -> Vec<u8> {
        const HEADERS: u16 = 40;
        let [source, destination] = self.ports;
        let length = HEADERS + u16::from(self.payload);
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
        frame.extend([0, source, 0, destination]);
        frame.extend(self.seq.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0x50, self.flags, 1, 0, 0, 0, 0, 0]);
        frame.resize(frame.len() + usize::from(self.payload), 7);
        frame
    }
}

impl Fate {
    fn verdict(self) -> Verdict {
        match self {
            Self::Drop => Verdict::Drop,
            Self::Hold => Verdict::Hold,
            Self::Delay(seconds) => Verdict::Delay(Duration::from_secs(seconds)),
            Self::Duplicate => Verdict::Duplicate,
            Self::Reorder(frames) => Verdict::Reorder(frames.into()),
            Self::Corrupt => Verdict::Corrupt,
            Self::Rewrite(bytes) => Verdict::Rewrite(bytes),
        }
    }
}
