//! Snapshots from hostile hands without a socket: what their rules, their images and the C interface say of them agrees;
//! and what is valid is restored on paper, by calls that no kernel sees, in the order that the kernel needs.
//!
//! An input is decoded by `arbitrary` into an honest snapshot, a list of changes, and the ways of a restore.
//!
//! A restore has no plan that it could be asked for: its calls are the plan, and `soccr::faults::intercept` shows them. FINs
//! are put back by no packet here, and sockets whose connection is over are left out: both are made by the kernel itself,
//! and are the business of `staged`.

mod agreement;
mod order;
mod paper;

use crate::hostile::{Change, Honest};
use arbitrary::{Arbitrary, Unstructured};
use soccr::{FinMode, InFlight, Settings, Snapshot, TcpState};

/// An input.
#[derive(Arbitrary, Debug)]
struct Script {
    honest: Honest,
    state: u8,
    in_flight: bool,
    ingress_lock: bool,
    freebind: bool,
    changes: Vec<Change>,
}

fn script(input: &[u8]) -> Option<Script> {
    Script::arbitrary_take_rest(Unstructured::new(input)).ok()
}

/// Says what an input is.
pub fn describe(input: &[u8]) -> String {
    format!("{:#?}", script(input))
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    let Some(script) = script(input) else { return };
    let state = TcpState::from_kernel(script.state % 12).unwrap_or(TcpState::Established);
    let mut snapshot = script.honest.snapshot(state);
    for change in &script.changes {
        change.apply(&mut snapshot);
    }
    agreement::judge(&snapshot);
    let speaks = snapshot.state != TcpState::Close;
    if speaks && snapshot.validate().is_ok() {
        restored(&snapshot, script.settings());
    }
}

impl Script {
    fn settings(&self) -> Settings {
        let in_flight = match self.in_flight {
            true => InFlight::AsSent,
            false => InFlight::AsUnsent,
        };
        Settings::new()
            .fin(FinMode::Emulate)
            .in_flight(in_flight)
            .ingress_lock(self.ingress_lock)
            .freebind(self.freebind)
    }
}

/// A kernel that refuses nothing lets everything that is valid be restored.
fn restored(snapshot: &Snapshot, settings: Settings) {
    let untouched = snapshot.clone();
    let (result, calls) = paper::record(|| {
        let restored = snapshot.restore_with(settings)?;
        for loss in restored.losses() {
            assert!(!loss.to_string().is_empty());
        }
        let before = paper::made();
        restored.resume().map(|_| before)
    });
    let resumed_at = result.unwrap_or_else(|error| panic!("{error}: {calls:?}"));
    assert!(*snapshot == untouched);
    order::judge(snapshot, settings, &calls, resumed_at);
}
