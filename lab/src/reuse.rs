//! Whether a network is as good as a new one: building one takes longer than most tests.

use crate::cpus::on_each_cpu;
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::pair::Pair;
use crate::sysctl;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Far more than a datagram needs from one namespace to another, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sysctls that a host forgets when they are set back: they are read for each socket and each segment anew. What a host has
/// learned by others, such as `tcp_no_metrics_save` and `tcp_fastopen`, stays.
const FORGOTTEN: [&str; 7] = [
    "net.ipv4.tcp_early_retrans",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
];

/// How many sockets a host has, by kind, as its kernel counts them (`/proc/net/sockstat`).
///
/// One that was closed is counted until the last packet that it has sent, or the last timer that ran for it, is done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// All that programs have opened, of whatever kind and state, those of this library included.
    pub used: u64,
    /// TCP sockets that listen or are connected, those without a descriptor included; of both families.
    pub tcp: u64,
    /// TCP connections in TIME-WAIT, which have no socket any more; of both families.
    pub time_wait: u64,
}

impl SocketCounts {
    /// By the text of `/proc/net/sockstat`, and of `sockstat6`, which a kernel without IPv6 does not have.
    fn parse(text: &str) -> Option<Self> {
        let value = |line: &str, name: &str| {
            let mut words = text
                .lines()
                .find_map(|it| it.strip_prefix(line))?
                .split_whitespace();
            words.find(|word| *word == name)?;
            words.next()?.parse::<u64>().ok()
        };
        Some(Self {
            used: value("sockets: ", "used")?,
            tcp: value("TCP: ", "inuse")? + value("TCP6: ", "inuse").unwrap_or(0),
            time_wait: value("TCP: ", "tw")?,
        })
    }
}

impl Host {
    /// How many sockets it has at this moment: much sooner known than [which](Self::sockets).
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel's files cannot be read.
    pub fn socket_counts(&self) -> Result<SocketCounts, Error> {
        let mut text = String::new();
        for file in ["sockstat", "sockstat6"] {
            text += &self.namespace.read(file)?.unwrap_or_default();
        }
        SocketCounts::parse(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text))
            .doing(|| format!("count the sockets of host {}", self.name()))
    }

    /// Remembers that it is not what it was built as any more.
    pub(crate) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Remembers what a sysctl is on the host that the calling thread is in, before it is set there for the first time; or that
    /// the host is not as it was, if it may have learned something by it.
    pub(crate) fn remember(&self, name: &str) -> Result<(), Error> {
        if !FORGOTTEN.contains(&name) {
            self.touch();
            return Ok(());
        }
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if before.iter().all(|(known, _)| known != name) {
            before.push((name.to_owned(), sysctl::read(name)?));
        }
        Ok(())
    }

    /// Sets sysctls back; whether it is then as it was built, and has no sockets but those of this library.
    fn renew(&self) -> Result<bool, Error> {
        self.enter(|| {
            let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            let mut each = before.drain(..);
            each.try_for_each(|(name, value)| sysctl::write(&name, &value))
                .inspect_err(|_| self.touch())
        })??;
        if self.touched.load(Ordering::Relaxed) || self.blackholes.load(Ordering::Relaxed) > 0 {
            return Ok(false);
        }
        let ours = 1
            + u64::from(self.diag.is_open())
            + u64::from(self.sender.is_open())
            + self.captures.count();
        let new = SocketCounts {
            used: ours,
            tcp: 0,
            time_wait: 0,
        };
        Ok(self.socket_counts()? == new)
    }
}

impl Pair {
    /// Makes it as good as new for another test, if it can be; with `false` it cannot, or not yet.
    ///
    /// Those sysctls are set back that leave nothing behind: `tcp_early_retrans`, `tcp_notsent_lowat`, `tcp_rmem`, `tcp_sack`,
    /// `tcp_timestamps`, `tcp_window_scaling` and `tcp_wmem`. Otherwise nothing of it may have been changed by calls of this
    /// library; no program was started on it, no host has a socket, a blackhole or a connection in TIME-WAIT, and nothing is on
    /// its way any more from a processor that the program may use.
    ///
    /// What cannot be seen is what code in [`Host::enter`] has changed by itself: only who opened nothing but sockets there may
    /// ask. Counters go on from where they are. It is not meant for links with netem, nor for wires that have rules: they may lose
    /// what is waited for.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses to tell, or lets nothing through any more.
    pub fn renew(&self) -> Result<bool, Error> {
        for host in self.hosts() {
            if !host.renew()? {
                return Ok(false);
            }
        }
        settle(self.hosts())?;
        Ok(true)
    }
}

/// Waits until all has arrived that was sent before between two hosts, and what was sent in answer.
///
/// What waits is in a queue of the processor that it was sent from; so is a datagram that is sent behind it.
fn settle([a, b]: [&Host; 2]) -> Result<(), Error> {
    let open = |host: &Host| {
        let address: IpAddr = match host.has(host.v4().into()) {
            true => host.v4().into(),
            false => host.v6().into(),
        };
        let open = || {
            let socket = UdpSocket::bind(SocketAddr::new(address, 0))?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            io::Result::Ok(socket)
        };
        host.enter(open)?
            .doing(|| format!("open a UDP socket on host {}", host.name()))
    };
    let (a, b) = (open(a)?, open(b)?);
    let pass = |from: &UdpSocket, to: &UdpSocket| {
        let send = || {
            from.send_to(&[], to.local_addr()?)?;
            to.recv(&mut []).map(|_| ())
        };
        send().doing(|| "let a datagram through".to_owned())
    };
    on_each_cpu(|| {
        pass(&a, &b)?;
        pass(&b, &a)?;
        // Behind the answer to what the last one was behind.
        pass(&a, &b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "sockets: used 7\nTCP: inuse 2 orphan 9 tw 3 alloc 14 mem 0\nUDP: inuse 1 mem 0\n\
                        TCP6: inuse 4\nUDP6: inuse 1\n";

    #[test]
    fn sockets_are_counted_in_both_families() {
        let counts = |used, tcp, time_wait| SocketCounts {
            used,
            tcp,
            time_wait,
        };
        assert_eq!(SocketCounts::parse(BOTH), Some(counts(7, 6, 3)));
        let (v4, _) = BOTH.split_once("TCP6").unwrap();
        assert_eq!(SocketCounts::parse(v4), Some(counts(7, 2, 3)));
        assert_eq!(SocketCounts::parse("sockets: used 7\n"), None);
    }
}
