//! Choosing who the ordinary user is.

use std::fs;

use nix::unistd::{Uid, User};

use crate::error::{Error, While as _};
use crate::processes;

/// Ids that systemd hands out to services for as long as they run (DynamicUser=): no account has them.
const UIDS: std::ops::RangeInclusive<u32> = 61184..=65519;

/// The first id that has no account, no process, and exists in our user namespace.
pub(crate) fn free_uid() -> Result<u32, Error> {
    let read = |path: &str| fs::read_to_string(path).doing(|| format!("reading {path}"));
    let (users, groups) = (read("/proc/self/uid_map")?, read("/proc/self/gid_map")?);
    let used = processes::uids();
    let free = |uid: &u32| {
        is_mapped(&users, *uid)
            && is_mapped(&groups, *uid)
            && !used.contains(uid)
            && matches!(User::from_uid(Uid::from_raw(*uid)), Ok(None))
    };
    UIDS.into_iter().find(free).ok_or_else(|| {
        Error::unfit(
            "choosing an ordinary user",
            format!("no free id between {} and {}", UIDS.start(), UIDS.end()),
            "run as the root of the whole machine, or run `cargo ci` as an ordinary user yourself",
        )
    })
}

fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_ascii_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        matches!(numbers[..], [inner, _, count] if (inner..inner + count).contains(&u64::from(id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_outside_the_map_is_not_chosen() {
        assert!(is_mapped("         0          0 4294967295\n", 61184));
        assert!(!is_mapped("0 1000 1\n1 100000 61183\n", 61184));
        assert!(is_mapped("0 1000 1\n1 100000 61184\n", 61184));
        assert!(!is_mapped("", 0));
    }

    #[test]
    fn the_chosen_id_is_nobodys() {
        let uid = free_uid();
        if let Ok(uid) = uid {
            assert!(
                UIDS.contains(&uid)
                    && uid != Uid::current().as_raw()
                    && !processes::uids().contains(&uid)
            );
        }
    }
}
