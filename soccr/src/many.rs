//! Many sockets at a time, on one thread or several.

use crate::error::Error;
use crate::report::PauseReport;
use crate::save::{NotSaved, save_and_close, save_into};
use crate::settings::SaveSettings;
use crate::snapshot::Snapshot;
use crate::switch::Switch;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Saves many connections and lets them run on, each as [`save`](crate::save()) does.
///
/// The results are in the order of the sockets: one that fails stops none of the others. More than one thread helps
/// where queues are long.
///
/// # Errors
/// In the place of each socket, its own.
pub fn save_many<T: AsFd + Sync>(
    sockets: &[T],
    threads: NonZeroUsize,
    settings: SaveSettings,
) -> Vec<Result<(Snapshot, PauseReport), Error>> {
    each(sockets.iter().collect(), threads, |socket| {
        let mut snapshot = Snapshot::empty();
        let report = save_into(socket, &mut snapshot, settings)?;
        Ok((snapshot, report))
    })
}

/// Saves many connections and closes their sockets without a packet, each as [`save_and_close`] does.
///
/// # Errors
/// In the place of each socket, its own, with the socket.
pub fn save_and_close_many<T: AsFd + Into<OwnedFd> + Send>(
    sockets: Vec<T>,
    threads: NonZeroUsize,
) -> Vec<Result<Snapshot, NotSaved<T>>> {
    each(sockets, threads, save_and_close)
}

/// Does the same to every item, in any order; the results are in that of the items.
fn each<T: Send, R: Send>(
    items: Vec<T>,
    threads: NonZeroUsize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.get().min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let slots: Vec<_> = items
        .into_iter()
        .map(|item| Mutex::new((Some(item), None)))
        .collect();
    let next = AtomicUsize::new(0);
    let one_by_one = || {
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.1 = slot.0.take().map(&work);
        }
    };
    let switch = Switch::current();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| switch.during(one_by_one));
        }
    });
    slots
        .into_iter()
        .filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let done = each((0..100).collect(), threads, |item: i32| item * 2);
            assert_eq!(done, (0..100).map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
