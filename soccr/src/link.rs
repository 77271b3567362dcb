//! The link that link-local addresses belong to: a number on each host, and a name that can be the same on all of them.
//!
//! A socket with such an address is bound to its link, so that the kernel tells the name as that of the device. A restore
//! binds the new socket to the link of that name, and leaves the number to the kernel.

use crate::endpoints::{Endpoints, is_link_local};
use crate::error::{At, Error, ErrorKind, Step};
use crate::lint::{Finding, Rule};
use crate::raw::Opt;
use crate::snapshot::Snapshot;
use crate::sockopts::SocketOption;
use crate::sys;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// The longest name of a link, bytes: the kernel cuts what is longer.
const LONGEST: usize = libc::IFNAMSIZ - 1;

/// Takes the name of the link out of what the application has set: with link-local addresses it is no choice, and what a
/// restore goes by is in one place.
pub(crate) fn take(endpoints: &Endpoints, options: &mut Vec<SocketOption>) -> Option<String> {
    if !any_link_local(endpoints) {
        return None;
    }
    let at = options
        .iter()
        .position(|it| it.option == Opt::SO_BINDTODEVICE)?;
    let name = name(&options[at].value)?;
    options.remove(at);
    Some(name)
}

/// The name of a device as the kernel gives it; `None` for one that is not text.
fn name(value: &[u8]) -> Option<String> {
    let name = value.split(|byte| *byte == 0).next()?;
    String::from_utf8(name.to_vec()).ok()
}

fn any_link_local(endpoints: &Endpoints) -> bool {
    is_link_local(endpoints.local) || is_link_local(endpoints.remote)
}

/// Whether one of them is link-local, and says nothing of its link.
pub(crate) fn is_unnumbered(endpoints: &Endpoints) -> bool {
    let numberless = |address| is_link_local(address) && address == unnumbered(address);
    numberless(endpoints.local) || numberless(endpoints.remote)
}

/// The name of the link that a socket is bound to.
pub(crate) fn of(fd: BorrowedFd<'_>, step: Step) -> Result<Option<String>, Error> {
    let mut device = [0; libc::IFNAMSIZ];
    sys::get(fd, Opt::SO_BINDTODEVICE, &mut device).at(step, Opt::SO_BINDTODEVICE.getting)?;
    Ok(name(&device).filter(|name| !name.is_empty()))
}

/// The name of the link, where it says something.
pub(crate) fn named(snapshot: &Snapshot) -> Option<&str> {
    let link = snapshot.link.as_deref();
    link.filter(|_| any_link_local(&snapshot.endpoints))
}

/// The addresses to restore with: where the link has a name, without the number that it had.
pub(crate) fn endpoints(snapshot: &Snapshot) -> Endpoints {
    let Endpoints { local, remote } = snapshot.endpoints;
    match named(snapshot) {
        Some(_) => Endpoints {
            local: unnumbered(local),
            remote: unnumbered(remote),
        },
        None => snapshot.endpoints,
    }
}

fn unnumbered(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if is_link_local(address) => {
            v6.set_scope_id(0);
            v6.into()
        }
        other => other,
    }
}

/// Binds a new socket to the link, before it is given an address.
///
/// Not by the number of the link: an `ioctl` that asks for it lets the kernel load a module that has the name of a link that
/// is not there (`dev_load`), and names come from outside.
pub(crate) fn bind(fd: BorrowedFd<'_>, snapshot: &Snapshot) -> Result<(), Error> {
    let Some(name) = named(snapshot) else {
        return Ok(());
    };
    match sys::set(fd, Opt::SO_BINDTODEVICE, name.as_bytes()) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
            let name = name.to_owned();
            Err(Error::new(Step::Bind, ErrorKind::NoLink { name }))
        }
        other => other.at(Step::Bind, Opt::SO_BINDTODEVICE.setting),
    }
}

/// Binds a socket to no link again, where its address was one of a link.
pub(crate) fn unbind(fd: BorrowedFd<'_>, local: SocketAddr) -> Result<(), Error> {
    match is_link_local(local) {
        true => {
            sys::set(fd, Opt::SO_BINDTODEVICE, &[]).at(Step::Bind, Opt::SO_BINDTODEVICE.setting)
        }
        false => Ok(()),
    }
}

/// Refuses a socket that somebody else has bound to an address of another link; returns that address as
/// [`endpoints`] has it.
pub(crate) fn check(
    fd: BorrowedFd<'_>,
    snapshot: &Snapshot,
    bound: SocketAddr,
) -> Result<SocketAddr, Error> {
    let Some(wanted) = named(snapshot) else {
        return Ok(bound);
    };
    let step = Step::Connect;
    let found = of(fd, step)?.unwrap_or_default();
    if found != wanted {
        let what = "the link of the local address";
        return Err(Error::mismatch(step, what, wanted, found));
    }
    Ok(unnumbered(bound))
}

impl Snapshot {
    /// Whether the link has a name that links can have.
    pub(crate) fn lint_link(&self, found: &mut Vec<Finding>) {
        let Some(name) = named(self) else { return };
        if name.is_empty() || name.len() > LONGEST || name.contains('\0') {
            found.push(Finding::taken_by_the_kernel(
                (
                    Rule::Address,
                    Step::Bind,
                    "the link is another one, or none",
                ),
                "link",
                format!("{name:?}"),
                format!("must be the name of a link: 1 to {LONGEST} bytes, none of them 0"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(local: &str, remote: &str) -> Endpoints {
        Endpoints {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    fn bound_to(device: &[u8]) -> Vec<SocketOption> {
        let of = |option, value: &[u8]| SocketOption {
            option,
            value: value.to_vec(),
        };
        vec![of(Opt::SO_BINDTODEVICE, device), of(Opt::TCP_NODELAY, &[1])]
    }

    #[test]
    fn the_device_of_a_link_local_socket_is_its_link_and_that_of_another_is_an_option() {
        let local = between("[fe80::1%3]:1", "[fe80::2%3]:2");
        let far = between("[fd77::1]:1", "[fd77::2]:2");
        let mut options = bound_to(b"eth0\0");
        assert_eq!(take(&far, &mut options), None);
        assert_eq!(options, bound_to(b"eth0\0"));
        assert_eq!(take(&local, &mut options), Some("eth0".to_owned()));
        assert_eq!(options, bound_to(b"eth0\0")[1..]);
        assert_eq!(take(&local, &mut options), None);
        // A name that is no text stays what it is.
        let mut options = bound_to(&[0xff, 0]);
        assert_eq!(take(&local, &mut options), None);
        assert_eq!(options, bound_to(&[0xff, 0]));
    }

    #[test]
    fn a_name_takes_the_place_of_numbers_that_mean_something() {
        let mut snapshot = Snapshot::new(between("[fe80::1%3]:1", "[fd77::2]:2"));
        assert_eq!(endpoints(&snapshot), snapshot.endpoints);
        snapshot.link = Some("eth0".to_owned());
        assert_eq!(endpoints(&snapshot), between("[fe80::1]:1", "[fd77::2]:2"));
        snapshot.endpoints = between("[fd77::1%3]:1", "[fd77::2]:2");
        assert_eq!(endpoints(&snapshot), snapshot.endpoints);
        snapshot.endpoints = between("10.0.0.1:1", "10.0.0.2:2");
        assert_eq!(endpoints(&snapshot), snapshot.endpoints);
    }

    #[test]
    fn names_that_no_link_can_have_are_refused_where_they_would_be_used() {
        let mut snapshot = Snapshot::new(between("[fe80::1%3]:1", "[fe80::2%3]:2"));
        snapshot.options.mss_clamp = 1440;
        for (name, refused) in [
            ("eth0", false),
            ("fifteen-bytes-1", false),
            ("", true),
            ("sixteen-bytes-12", true),
            ("eth0\0", true),
        ] {
            snapshot.link = Some(name.to_owned());
            let fields: Vec<_> = snapshot.lint().iter().map(|it| it.field).collect();
            assert_eq!(
                fields,
                if refused { vec!["link"] } else { vec![] },
                "{name:?}"
            );
            assert_eq!(snapshot.validate().is_err(), refused, "{name:?}");
        }
        snapshot.endpoints = between("10.0.0.1:1", "10.0.0.2:2");
        assert_eq!(snapshot.lint(), []);
    }

    #[test]
    fn a_link_local_address_needs_a_number_or_a_name() {
        let mut snapshot = Snapshot::new(between("[fe80::1]:1", "[fe80::2]:2"));
        snapshot.options.mss_clamp = 1440;
        let fields: Vec<_> = snapshot.lint().iter().map(|it| it.field).collect();
        assert_eq!(fields, ["endpoints.local", "endpoints.remote"]);
        snapshot.link = Some("eth0".to_owned());
        assert_eq!(snapshot.lint(), []);
    }
}
