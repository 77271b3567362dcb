//! Comparing two accounts: what differs, and is not on the list of what may.

use super::account::{About, Account, Fact, Section};
use super::allowed::{ALLOWED, Allowed, Allows, Changed, Context};
use super::ip::{ECN, Header};
use super::sighting::Sighting;
use crate::oracle::stream::End;
use crate::scenario::step::{Setting, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that is not the same without the checkpoints and with them.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// During which step, and what.
    pub(super) what: String,
    /// Without the checkpoints.
    pub(super) without: String,
    /// With them.
    pub(super) with: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, without, with) = (&self.what, &self.without, &self.with);
        write!(f, "{what}: {without} without, {with} with the checkpoints")
    }
}

/// Which entries of the list were used, and how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowances(BTreeMap<&'static str, (usize, &'static str)>);

impl Allowances {
    /// Adds those of another comparison.
    pub(super) fn add(&mut self, other: &Self) {
        for (name, (count, why)) in &other.0 {
            self.0.entry(name).or_insert((0, why)).0 += count;
        }
    }

    fn count(&mut self, allowed: &Allowed) {
        self.0.entry(allowed.name).or_insert((0, allowed.why)).0 += 1;
    }
}

impl fmt::Display for Allowances {
    /// A line for each: its name, how often it was used, and why it is allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let each = self.0.iter();
        let each = each.map(|(name, (count, why))| format!("{name} ({count}): {why}"));
        f.write_str(&each.collect::<Vec<_>>().join("\n"))
    }
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What must not be.
    pub(super) differences: Vec<Difference>,
    /// What differs and may.
    pub(super) allowed: Allowances,
}

impl Comparison {
    /// Compares what was seen without the checkpoints of these steps and with them.
    pub(super) fn of(steps: &[Step], without: &Account, with: &Account) -> Self {
        let mut comparison = Self::default();
        let (mut saved, mut other_mtu, mut classes) = ([false; 2], false, [None; 2]);
        for (index, pair) in without.sections.iter().zip(&with.sections).enumerate() {
            let step = index.checked_sub(1).and_then(|index| steps.get(index));
            let place = match (index, step) {
                (0, _) => "the opening".to_owned(),
                (_, Some(step)) => format!("step {index} (`{step}`)"),
                (_, None) => "the end".to_owned(),
            };
            let saves = [End::Subject, End::Peer].map(|end| step.is_some_and(|it| it.saves(end)));
            for end in [0, 1] {
                saved[end] |= saves[end];
            }
            other_mtu |= matches!(step, Some(Step::Mtu(_)));
            if let Some(Step::Set(end, Setting::Tos(class))) = step {
                classes[*end as usize] = Some(*class);
            }
            let held_up = [0, 1].map(|end| {
                let around = [without, with].map(|account| {
                    let before = index.checked_sub(1).and_then(|it| account.sections.get(it));
                    let now = account.sections.get(index);
                    let held = |it: Option<&Section>| it.is_some_and(|it| it.held_up[end]);
                    [held(now), held(before)]
                });
                [0, 1].map(|when| around[0][when] || around[1][when])
            });
            let context = Context {
                saves,
                saved,
                held_up: held_up.map(|[now, before]| now || before),
                held_up_before: held_up.map(|[_, before]| before),
                other_mtu,
                classes,
            };
            comparison.facts(&place, pair, &context, held_up.map(|[now, _]| now));
            if saves != [false; 2] {
                comparison.surplus(&place, without, index, pair.1, &context);
            }
        }
        comparison
    }

    fn facts(
        &mut self,
        place: &str,
        (without, with): (&Section, &Section),
        context: &Context,
        held_up: [bool; 2],
    ) {
        let names: BTreeSet<_> = without.facts.0.keys().chain(with.facts.0.keys()).collect();
        for name in names {
            let (one, other) = (without.facts.0.get(name), with.facts.0.get(name));
            if one == other {
                continue;
            }
            let comparable = match one.or(other).map(|fact| fact.about) {
                Some(About::Stream(end)) => !held_up[end as usize],
                Some(About::Streams) => held_up == [false; 2],
                Some(About::Window(end)) => !context.held_up[end.other() as usize],
                // While something is saved each segment is judged by itself.
                Some(About::Course(end)) => {
                    context.saves == [false; 2]
                        && !context.held_up[end as usize]
                        && one.is_some() == other.is_some()
                }
                Some(About::Manner) => one.is_some() && other.is_some(),
                Some(About::Counter) => context.held_up == [false; 2],
                Some(About::Connection) => true,
                None => false,
            };
            if !comparable {
                continue;
            }
            let value = |fact: Option<&Fact>| match fact {
                Some(fact) => fact.value.clone(),
                None => "nothing".to_owned(),
            };
            let changed = Changed {
                name,
                values: [value(one), value(other)],
            };
            let allows = |it: &&Allowed| match it.allows {
                Allows::Fact(covers) => covers(&changed, context),
                Allows::Segment(_) => false,
            };
            if let Some(allowed) = ALLOWED.iter().find(allows) {
                self.allowed.count(allowed);
                continue;
            }
            let [without, with] = changed.values;
            self.differences.push(Difference {
                what: format!("{place}: {name}"),
                without,
                with,
            });
        }
    }

    /// Of what was on the wire while something was saved nothing was there without: each segment has to be allowed.
    fn surplus(
        &mut self,
        place: &str,
        without: &Account,
        index: usize,
        with: &Section,
        context: &Context,
    ) {
        let mut so_far = Vec::new();
        for segment in &with.segments {
            let allows = |it: &&Allowed| match it.allows {
                Allows::Segment(covers) => covers(segment, &so_far, context),
                Allows::Fact(_) => false,
            };
            let mut expected = None;
            match ALLOWED.iter().find(allows) {
                Some(allowed) => {
                    self.allowed.count(allowed);
                    let class = context.classes[segment.from as usize];
                    let usual = manners(without, index, segment, class);
                    let options = segment.lasting_options();
                    let header = segment.header.map(|it| it.to_string()).unwrap_or_default();
                    let [usual_options, usual_headers] = &usual;
                    for (usual, now) in [(usual_options, options), (usual_headers, header)] {
                        if !usual.is_empty() && !usual.contains(&now) {
                            expected = Some(format!("{} around it", usual.join(" or ")));
                        }
                    }
                }
                None => expected = Some("no such segment".to_owned()),
            }
            if let Some(expected) = expected {
                self.differences.push(Difference {
                    what: format!("{place}: a segment of the {}", segment.from),
                    without: expected,
                    with: segment.to_string(),
                });
            }
            so_far.push(segment);
        }
    }
}

/// Which options, and which headers around them, the last segment before a section has that has the same sender, and the first
/// one behind it; with the class that the application has set by then, of which neither may know. A SYN has options of its own.
fn manners(
    account: &Account,
    index: usize,
    segment: &Sighting,
    class: Option<u8>,
) -> [Vec<String>; 2] {
    let (before, behind) = account.sections.split_at(index.min(account.sections.len()));
    let of_sender = |it: &&Sighting| it.from == segment.from;
    let data = |it: &&Sighting| it.from == segment.from && it.control != "S";
    let all = |sections: &[Section]| -> Vec<Sighting> {
        sections.iter().flat_map(|it| it.segments.clone()).collect()
    };
    let (before, behind) = (all(before), all(behind));
    let options = [before.iter().rfind(data), behind.iter().find(data)];
    let headers = [
        before.iter().rfind(of_sender),
        behind.iter().find(of_sender),
    ];
    let header = |it: &Sighting| {
        let header = it.header?;
        let class = class.map_or(header.class, |class| class | header.class & ECN);
        Some(Header { class, ..header }.to_string())
    };
    [
        options
            .into_iter()
            .flatten()
            .map(Sighting::lasting_options)
            .collect(),
        headers.into_iter().flatten().filter_map(header).collect(),
    ]
}
