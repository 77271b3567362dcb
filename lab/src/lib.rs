//! Networks made of Linux namespaces, for tests that want real TCP.

mod address;
mod connection;
mod error;
mod host;
mod link;
mod netlink;
mod ns;
mod offload;
mod pair;
pub mod require;
mod sandbox;
mod sys;
pub mod sysctl;
pub mod wait;

pub use address::{Family, Flow};
pub use connection::{Connection, ConnectionBuilder};
pub use error::Error;
pub use host::Host;
pub use link::Mac;
pub use pair::{Pair, PairBuilder};
pub use sandbox::{Sandbox, SandboxError, available};
