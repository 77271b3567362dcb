//! Scenarios: what happens to a connection, step by step, as plain data that can be generated, written down and run again.
//!
//! A [`Scenario`] is a start and a list of steps. [`run`] carries them out over a lab, one after the other, each when the
//! one before has come to rest, and asks after each whether the connection is what the [`Model`] says it has to be.

mod aim;
pub mod bins;
mod campaign;
mod conclusion;
mod faults;
mod hop;
mod judge;
mod life;
mod model;
pub mod network;
mod opening;
mod regressions;
mod setup;
mod step;
mod strategy;
mod text;
mod transparency;
mod visible;
mod world;

pub use campaign::{BATCH, BOUND, cases, known, scenario, steered};
pub use model::Model;
pub(crate) use opening::{PEER_PORT, SUBJECT_PORT, by_hand};
pub use setup::{Clock, Congestion, MAX_SHIFT, Network, Opening, Scaling, Setup};
pub use step::{Setting, Step, Who};
pub use strategy::Generated;
pub use text::Malformed;
pub use transparency::{COMPARED_OF, TRANSPARENT, compared, scripted, transparent};
pub use world::run;

/// A scenario has no more steps than this.
pub const MAX_STEPS: usize = 1000;

/// What happens to a connection, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// What it starts from.
    pub setup: Setup,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Why nothing of this kind can happen, if so: a start that contradicts itself, or a step that is not possible where it
    /// stands.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        if let Some(why) = self.setup.contradiction() {
            return Some(why);
        }
        let mut model = Model::new(self.setup);
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(why) = model.forbids(step) {
                return Some(format!("step {} (`{step}`): {why}", index + 1));
            }
            model.apply(step);
        }
        None
    }
}
