//! With which privileges the library is called.

use crate::verdict::Stop;
use lab::Host;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use soccr::Helper;
use std::io;

/// The privileges of the thread that calls the library; by default, all that this process has.
#[derive(Clone, Debug, Default)]
pub struct Privileges {
    /// The capabilities that the thread keeps, if it gives any up.
    pub only: Option<CapabilitySet>,
    /// Who sets `TCP_REPAIR` in its place.
    pub helper: Option<Helper>,
}

impl Privileges {
    /// No capability.
    #[must_use]
    pub fn none() -> Self {
        Self {
            only: Some(CapabilitySet::empty()),
            helper: None,
        }
    }

    /// No capability, and a helper.
    #[must_use]
    pub fn helped_by(helper: &Helper) -> Self {
        Self {
            helper: Some(helper.clone()),
            ..Self::none()
        }
    }

    /// Calls the library on a host.
    ///
    /// Capabilities are a thread's own: where some are given up, it is by a thread for this call.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn call<T: Send>(&self, host: &Host, f: impl FnOnce() -> T + Send) -> Result<T, Stop> {
        let Some(only) = self.only else {
            return Ok(host.enter(|| self.with_helper(f))?);
        };
        // A new thread is in the network namespace of the one that starts it, which takes a capability to enter.
        let joined = host.enter(|| {
            std::thread::scope(|scope| {
                let calling = scope.spawn(|| {
                    keep(only)?;
                    Ok(self.with_helper(f))
                });
                calling.join()
            })
        })?;
        joined.unwrap_or_else(|_| Err(Stop::Broken("the library panicked".to_owned())))
    }

    fn with_helper<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.helper {
            Some(helper) => soccr::with_helper(helper, f),
            None => f(),
        }
    }
}

/// Gives up every other capability of the calling thread.
fn keep(only: CapabilitySet) -> io::Result<()> {
    let held = capabilities(None)?;
    let kept = CapabilitySets {
        effective: only,
        ..held
    };
    Ok(set_capabilities(None, kept)?)
}
