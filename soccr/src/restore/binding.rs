//! The step of a restore that binds the socket: where its address, or its link, may be elsewhere.

use super::{Restoring, stage};
use crate::error::{At, Error, ErrorKind, Step};
use crate::freebind;
use crate::kind::Kind;
use crate::link;
use crate::losses::{Loss, Lost};
use crate::sys;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

impl<'s> Restoring<'s, stage::Unbound> {
    /// Binds to the snapshot's local address; in repair mode a port that is in use is no obstacle (guide A35).
    ///
    /// A link-local address is bound on the link that [`Snapshot::link`](crate::Snapshot::link) names. A socket whose
    /// connection is over gets a loopback address where its own is not on this host: a loss says so.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` where the address is not on this host, but for [`Settings::freebind`](crate::Settings::freebind);
    /// [`ErrorKind::NoLink`] where its link is not.
    pub fn bind(mut self) -> Result<Restoring<'s, stage::Bound>, Error> {
        let local = self.core.snapshot.endpoints.local;
        if local.port() == 0 && local.ip().is_unspecified() {
            return Ok(self.next());
        }
        match self.bind_address() {
            Err(error) if is_elsewhere(&error) && self.is_over() => {
                link::unbind(self.as_fd(), local)?;
                let other = loopback(local);
                sys::bind(self.as_fd(), other).at(Step::Bind, "bind")?;
                let detail = format!(
                    "{} instead of {}, which is not on this host",
                    other.ip(),
                    local.ip()
                );
                self.core.losses.push(Loss::new(Lost::Address, detail));
            }
            answer => answer?,
        }
        Ok(self.next())
    }

    fn bind_address(&self) -> Result<(), Error> {
        let (fd, snapshot) = (self.as_fd(), self.core.snapshot);
        link::bind(fd, snapshot)?;
        let local = link::endpoints(snapshot).local;
        // What comes back by a packet to the address needs it.
        match self.core.settings.freebind && !self.is_over() && !self.core.fins.is_injected() {
            true => freebind::bind(fd, local),
            false => sys::bind(fd, local).at(Step::Bind, "bind"),
        }
    }

    /// Whether no packet of the connection will ever be sent.
    fn is_over(&self) -> bool {
        matches!(self.core.kind(), Kind::Ended | Kind::Refused)
    }
}

/// Whether the address, or the link that it belongs to, is not on this host.
fn is_elsewhere(error: &Error) -> bool {
    let missing = matches!(error.kind(), ErrorKind::NoLink { .. });
    missing
        || matches!(
            error.raw_os_error(),
            Some(libc::EADDRNOTAVAIL | libc::ENODEV)
        )
}

/// The same port of the host itself.
fn loopback(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(match address.ip() {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()
        }
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    });
    address
}
