//! Closing packet sockets at the same time.
//!
//! For each the kernel waits until no processor looks at it any more (`synchronize_net`), and for one with a ring
//! twice: some ten milliseconds, in which nothing is done. Those who wait at the same time wait once.

use std::thread;

/// Drops all of these at the same time; they are gone on return.
pub(crate) fn drop_together<T: Send>(things: impl IntoIterator<Item = T>) {
    thread::scope(|scope| {
        for thing in things {
            // Where no thread can be had, it is dropped with the closure, here and now.
            let _ = thread::Builder::new().spawn_scoped(scope, move || drop(thing));
        }
    });
}
