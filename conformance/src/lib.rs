//! Does this kernel keep the promises of TCP repair? And does the library keep its own?
//!
//! A case ([`case::Case`]) is one promise with an id, a level and its source; it runs in a network of its own and
//! ends in a [`verdict::Verdict`].

pub mod case;
pub mod catalogue;
pub mod cli;
pub mod context;
pub mod control_group;
pub mod coverage;
pub mod evidence;
mod execute;
pub mod expectations;
pub mod facts;
pub mod forge;
pub mod glob;
mod guarded;
pub mod helper;
pub mod journey;
pub mod machine;
pub mod machine_memory;
pub mod matrix;
pub mod networks;
pub mod oracle;
pub mod outcome;
pub mod probe;
pub mod progress;
pub mod report;
pub mod repro;
pub mod runner;
pub mod saboteur;
pub mod scenario;
pub mod select;
pub mod subject;
pub mod summary;
pub mod verdict;
pub mod victim;
