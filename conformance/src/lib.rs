//! Does this kernel keep the promises of TCP repair? And does the library keep its own?
//!
//! A case ([`case::Case`]) is one promise with an id, a level and its source; it runs in a network of its own and
//! ends in a [`verdict::Verdict`].

pub mod case;
pub mod catalogue;
pub mod context;
pub mod forge;
pub mod journey;
pub mod oracle;
pub mod verdict;
