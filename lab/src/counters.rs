//! What the kernel of a host counts: SNMP and its extensions, to be compared before and after.

use crate::error::{Doing, Error};
use crate::host::Host;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;

/// The files of `/proc/net` that they are in.
const FILES: [&str; 2] = ["snmp", "netstat"];

/// The counters of one host at one time, named as `nstat` groups them: `Tcp.RetransSegs`, `TcpExt.TCPTimeouts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, Group>);

/// What the kernel writes of a group: two lines. They are taken apart where somebody asks, since most never change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    names: String,
    values: String,
}

impl Group {
    /// Its counters; Tcp.MaxConn is -1, for "no limit": it is none.
    fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names
            .split_whitespace()
            .zip(self.values.split_whitespace())
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
    }
}

impl Counters {
    /// One counter; `None` where this kernel does not count it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        let (group, name) = name.split_once('.')?;
        let mut counters = self.0.get(group)?.iter();
        counters.find_map(|(other, value)| (other == name).then_some(value))
    }

    /// What has moved since `before`; one that the kernel did not name then was 0, as those of `IcmpMsg` are until they count.
    #[must_use]
    pub fn since(&self, before: &Self) -> Moved {
        let mut moved = BTreeMap::new();
        for (group, now) in &self.0 {
            let then = before.0.get(group);
            if then == Some(now) {
                continue;
            }
            let then: HashMap<_, _> = then.into_iter().flat_map(Group::iter).collect();
            for (name, after) in now.iter() {
                let before = then.get(name).copied().unwrap_or(0);
                if before != after {
                    moved.insert(format!("{group}.{name}"), (before, after));
                }
            }
        }
        Moved(moved)
    }

    /// Reads what the kernel writes: two lines a group, `Tcp: Name Name …` and `Tcp: 1 2 …`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines: Vec<_> = text.lines().collect();
        let groups = lines.chunks_exact(2).filter_map(|pair| {
            let [names, values] = pair else { return None };
            let (group, names) = names.split_once(':')?;
            let (_, values) = values.split_once(':')?;
            let (names, values) = (names.to_owned(), values.to_owned());
            Some((group.to_owned(), Group { names, values }))
        });
        Self(groups.collect())
    }
}

/// The counters that differ between two times; `Display` prints one a line, such as `Tcp.RetransSegs 0 -> 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved(BTreeMap<String, (u64, u64)>);

impl Moved {
    /// Whether no counter has moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By how much one has grown: 0 if it has not moved, negative for a gauge that fell.
    #[must_use]
    pub fn by(&self, name: &str) -> i64 {
        self.0.get(name).map_or(0, |&(before, after)| {
            after.wrapping_sub(before).cast_signed()
        })
    }

    /// Those that `keep` chooses by their name.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut chosen = self.clone();
        chosen.0.retain(|name, _| keep(name));
        chosen
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, (before, after)) in &self.0 {
            writeln!(f, "{name} {before} -> {after}")?;
        }
        Ok(())
    }
}

impl Host {
    /// What its kernel has counted so far: SNMP (`Ip`, `Tcp`, …) and the extensions (`TcpExt`, `IpExt`).
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel's files cannot be read.
    pub fn counters(&self) -> Result<Counters, Error> {
        let mut text = String::new();
        for file in FILES {
            let read = self.namespace.read(file)?;
            text += &read
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
                .doing(|| format!("read /proc/net/{file} on host {}", self.name()))?;
        }
        Ok(Counters::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Tcp: MaxConn OutRsts CurrEstab\nTcp: -1 3 2\nTcpExt: PAWSEstab\nTcpExt: 0\n";

    #[test]
    fn counters_are_named_by_their_group() {
        let counters = Counters::parse(TEXT);
        assert_eq!(counters.get("Tcp.OutRsts"), Some(3));
        assert_eq!(counters.get("TcpExt.PAWSEstab"), Some(0));
        for name in ["Tcp.MaxConn", "Tcp.Other", "Ip.OutRsts", "OutRsts"] {
            assert_eq!(counters.get(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_moved_is_printed() {
        let before = Counters::parse(TEXT);
        let after = Counters::parse(&TEXT.replace("-1 3 2", "-1 4 1"));
        let moved = after.since(&before);
        assert_eq!(
            moved.to_string(),
            "Tcp.CurrEstab 2 -> 1\nTcp.OutRsts 3 -> 4\n"
        );
        assert_eq!(
            (moved.by("Tcp.OutRsts"), moved.by("Tcp.CurrEstab")),
            (1, -1)
        );
        assert_eq!(moved.by("TcpExt.PAWSEstab"), 0);
        assert!(moved.only(|name| name == "Tcp.InErrs").is_empty());
        assert!(before.since(&before).is_empty());
        let more = Counters::parse("Tcp: New OutRsts\nTcp: 7 5\nIcmpMsg: InType3\nIcmpMsg: 1\n");
        assert_eq!(
            more.since(&before).to_string(),
            "IcmpMsg.InType3 0 -> 1\nTcp.New 0 -> 7\nTcp.OutRsts 3 -> 5\n"
        );
    }
}
