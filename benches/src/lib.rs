//! What the benchmarks measure with, against and on.
//!
//! Times are worth little: of another machine, another kernel, another hour they are others. What is measured here is the
//! library beside the least that could be done ([`floor`]), and beside any library with the C interface, in turn and in one run
//! ([`paired`]); what is told of it are ratios, and how sure they are ([`statistics`]).
//!
//! | | |
//! |---|---|
//! | [`standstill`], [`crowd`] | how long a connection stands still, one or many of them |
//! | [`calls`] | how many system calls that takes |
//! | [`outage`], [`undisturbed`], [`fidelity`] | what the peer sees, and what the connection is worth afterwards |
//! | [`results`], [`targets`], [`report`], [`against`] | what comes of it: JSON, verdicts, reports, comparisons |
//! | [`run`] | all of it |

pub mod against;
pub mod bench_connection;
pub mod calls;
pub mod command;
pub mod crowd;
mod error;
pub mod fidelity;
pub mod floor;
pub mod hop;
pub mod outage;
pub mod paired;
pub mod queues;
pub mod report;
pub mod results;
pub mod run;
pub mod standstill;
pub mod statistics;
pub mod stream;
pub mod subject;
pub mod table;
pub mod targets;
pub mod undisturbed;

pub use error::Error;
