//! What the fuzz targets ask of an input: judges, which panic where something is not as it has to be.
//!
//! A judge is a function of bytes. libFuzzer calls it with what it makes up (`fuzz/fuzz_targets`), and a test of this package
//! with the seeds that are committed (`fuzz/seeds`), on the stable compiler and with every `cargo test`.
// To panic is how a judge convicts.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod capi;
pub mod criu;
mod hostile;
pub mod image;
pub mod image_stream;
mod memory;
pub mod plan;
#[cfg(feature = "scenario")]
pub mod scenario;
pub mod segment;
pub mod sk_data;
pub mod staged;
pub mod tcp_options;
pub mod wire_rules;
pub mod world;

/// A fuzz target, as `fuzz/Cargo.toml` and the folders of seeds name it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it asks; panics where the answer is not as it has to be.
    pub judge: fn(&[u8]),
    /// Says what an input is, of a target whose inputs are read by `arbitrary`.
    pub describe: Option<fn(&[u8]) -> String>,
    /// Whether it needs real sockets, and a sandbox around them ([`world`]).
    pub needs_world: bool,
}

const fn target(name: &'static str, judge: fn(&[u8])) -> Target {
    Target {
        name,
        judge,
        describe: None,
        needs_world: false,
    }
}

impl Target {
    const fn described(self, describe: fn(&[u8]) -> String) -> Self {
        Self {
            describe: Some(describe),
            ..self
        }
    }

    const fn in_world(self) -> Self {
        Self {
            needs_world: true,
            ..self
        }
    }
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    target("capi", capi::judge).described(capi::describe).in_world(),
    target("criu", criu::judge),
    target("image", image::judge),
    target("image_stream", image_stream::judge),
    target("plan", plan::judge).described(plan::describe),
    #[cfg(feature = "scenario")]
    target("scenario", scenario::judge),
    target("segment", segment::judge),
    target("sk_data", sk_data::judge),
    target("staged", staged::judge).described(staged::describe).in_world(),
    target("tcp_options", tcp_options::judge),
    target("wire_rules", wire_rules::judge).described(wire_rules::describe),
];
