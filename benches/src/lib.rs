//! What the benchmarks measure against, and on.
//!
//! [`floor`] makes the least system calls that a save and a restore can do with: no check, no cure, no allocation.
//! [`bench_connection`] is the connection that both are measured on, in one run: only their ratio means anything.

pub mod bench_connection;
pub mod floor;
