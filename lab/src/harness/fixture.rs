//! What a test is given.

use super::Result;
use crate::host::Host;
use crate::pair::Pair;
use crate::trio::Trio;
use crate::wired::PairWithWire;

/// What a test is given: a network, and whatever else every test of a program needs. Each test has a fresh one.
///
/// Implement it for a struct of your own to give tests a lab with settings, or with a server that runs already.
pub trait Fixture: Sized {
    /// Builds one.
    ///
    /// # Errors
    /// Whatever stands in the way; the test has then failed.
    fn build() -> Result<Self>;

    /// The hosts that are captured on, so that a failure shows what was on their links.
    ///
    /// A capture costs a test some milliseconds. None is needed: by default there is none.
    fn hosts(&self) -> Vec<&Host> {
        Vec::new()
    }
}

impl Fixture for Pair {
    fn build() -> Result<Self> {
        Ok(Self::new()?)
    }

    fn hosts(&self) -> Vec<&Host> {
        Self::hosts(self).to_vec()
    }
}

impl Fixture for PairWithWire {
    fn build() -> Result<Self> {
        Ok(Pair::with_wire()?)
    }

    fn hosts(&self) -> Vec<&Host> {
        Pair::hosts(self).to_vec()
    }
}

impl Fixture for Trio {
    fn build() -> Result<Self> {
        Ok(Self::new()?)
    }

    fn hosts(&self) -> Vec<&Host> {
        Self::hosts(self).to_vec()
    }
}
