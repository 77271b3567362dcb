//! The topology for several peers: hosts around a switch.

use crate::error::Error;
use crate::host::Host;
use crate::network::Seat;
use crate::settings::Builder;
use crate::switch::Switch;

/// The most hosts that a star can have: their numbers are the last byte of their addresses.
const MOST: usize = 99;

/// Any number of hosts around a switch; gone on drop.
///
/// Host number i, counted from 0, is called `h` and i + 1, and has that number in its addresses: the first is `h1`,
/// 10.77.0.1 and fd77::1. They know each other's Ethernet addresses, and the switch knows where each of them is: there
/// is no ARP, no neighbour discovery, and a packet shows up only on the links of the hosts that it passes between.
#[derive(Debug)]
pub struct Star {
    hosts: Vec<Host>,
    _switch: Switch,
}

/// How a [`Star`] is to be.
pub type StarBuilder = Builder<Star>;

impl Star {
    /// A star of `hosts` hosts, 1 to 99, with the usual settings.
    ///
    /// The first packet already passes when this returns.
    ///
    /// # Errors
    /// Those of [`StarBuilder::build`].
    pub fn new(hosts: usize) -> Result<Self, Error> {
        Self::builder().build(hosts)
    }

    /// A star with settings of its own.
    pub fn builder() -> StarBuilder {
        Builder::default()
    }

    /// Its hosts, in the order of their numbers.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl Builder<Star> {
    /// Builds a star of `hosts` hosts, 1 to 99.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); [`Error::Invalid`] for a number or a
    /// value that cannot be; otherwise what the kernel refused: `EOPNOTSUPP` means that it has no `bridge`.
    pub fn build(self, hosts: usize) -> Result<Star, Error> {
        if !(1..=MOST).contains(&hosts) {
            return Err(Error::Invalid {
                what: "the number of hosts of a star",
                value: hosts.to_string(),
                why: "it is from 1 to 99",
            });
        }
        let seats: Vec<_> = (1..)
            .take(hosts)
            .map(|number| (format!("h{number}"), Seat::new(number)))
            .collect();
        let (switch, hosts) = Switch::with_hosts(&seats, &self.settings)?;
        Ok(Star {
            hosts,
            _switch: switch,
        })
    }
}
