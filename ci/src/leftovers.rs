//! Step `leftovers`: waits for what goes by itself, prints what was left, ends processes that stayed.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::Error;
use crate::processes;
use crate::snapshot::Snapshot;
use crate::steps::Outcome;

/// How long the kernel gets to finish: it destroys a network namespace, and with it the far ends of its
/// links, some time after the last user is gone.
const SETTLE: Duration = Duration::from_secs(15);

/// Step `leftovers`.
pub(crate) fn leftovers(context: &Context) -> Result<Outcome, Error> {
    let left = settle(SETTLE, &context.before, || {
        processes::reap();
        Snapshot::take(&context.scope())
    });
    for thing in &left {
        println!("left behind: {thing}");
    }
    // The machine is to be clean for whoever comes next.
    processes::stop_all();
    Ok(match &left[..] {
        [] => Outcome::Passed,
        [one] => Outcome::failed(format!("left behind: {one}")),
        all => Outcome::failed(format!(
            "{} things were left behind, the list is above",
            all.len()
        )),
    })
}

/// What stays, once everything that goes by itself has gone: looks until nothing is left, or for `limit`.
fn settle(limit: Duration, before: &Snapshot, mut look: impl FnMut() -> Snapshot) -> Vec<String> {
    let start = Instant::now();
    loop {
        let left = before.left_in(&look());
        if left.is_empty() || start.elapsed() >= limit {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settling_waits_for_what_goes_by_itself_but_not_for_ever() {
        let none = Snapshot::default();
        let veth = Snapshot(["link veth0".to_owned()].into());
        let mut looks = 0;
        let look = || {
            looks += 1;
            if looks < 3 {
                veth.clone()
            } else {
                none.clone()
            }
        };
        assert_eq!(settle(Duration::from_secs(60), &none, look), [""; 0]);
        assert_eq!(looks, 3);
        assert_eq!(
            settle(Duration::ZERO, &none, || veth.clone()),
            ["link veth0"]
        );
    }
}
