//! Four witnesses: what each end read, what the kernel says of its socket, what went over the wire, and what the
//! peer noticed.

pub mod peer;
pub mod state;
pub mod stream;
pub mod table;
pub mod wire;
