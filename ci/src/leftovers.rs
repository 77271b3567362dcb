//! Step `leftovers`: waits for what goes by itself, prints what was left, ends processes that stayed.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::copy;
use crate::error::{Error, While as _};
use crate::processes;
use crate::snapshot::{Kind, Left, Scope, Snapshot};
use crate::steps::Outcome;

/// How long the kernel gets to finish: it destroys a network namespace, and with it the far ends of its
/// links, some time after the last user is gone.
const SETTLE: Duration = Duration::from_secs(15);

/// Step `leftovers`.
pub(crate) fn leftovers(context: &Context) -> Result<Outcome, Error> {
    let edited = |left: &Left| left.kind == Kind::Checkout;
    let left = settle(context.before(), &context.scope(), edited);
    // Only where nobody is at the keyboard is a changed file the doing of the steps.
    let (remarks, faults): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|left| edited(left) && !context.unattended);
    if let Err(error) = copy::known_files(&context.root) {
        println!("note: whether the checkout was changed is not known: {error}");
    }
    for remark in &remarks {
        println!("note: changed while the steps ran: {}", remark.what);
    }
    for fault in &faults {
        println!("left behind: {fault}");
    }
    if faults.iter().any(|fault| fault.kind == Kind::Process) {
        println!("ended {} processes that were left", stop_processes());
    }
    Ok(match faults.len() {
        0 => Outcome::GOOD,
        1 => Outcome::Failed(format!("left behind: {}", faults[0])),
        count => Outcome::Failed(format!(
            "{count} things were left behind, the list is above"
        )),
    })
}

/// What stays, once everything that goes by itself has gone: waits until nothing is left, or for [`SETTLE`].
fn settle(before: &Snapshot, scope: &Scope, ignore: impl Fn(&Left) -> bool) -> Vec<Left> {
    settle_within(SETTLE, before, ignore, || {
        processes::reap();
        Snapshot::take(scope)
    })
}

fn settle_within(
    limit: Duration,
    before: &Snapshot,
    ignore: impl Fn(&Left) -> bool,
    mut look: impl FnMut() -> Snapshot,
) -> Vec<Left> {
    let start = Instant::now();
    loop {
        let left = before.left_in(&look());
        // What is ignored is reported all the same; there is just no use in waiting for it.
        if left.iter().all(&ignore) || start.elapsed() >= limit {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says who would have been the parent of our orphans: us. Once per run, before the first snapshot.
pub(crate) fn adopt_orphans() -> Result<(), Error> {
    nix::sys::prctl::set_child_subreaper(true)
        .doing(|| "becoming the parent of orphans (prctl)".to_owned())
}

/// Ends the processes that stayed, so that the machine is clean for whoever comes next.
fn stop_processes() -> usize {
    let alive = processes::descendants(std::process::id());
    for process in &alive {
        processes::stop(process.pid);
    }
    alive.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settling_waits_for_what_goes_by_itself_and_not_for_what_is_ignored() {
        const LONG: Duration = Duration::from_secs(60);
        let (none, veth) = (Snapshot::default(), Snapshot::of(&[(Kind::Link, "veth0")]));
        let mut looks = 0;
        let look = || {
            looks += 1;
            if looks < 3 {
                veth.clone()
            } else {
                none.clone()
            }
        };
        assert_eq!(settle_within(LONG, &none, |_| false, look), []);
        assert_eq!(looks, 3);
        let ignored = settle_within(LONG, &none, |_| true, || veth.clone());
        let over_time = settle_within(Duration::ZERO, &none, |_| false, || veth.clone());
        assert_eq!((ignored.len(), over_time.len()), (1, 1));
    }
}
