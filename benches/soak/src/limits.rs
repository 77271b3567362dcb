//! How many descriptors this process may have.

use crate::error::{Error, While as _};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the network, the program and the library need besides the connections.
const SPARE: u64 = 256;

/// Lets this process have one end of each of so many connections, or says why it cannot.
pub(crate) fn allow(connections: usize) -> Result<(), Error> {
    let needed = connections as u64 + SPARE;
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let (now, most) = limits.doing(|| "reading RLIMIT_NOFILE".to_owned())?;
    if now >= needed {
        return Ok(());
    }
    // Who may raise the hard limit has it raised.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, needed, most.max(needed));
    raised.map_err(|error| {
        let fitting = most.saturating_sub(SPARE);
        Error::Skipped(format!(
            "{connections} connections need {needed} descriptors, and this process may have {most} (RLIMIT_NOFILE: {error}): \
             --connections {fitting}, or a higher hard limit"
        ))
    })
}
