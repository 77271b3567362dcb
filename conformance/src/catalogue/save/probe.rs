//! What the library finds out about a kernel and its user's privileges.

use crate::case::Case;
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use soccr::{Ability, Probe};
use std::io;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new(
        "save/probe/without-capabilities",
        "a probe without capabilities finds repair mode, raw sockets and forced buffers missing, and says that it is a matter of \
         permission; what needs none it finds as before",
        &["A1", "F1", "H3"],
        without_capabilities,
    )]
}

/// What the capabilities over a network namespace are for.
const PRIVILEGED: [Ability; 6] = [
    Ability::Repair,
    Ability::QuietOff,
    Ability::RepairWindow,
    Ability::RawIpv4,
    Ability::RawIpv6,
    Ability::Mark,
];

fn without_capabilities(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let with = pair.a().enter(soccr::probe)?;
    let without = pair.a().enter(unprivileged)??;
    for ability in PRIVILEGED {
        expect_eq(
            format!("{ability:?} with capabilities"),
            with.has(ability),
            true,
        )?;
        let reason = reason(&without, ability);
        let denied = reason.as_deref().is_some_and(|reason| {
            reason.contains(&io::Error::from_raw_os_error(libc::EPERM).to_string())
        });
        expect_eq(
            format!("{ability:?} is not permitted, but {reason:?}"),
            denied,
            true,
        )?;
    }
    // A socket filter needs none either, but not every kernel thinks so.
    for ability in [Ability::PeekOffset, Ability::BufferLock] {
        let what = format!("{ability:?} without capabilities");
        expect_eq(what, without.has(ability), with.has(ability))?;
    }
    expect_eq(
        "lengths of the window",
        with.window_lengths.contains(&20),
        true,
    )?;
    expect_eq("lengths of the window", without.window_lengths, Vec::new())
}

fn reason(probe: &Probe, ability: Ability) -> Option<String> {
    let tried = probe
        .abilities
        .iter()
        .find(|tried| tried.ability == ability);
    tried.and_then(|tried| tried.missing.clone())
}

/// Probes on a thread that gives up its capabilities: they are a thread's own.
fn unprivileged() -> Result<Probe, Stop> {
    let probing = std::thread::spawn(|| -> Result<Probe, Stop> {
        let held = capabilities(None).map_err(io::Error::from)?;
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            ..held
        };
        set_capabilities(None, none).map_err(io::Error::from)?;
        Ok(soccr::probe())
    });
    let joined = probing.join();
    joined.unwrap_or_else(|_| Err(Stop::Broken("the probe panicked".to_owned())))
}
