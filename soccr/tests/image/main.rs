//! Images: files that were written once are read for ever, and whatever else the bytes are, they do no harm.
//!
//! `UPDATE_GOLDEN=1 cargo test -p soccr --test image` writes the files in `tests/golden` that are missing: run it
//! again then. It never changes one: what a version has written stays readable.

mod by_hand;
// For clippy: the helpers in here are tests, too, and may panic.
#[cfg(test)]
mod damaged;
mod golden;
mod properties;
mod samples;
#[cfg(test)]
mod stream;
mod values;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
