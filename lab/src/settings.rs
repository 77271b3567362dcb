//! How a network is to be, whatever its topology: the options, and the builder that collects them.

use crate::error::Error;
use crate::shaping::Netem;
use crate::sysctl;
use crate::vlan;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr};

/// Which addresses the hosts of a network have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Families {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only: IPv6 is switched off on every host.
    V4Only,
    /// IPv6 only: no link of a host has an IPv4 address.
    V6Only,
}

impl Families {
    pub(crate) fn v6(self) -> bool {
        self != Self::V4Only
    }

    /// Whether there are addresses like this one.
    pub(crate) fn include(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self != Self::V6Only,
            IpAddr::V6(_) => self.v6(),
        }
    }
}

/// In bits per second.
const SLOWEST: u64 = 8000;

/// What the kernel lets a packet that is still to be cut have, unless told, in bytes (`GSO_MAX_SIZE`).
const LARGEST_GSO: u32 = 65_536;

/// A sysctl that a test sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sysctl {
    name: String,
    value: String,
    /// Whether a kernel that does not have it will do.
    optional: bool,
}

/// What can be chosen for every topology.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// In bytes.
    pub(crate) mtu: u32,
    pub(crate) offload: bool,
    /// What a packet that is still to be cut has at most, in bytes.
    pub(crate) gso_max_size: u32,
    /// The number of the VLAN that all hosts are in.
    pub(crate) vlan: Option<u16>,
    pub(crate) families: Families,
    /// In bits per second.
    pub(crate) rate: Option<u64>,
    pub(crate) netem: Option<Netem>,
    /// Of a wire, for frames of one port that have not been moved yet, in bytes.
    pub(crate) wire_memory: usize,
    pub(crate) sysctls: Vec<Sysctl>,
    /// Further addresses of the first and the second host, with their prefix length.
    pub(crate) extra_v6: Vec<(Ipv6Addr, Ipv6Addr, u8)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mtu: 1500,
            offload: true,
            gso_max_size: LARGEST_GSO,
            vlan: None,
            families: Families::Both,
            rate: None,
            netem: None,
            wire_memory: 32 << 20,
            sysctls: Vec::new(),
            extra_v6: Vec::new(),
        }
    }
}

impl Settings {
    /// Refuses what no network can have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1280..=65_535).contains(&self.mtu) {
            return Err(Error::Invalid {
                what: "the MTU",
                value: format!("{} bytes", self.mtu),
                why: "IPv6 needs 1280 bytes, and a veth takes 65535 at most",
            });
        }
        if !(self.mtu..=LARGEST_GSO).contains(&self.gso_max_size) {
            return Err(Error::Invalid {
                what: "the largest packet that is left to the link to cut",
                value: format!("{} bytes", self.gso_max_size),
                why: "it has the MTU at least, and 65536 bytes at most",
            });
        }
        self.vlan.map_or(Ok(()), vlan::check)?;
        if let Some(rate) = self.rate.filter(|&rate| rate < SLOWEST) {
            return Err(Error::Invalid {
                what: "the rate of a link",
                value: format!("{rate} bit/s"),
                why: "below 8000 bit/s a packet takes more than a second",
            });
        }
        self.netem.as_ref().map_or(Ok(()), Netem::check)
    }

    /// Sets those sysctls that `which` chooses, on the host that the calling thread is in.
    pub(crate) fn apply_sysctls(&self, which: impl Fn(&str) -> bool) -> Result<(), Error> {
        for it in self.sysctls.iter().filter(|it| which(&it.name)) {
            if !(it.optional && sysctl::is_unknown(&it.name)) {
                sysctl::write(&it.name, &it.value)?;
            }
        }
        Ok(())
    }
}

/// How a network of the topology `T` is to be; every topology has these options.
#[must_use = "nothing is built before build()"]
pub struct Builder<T> {
    pub(crate) settings: Settings,
    topology: PhantomData<fn() -> T>,
}

impl<T> Default for Builder<T> {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            topology: PhantomData,
        }
    }
}

impl<T> Clone for Builder<T> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            topology: PhantomData,
        }
    }
}

/// Networks of equal builders are alike.
impl<T> PartialEq for Builder<T> {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl<T> std::fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Builder").field(&self.settings).finish()
    }
}

impl<T> Builder<T> {
    /// The largest IP packet that a link takes, in bytes; at least 1280, which IPv6 asks for.
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.settings.mtu = bytes;
        self
    }

    /// Whether checksums and the cutting into segments are left to the link, as on real hardware.
    ///
    /// With `false` every packet on the wire is at most as large as the MTU and carries its checksum.
    pub fn offload(mut self, on: bool) -> Self {
        self.settings.offload = on;
        self
    }

    /// The largest IP packet that is left to the link to cut into segments, in bytes; from the MTU to 65536, which it is
    /// unless told.
    ///
    /// Where it is small, a wire has room for more frames in the [same memory](Builder::memory).
    #[doc(alias = "IFLA_GSO_MAX_SIZE")]
    pub fn gso_max_size(mut self, bytes: u32) -> Self {
        self.settings.gso_max_size = bytes;
        self
    }

    /// Puts every host into VLAN `id`, from 1 to 4094: what is on the links carries its tag (IEEE 802.1Q).
    ///
    /// The addresses of a host are on a second link then, `vlan` and the number, above the one that captures see. The
    /// frames that [`Craft`](crate::Craft) makes are tagged as well. Building is an [`Error::NotInKernel`] where the
    /// kernel has no `8021q`.
    pub fn vlan(mut self, id: u16) -> Self {
        self.settings.vlan = Some(id);
        self
    }

    /// Which addresses the hosts have; without it both IPv4 and IPv6 ones.
    pub fn families(mut self, families: Families) -> Self {
        self.settings.families = families;
        self
    }

    /// How many bits per second each host can send, Ethernet headers included; by the kernel's `tbf`.
    ///
    /// Up to 8 MiB wait, more are dropped. What leaves the switch of a larger topology is as fast as before.
    pub fn rate(mut self, bits_per_second: u64) -> Self {
        self.settings.rate = Some(bits_per_second);
        self
    }

    /// What the kernel's `netem` does to the packets that leave each host.
    ///
    /// Building is an [`Error::NotInKernel`] where the kernel has none.
    pub fn netem(mut self, netem: Netem) -> Self {
        self.settings.netem = Some(netem);
        self
    }

    /// Sets a sysctl on every host, after the baseline.
    pub fn sysctl(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with_sysctl(name.into(), value.into(), false)
    }

    /// Sets a sysctl on every host, after the baseline, where the kernel has it.
    pub fn sysctl_if_known(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with_sysctl(name.into(), value.into(), true)
    }

    fn with_sysctl(mut self, name: String, value: String, optional: bool) -> Self {
        self.settings.sysctls.push(Sysctl {
            name,
            value,
            optional,
        });
        self
    }
}
