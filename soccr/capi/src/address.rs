//! `union libsoccr_addr`: addresses as C has them.

use crate::fault::Fault;
use crate::memory::Given;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address of a socket, of either family: `union libsoccr_addr`.
#[repr(C)]
#[derive(Clone, Copy)]
#[doc(alias = "libsoccr_addr")]
#[allow(missing_docs)]
pub union Address {
    pub sa: libc::sockaddr,
    pub v4: libc::sockaddr_in,
    pub v6: libc::sockaddr_in6,
}

const _: () = assert!(size_of::<Address>() == size_of::<libc::sockaddr_in6>());

impl Address {
    pub(crate) fn new(address: SocketAddr) -> Self {
        // What is behind a shorter address is zero, too.
        let mut encoded = Self {
            v6: libc::sockaddr_in6 {
                sin6_family: 0,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
                sin6_scope_id: 0,
            },
        };
        match address {
            SocketAddr::V4(v4) => {
                encoded.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
            }
            SocketAddr::V6(v6) => {
                encoded.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                };
            }
        }
        encoded
    }

    /// Reads an address that a caller has given: as many bytes as its family has.
    pub(crate) fn read(given: &Given<Self>) -> Result<SocketAddr, Fault> {
        let at: *const Self = given.as_ptr();
        // SAFETY: who gives an address promises that it is there; every `sockaddr` begins with its family.
        let family = unsafe { at.cast::<libc::sa_family_t>().read_unaligned() };
        match libc::c_int::from(family) {
            libc::AF_INET => {
                // SAFETY: by its family it is a `sockaddr_in`.
                let v4 = unsafe { at.cast::<libc::sockaddr_in>().read_unaligned() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: by its family it is a `sockaddr_in6`.
                let v6 = unsafe { at.cast::<libc::sockaddr_in6>().read_unaligned() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Ok(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            other => Err(Fault::refused(
                "the family of the address",
                other,
                "must be AF_INET (2) or AF_INET6 (10)",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_were_written_and_no_further_than_their_family() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%7]:443"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut encoded = Address::new(address);
            let given = Given::new(&raw mut encoded, false).unwrap();
            assert_eq!(Address::read(&given), Ok(address));
        }
        // A caller with IPv4 only may have no more than this.
        // SAFETY: it was written as one of IPv4.
        let mut short = Box::new(unsafe { Address::new("192.0.2.1:80".parse().unwrap()).v4 });
        let given = Given::new((&raw mut *short).cast(), false).unwrap();
        assert_eq!(Address::read(&given).unwrap().port(), 80);
    }

    #[test]
    fn an_address_of_another_family_is_refused() {
        let mut encoded = Address::new("192.0.2.1:80".parse().unwrap());
        encoded.sa.sa_family = 1;
        let given = Given::new(&raw mut encoded, false).unwrap();
        assert_eq!(Address::read(&given).unwrap_err().errno, libc::EINVAL);
    }
}
