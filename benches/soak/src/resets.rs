//! Resets, as the kernels of the hosts count them.

use crate::error::Error;
use lab::{Counters, Host};

/// Resets that were sent, whatever became of them on their way.
const SENT: &str = "Tcp.OutRsts";
/// Connections that have ended by a reset, or without a word: where nothing is saved and closed, it was a reset.
const SUFFERED: &str = "Tcp.EstabResets";

/// What the hosts had counted before.
#[derive(Debug)]
pub(crate) struct Resets<'a> {
    hosts: Vec<(&'a Host, Counters)>,
    peer: &'a Host,
}

impl<'a> Resets<'a> {
    /// Counts from now on, on these hosts and on that of the peer.
    pub(crate) fn count(subjects: &[&'a Host], peer: &'a Host) -> Result<Self, Error> {
        let hosts = subjects.iter().copied().chain([peer]);
        let counted = hosts.map(|host| Ok((host, host.counters()?)));
        Ok(Self {
            hosts: counted.collect::<Result<_, Error>>()?,
            peer,
        })
    }

    /// Fails if a host has sent a reset, or the peer has suffered one.
    pub(crate) fn expect_none(&self) -> Result<(), Error> {
        for (host, before) in &self.hosts {
            let is_peer = host.name() == self.peer.name();
            let told = |name: &str| name == SENT || (is_peer && name == SUFFERED);
            let moved = host.counters()?.since(before).only(told);
            if !moved.is_empty() {
                return Err(Error::Reset {
                    host: host.name().to_owned(),
                    moved: moved.to_string().trim_end().replace('\n', ", "),
                });
            }
        }
        Ok(())
    }

    /// How many segments were sent again.
    pub(crate) fn sent_again(&self) -> Result<i64, Error> {
        let again = |(host, before): &(&Host, Counters)| {
            Ok(host.counters()?.since(before).by("Tcp.RetransSegs"))
        };
        self.hosts.iter().map(again).sum()
    }
}
