//! Network namespaces: how many there may be, and how many there are.

use lab::{Sandbox, SandboxError};
use std::fs;
use std::io;

/// How many network namespaces may be alive at the same time: several networks, since the kernel takes one down some time
/// after it has lost its last user.
const MOST: u32 = 48;

/// Enters the sandbox. Where it has a user namespace of its own, the kernel keeps a bound on the network namespaces that are
/// alive, whoever holds them: with more, no network can be built. For real root that would be a bound for the whole machine.
pub(crate) fn enter() -> Result<Sandbox, SandboxError> {
    let user = || fs::read_link("/proc/self/ns/user");
    let before = user();
    let sandbox = Sandbox::enter()?;
    if let (Ok(before), Ok(after)) = (before, user())
        && before != after
    {
        // Where it cannot be set, the names are counted all the same.
        let _ = fs::write("/proc/sys/user/max_net_namespaces", MOST.to_string());
    }
    Ok(sandbox)
}

/// How many network namespaces of this process have a name.
pub(crate) fn named(sandbox: &Sandbox) -> io::Result<u64> {
    Ok(sandbox.namespaces()?.len() as u64)
}

/// How many network namespaces the machine has, as far as its memory for them tells: also those that nobody can name any
/// more. Only root may ask.
pub(crate) fn of_the_machine() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/slabinfo")?;
    active(&text).ok_or_else(|| io::Error::other("no net_namespace in /proc/slabinfo"))
}

/// The first number behind `net_namespace`: the objects in use.
fn active(slabinfo: &str) -> Option<u64> {
    let find = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("net_namespace")).then(|| words.next()?.parse().ok())?
    };
    slabinfo.lines().find_map(find)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_in_use_are_read() {
        let text = "slabinfo - version: 2.1\nnet_namespace_x 9 9\nnet_namespace        257    322   4288    7    8 : tunables";
        assert_eq!(active(text), Some(257));
        assert_eq!(active("slabinfo - version: 2.1\n"), None);
    }
}
