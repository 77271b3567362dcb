//! Making a link slow or unreliable by the kernel's own means: `tbf` and `netem`.

use crate::error::Error;
use crate::link::LOOPBACK;
use crate::netlink::Netlink;
use crate::network::Node;
use crate::qdisc::{self, TcHandle};
use std::time::Duration;

// Numbers and layouts from include/uapi/linux/pkt_sched.h.
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
/// Nanoseconds per tick, by which old fields count.
const TICK: u128 = 64;
const ETHERNET_HEADER: u32 = 14;
/// What waits at most for a slow link, in bytes: more than a window of the baseline, so that nothing is dropped.
const QUEUE: u32 = 8 << 20;
/// What waits at most for its delay, in packets.
const DELAYED: u32 = 10_000;

/// The one queueing discipline of a link, or the outer of two.
const OUTER: TcHandle = TcHandle { major: 1, minor: 0 };
/// Where the inner of two goes.
const INSIDE: TcHandle = TcHandle { major: 1, minor: 1 };

/// What the kernel's `netem` is to do to the packets that leave a host.
///
/// Its chances are the kernel's, with no seed: a test that has to be repeatable uses it for delay only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use]
pub struct Netem {
    delay: Duration,
    jitter: Duration,
    loss: f64,
    duplicate: f64,
}

impl Netem {
    /// Every packet leaves so much later.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// The delay varies by so much to either side.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// This share of the packets gets lost, from 0 to 1.
    pub fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// This share of the packets is sent twice, from 0 to 1.
    pub fn duplicate(mut self, share: f64) -> Self {
        self.duplicate = share;
        self
    }

    /// Finds out whether this kernel has netem, by using it on a namespace of its own.
    ///
    /// # Errors
    /// [`Error::NotInKernel`] if it has not; [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter).
    pub fn available() -> Result<(), Error> {
        let probe = Node::middle("probe")?;
        shape(&probe.netlink, LOOPBACK, 1500, None, Some(&Self::default()))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        for share in [self.loss, self.duplicate] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::Invalid {
                    what: "a share of the packets",
                    value: share.to_string(),
                    why: "it is from 0, none, to 1, all",
                });
            }
        }
        Ok(())
    }

    /// `struct tc_netem_qopt`, and the attributes behind it.
    fn options(&self) -> Vec<u8> {
        let share = |share: f64| (share * f64::from(u32::MAX)) as u32;
        let ticks = |time: Duration| u32::try_from(time.as_nanos() / TICK).unwrap_or(u32::MAX);
        let words = [
            ticks(self.delay),
            DELAYED,
            share(self.loss),
            0,
            share(self.duplicate),
            ticks(self.jitter),
        ];
        let mut options: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        for (kind, time) in [
            (TCA_NETEM_LATENCY64, self.delay),
            (TCA_NETEM_JITTER64, self.jitter),
        ] {
            let nanoseconds = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            options.extend(attribute(kind, &nanoseconds.to_ne_bytes()));
        }
        options
    }
}

/// The options of a `tbf` that lets `rate` bits per second through: `struct tc_tbf_qopt` and more, as attributes.
fn tbf_options(rate: u64, mtu: u32) -> Vec<u8> {
    let bytes = rate / 8;
    // What is sent at once after a pause: at least two packets, and what passes in ten milliseconds.
    let burst = u32::try_from(bytes / 100)
        .unwrap_or(u32::MAX)
        .clamp(2 * (mtu + ETHERNET_HEADER), QUEUE);
    // struct tc_ratespec: the rate is its last member; the kernel works the others out.
    let mut parameters = vec![0; 8];
    parameters.extend(u32::try_from(bytes).unwrap_or(u32::MAX).to_ne_bytes());
    // There is no peak rate.
    parameters.extend([0; 12]);
    // limit in bytes; buffer and mtu in ticks, which the attribute TCA_TBF_BURST stands in for.
    for word in [QUEUE, 0, 0] {
        parameters.extend(word.to_ne_bytes());
    }
    [
        attribute(TCA_TBF_PARMS, &parameters),
        attribute(TCA_TBF_RATE64, &bytes.to_ne_bytes()),
        attribute(TCA_TBF_BURST, &burst.to_ne_bytes()),
    ]
    .concat()
}

/// A netlink attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Shapes what leaves link `index`: first its rate, then what netem does.
pub(crate) fn shape(
    netlink: &Netlink,
    index: u32,
    mtu: u32,
    rate: Option<u64>,
    netem: Option<&Netem>,
) -> Result<(), Error> {
    if let Some(netem) = netem {
        qdisc::add_qdisc(
            netlink,
            index,
            TcHandle::ROOT,
            OUTER,
            "netem",
            netem.options(),
            || format!("shape link number {index} by {netem:?} (needs the kernel's sch_netem)"),
        )
        .map_err(missing("netem"))?;
    }
    if let Some(rate) = rate {
        let (parent, handle) = match netem {
            None => (TcHandle::ROOT, OUTER),
            Some(_) => (INSIDE, TcHandle { major: 2, minor: 0 }),
        };
        qdisc::add_qdisc(
            netlink,
            index,
            parent,
            handle,
            "tbf",
            tbf_options(rate, mtu),
            || format!("let {rate} bit/s through link number {index} (needs the kernel's sch_tbf)"),
        )
        .map_err(missing("tbf"))?;
    }
    Ok(())
}

/// `ENOENT` is how a kernel says that it has no such queueing discipline.
fn missing(what: &'static str) -> impl FnOnce(Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(libc::ENOENT) => Error::NotInKernel { what },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netem_is_the_struct_of_the_kernel_and_then_attributes() {
        let netem = Netem::delay(Duration::from_millis(1)).loss(1.0);
        let options = netem.options();
        let word = |at: usize| u32::from_ne_bytes(options[at..at + 4].try_into().unwrap());
        assert_eq!(
            [word(0), word(4), word(8), word(12)],
            [15_625, DELAYED, u32::MAX, 0]
        );
        assert_eq!(options.len(), 24 + 2 * 12);
        assert_eq!(
            options[24..28],
            [attribute(10, &[0; 8])[0..4].to_vec()].concat()
        );
        assert_eq!(options[28..36], 1_000_000_i64.to_ne_bytes());
    }

    #[test]
    fn a_share_is_between_none_and_all() {
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(Netem::default().loss(share).check().is_err());
            assert!(Netem::default().duplicate(share).check().is_err());
        }
        Netem::default().loss(1.0).duplicate(0.0).check().unwrap();
    }
}
