//! Options: a snapshot names those that the application has set, CRIU keeps the values of some.

use crate::criu::CriuError;
use crate::criu::messages::{InetSkEntry, IpOptsEntry, SkOptsEntry, TcpOptsEntry, TcpStreamEntry};
use crate::endpoints::Family;
use crate::ingress::Instruction;
use crate::losses::{Loss, Lost};
use crate::raw::Opt;
use crate::sockopts::SocketOption;

/// The longest name of a device, bytes (`IFNAMSIZ` without its zero).
const MAX_DEVICE_NAME: usize = 15;

/// The bits of `IP_TOS` that are the kernel's.
const ECN: u32 = 3;

/// The most seconds, and the most microseconds on top, of a timeout.
const MAX_TIME: [i64; 2] = [i64::MAX, 999_999];

/// Of every new socket, bytes.
const RCVLOWAT: u32 = 1;

/// The options in an image that are not as on every new socket.
///
/// Those that a new socket takes from its network (keepalive times, TTL) are taken for set, as CRIU does: the image has
/// their values whether or not they were set.
pub(super) fn read(
    socket: &InetSkEntry,
    stream: Option<&TcpStreamEntry>,
    family: Family,
) -> Result<Vec<SocketOption>, CriuError> {
    let sk = &socket.opts;
    let ip = socket.ip_opts.clone().unwrap_or_default();
    let tcp = tcp_options(socket, stream);
    let mut found = Found::default();
    let v6 = family == Family::V6;
    found.flag(Opt::IPV6_V6ONLY, v6.then_some(socket.v6only).flatten());
    found.flag(Opt::IP_FREEBIND, ip.freebind);
    // The kernel has one flag for both.
    found.flag(Opt::IPV6_FREEBIND, v6.then_some(ip.freebind).flatten());
    found.flag(Opt::SO_REUSEPORT, sk.so_reuseport);
    found.device(sk.so_bound_dev.as_ref().or(socket.ifname.as_ref()))?;
    found.number(Opt::SO_MARK, sk.so_mark, 0);
    found.flag(Opt::SO_DONTROUTE, sk.so_dontroute);
    found.flag(Opt::SO_BROADCAST, sk.so_broadcast);
    found.flag(Opt::SO_NO_CHECK, sk.so_no_check);
    // Of IPv6 sockets, CRIU looks at neither.
    let (tos, ttl) = match family {
        Family::V4 => (ip.tos.map(|tos| tos & !ECN).filter(|tos| *tos != 0), ip.ttl),
        Family::V6 => (None, None),
    };
    found.set(Opt::IP_TOS, tos);
    match tos {
        // Setting it sets the priority as well.
        Some(_) => found.set(Opt::SO_PRIORITY, sk.so_priority),
        None => found.number(Opt::SO_PRIORITY, sk.so_priority, 0),
    }
    found.set(Opt::IP_TTL, ttl);
    found.flag(packet_info(family), ip.pktinfo);
    found.set(Opt::TCP_KEEPIDLE, tcp.keepidle);
    found.set(Opt::TCP_KEEPINTVL, tcp.keepintvl);
    found.set(Opt::TCP_KEEPCNT, tcp.keepcnt);
    found.flag(Opt::SO_KEEPALIVE, sk.so_keepalive);
    found.flag(Opt::SO_OOBINLINE, sk.so_oobinline.map(|value| value != 0));
    if let Some(seconds) = sk.so_linger {
        let value = [1_u32, seconds].map(u32::to_ne_bytes).concat();
        found.push(Opt::SO_LINGER, value);
    }
    found.number(Opt::SO_RCVLOWAT, sk.so_rcvlowat, RCVLOWAT);
    let fields = [
        ("so_rcv_tmo_sec", sk.so_rcv_tmo_sec),
        ("so_rcv_tmo_usec", sk.so_rcv_tmo_usec),
    ];
    found.time(Opt::SO_RCVTIMEO, fields)?;
    let fields = [
        ("so_snd_tmo_sec", sk.so_snd_tmo_sec),
        ("so_snd_tmo_usec", sk.so_snd_tmo_usec),
    ];
    found.time(Opt::SO_SNDTIMEO, fields)?;
    found.flag(Opt::TCP_CORK, tcp.cork);
    found.flag(Opt::TCP_NODELAY, tcp.nodelay);
    Ok(found.0)
}

/// What CRIU's one field for it means.
fn packet_info(family: Family) -> Opt {
    match family {
        Family::V4 => Opt::IP_PKTINFO,
        Family::V6 => Opt::IPV6_RECVPKTINFO,
    }
}

/// Options of TCP: where newer versions of CRIU keep them, or else where older ones did.
fn tcp_options(socket: &InetSkEntry, stream: Option<&TcpStreamEntry>) -> TcpOptsEntry {
    let new = socket.tcp_opts.clone().unwrap_or_default();
    let sk = &socket.opts;
    TcpOptsEntry {
        cork: new.cork.or(stream.and_then(|stream| stream.cork)),
        nodelay: new.nodelay.or(stream.and_then(|stream| stream.nodelay)),
        keepcnt: new.keepcnt.or(sk.tcp_keepcnt),
        keepidle: new.keepidle.or(sk.tcp_keepidle),
        keepintvl: new.keepintvl.or(sk.tcp_keepintvl),
    }
}

/// What is found set, in the order of the snapshot's own table.
#[derive(Default)]
struct Found(Vec<SocketOption>);

impl Found {
    fn push(&mut self, option: Opt, value: Vec<u8>) {
        self.0.push(SocketOption { option, value });
    }

    fn set(&mut self, option: Opt, value: Option<u32>) {
        if let Some(value) = value {
            self.push(option, value.to_ne_bytes().to_vec());
        }
    }

    fn number(&mut self, option: Opt, value: Option<u32>, of_new: u32) {
        self.set(option, value.filter(|value| *value != of_new));
    }

    fn flag(&mut self, option: Opt, value: Option<bool>) {
        self.number(option, value.map(u32::from), 0);
    }

    fn device(&mut self, name: Option<&Vec<u8>>) -> Result<(), CriuError> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        if name.len() > MAX_DEVICE_NAME || name.contains(&0) {
            let rule = "must be the name of a device: at most 15 bytes, none of them zero";
            let value = String::from_utf8_lossy(&name[..name.len().min(2 * MAX_DEVICE_NAME)]);
            return Err(CriuError::refused("so_bound_dev", value, rule));
        }
        self.push(Opt::SO_BINDTODEVICE, [name, &[0][..]].concat());
        Ok(())
    }

    /// `fields`: seconds, and microseconds on top, with CRIU's names.
    fn time(&mut self, option: Opt, fields: [(&'static str, u64); 2]) -> Result<(), CriuError> {
        let mut parts = [0_i64; 2];
        for (part, ((field, value), most)) in parts.iter_mut().zip(fields.into_iter().zip(MAX_TIME))
        {
            *part = i64::try_from(value)
                .ok()
                .filter(|part| *part <= most)
                .ok_or_else(|| {
                    CriuError::refused(field, value, format!("must be at most {most}"))
                })?;
        }
        // `struct timeval` of a host of 64 bits.
        match parts {
            [0, 0] => {}
            parts => self.push(option, parts.map(i64::to_ne_bytes).concat()),
        }
        Ok(())
    }
}

/// Writes the options that CRIU keeps; returns those that it does not.
pub(super) fn write(
    options: &[SocketOption],
    family: Family,
    socket: &mut InetSkEntry,
    stream: &mut TcpStreamEntry,
) -> Vec<Loss> {
    let mut tcp = TcpOptsEntry::default();
    let mut ip = IpOptsEntry::default();
    let mut kept =
        |option: &SocketOption| keep(option, family, &mut socket.opts, &mut ip, &mut tcp).is_some();
    let lost: Vec<_> = options.iter().filter(|option| !kept(option)).collect();
    if family == Family::V6 {
        let is_set = |option: &&SocketOption| option.option == Opt::IPV6_V6ONLY;
        let v6only = options.iter().find(is_set).and_then(flag);
        socket.v6only = Some(v6only.unwrap_or(false));
    }
    // Once more where versions look that do not know the other places.
    (stream.cork, stream.nodelay) = (tcp.cork, tcp.nodelay);
    let sk = &mut socket.opts;
    (sk.tcp_keepcnt, sk.tcp_keepidle, sk.tcp_keepintvl) =
        (tcp.keepcnt, tcp.keepidle, tcp.keepintvl);
    socket.ip_opts = Some(ip);
    socket.tcp_opts = Some(tcp);
    lost.into_iter().map(loss).collect()
}

/// Writes one option; `None` where CRIU has no place for it, or not for such a value.
fn keep(
    option: &SocketOption,
    family: Family,
    sk: &mut SkOptsEntry,
    ip: &mut IpOptsEntry,
    tcp: &mut TcpOptsEntry,
) -> Option<()> {
    match option.option {
        Opt::IPV6_V6ONLY if family == Family::V6 => drop(flag(option)?),
        Opt::IP_FREEBIND | Opt::IPV6_FREEBIND => ip.freebind = Some(flag(option)?),
        Opt::SO_REUSEPORT => sk.so_reuseport = Some(flag(option)?),
        Opt::SO_BINDTODEVICE => sk.so_bound_dev = Some(device(option)?.to_vec()),
        Opt::SO_MARK => sk.so_mark = Some(number(option)?),
        Opt::SO_DONTROUTE => sk.so_dontroute = Some(flag(option)?),
        Opt::SO_BROADCAST => sk.so_broadcast = Some(flag(option)?),
        Opt::SO_NO_CHECK => sk.so_no_check = Some(flag(option)?),
        it if it == packet_info(family) => ip.pktinfo = Some(flag(option)?),
        Opt::IP_TOS if family == Family::V4 => ip.tos = Some(number(option)?),
        Opt::SO_PRIORITY => sk.so_priority = Some(number(option)?),
        Opt::IP_TTL if family == Family::V4 => ip.ttl = Some(number(option)?),
        Opt::TCP_KEEPIDLE => tcp.keepidle = Some(number(option)?),
        Opt::TCP_KEEPINTVL => tcp.keepintvl = Some(number(option)?),
        Opt::TCP_KEEPCNT => tcp.keepcnt = Some(number(option)?),
        Opt::SO_KEEPALIVE => sk.so_keepalive = Some(flag(option)?),
        Opt::SO_OOBINLINE => sk.so_oobinline = Some(flag(option)?.into()),
        Opt::SO_LINGER => sk.so_linger = linger(option)?,
        Opt::SO_RCVLOWAT => sk.so_rcvlowat = Some(number(option)?),
        Opt::SO_RCVTIMEO => (sk.so_rcv_tmo_sec, sk.so_rcv_tmo_usec) = time(option)?,
        Opt::SO_SNDTIMEO => (sk.so_snd_tmo_sec, sk.so_snd_tmo_usec) = time(option)?,
        Opt::TCP_CORK => tcp.cork = Some(flag(option)?),
        Opt::TCP_NODELAY => tcp.nodelay = Some(flag(option)?),
        _ => return None,
    }
    Some(())
}

fn loss(option: &SocketOption) -> Loss {
    let SocketOption { option, value } = option;
    let detail = format!(
        "{} has no place in an image of CRIU for its value, {value:?}",
        option.label()
    );
    Loss::new(Lost::SocketOption, detail)
}

fn number(option: &SocketOption) -> Option<u32> {
    Some(u32::from_ne_bytes(option.value.as_slice().try_into().ok()?))
}

fn flag(option: &SocketOption) -> Option<bool> {
    match number(option)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A name, without the zero at its end.
fn device(option: &SocketOption) -> Option<&[u8]> {
    let name = option.value.strip_suffix(&[0]).unwrap_or(&option.value);
    (!name.is_empty() && !name.contains(&0)).then_some(name)
}

/// The seconds for which a socket lingers, `None` within for one that does not.
fn linger(option: &SocketOption) -> Option<Option<u32>> {
    let (on, seconds) = option.value.split_at_checked(4)?;
    let seconds = u32::from_ne_bytes(seconds.try_into().ok()?);
    match on.iter().any(|byte| *byte != 0) {
        true => Some(Some(seconds)),
        // Seconds that say nothing.
        false => (seconds == 0).then_some(None),
    }
}

fn time(option: &SocketOption) -> Option<(u64, u64)> {
    let (seconds, micros) = option.value.split_at_checked(8)?;
    let part = |bytes: &[u8]| u64::try_from(i64::from_ne_bytes(bytes.try_into().ok()?)).ok();
    Some((part(seconds)?, part(micros)?))
}

/// An instruction of a socket filter from CRIU's word.
pub(super) fn instruction(word: u64) -> Instruction {
    Instruction {
        code: (word >> 48) as u16,
        jt: (word >> 40) as u8,
        jf: (word >> 32) as u8,
        k: word as u32,
    }
}

/// CRIU's word of an instruction.
pub(super) fn word(instruction: &Instruction) -> u64 {
    let Instruction { code, jt, jf, k } = *instruction;
    u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
}
