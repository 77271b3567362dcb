//! What a connection had learned of its path: told, for those who can steer a new one.

use crate::raw::TcpInfo;

/// What TCP had learned of the path to the peer (`TCP_INFO`), at the moment of the save.
///
/// The kernel takes none of it back: a restored connection starts with a congestion window of ten segments, no
/// round-trip time and an RTO of one or three seconds (guide D14). What can be steered from outside is the route:
/// between [`bind`](crate::restore::Restoring::bind) and [`connect`](crate::restore::Restoring::connect) of a staged
/// restore, give the route to the peer the metrics that [`route_metrics`](Self::route_metrics) names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Path {
    /// Smoothed round-trip time, microseconds; 0: not measured.
    pub rtt: u32,
    /// Variation of the round-trip time, microseconds.
    pub rttvar: u32,
    /// Retransmission timeout, microseconds.
    pub rto: u32,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Slow start threshold, segments; 2^31 - 1: none.
    pub ssthresh: u32,
    /// MTU of the path, bytes.
    pub mtu: u32,
}

/// `TCP_INFINITE_SSTHRESH` of the kernel.
const NO_THRESHOLD: u32 = 0x7fff_ffff;

impl Path {
    pub(crate) fn from_info(info: &TcpInfo) -> Self {
        Self {
            rtt: info.rtt,
            rttvar: info.rttvar,
            rto: info.rto,
            cwnd: info.snd_cwnd,
            ssthresh: info.snd_ssthresh,
            mtu: info.pmtu,
        }
    }

    /// The metrics for `ip route change … <metrics>` that let a new connection start where this one was.
    ///
    /// `rtt` and `rttvar` count in milliseconds there, at least one; what was not measured is left out. They
    /// count for connections to that destination that are made while the route has them.
    #[must_use]
    pub fn route_metrics(&self) -> String {
        let mut metrics = Vec::new();
        if self.rtt > 0 {
            metrics.push(format!("rtt {}ms", self.rtt.div_ceil(1_000)));
            metrics.push(format!("rttvar {}ms", self.rttvar.div_ceil(1_000).max(1)));
        }
        if self.cwnd > 0 {
            metrics.push(format!("initcwnd {}", self.cwnd));
        }
        if self.ssthresh > 0 && self.ssthresh < NO_THRESHOLD {
            metrics.push(format!("ssthresh {}", self.ssthresh));
        }
        metrics.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_is_named() {
        assert_eq!(Path::default().route_metrics(), "");
        let path = Path {
            rtt: 12_300,
            rttvar: 400,
            cwnd: 42,
            ssthresh: NO_THRESHOLD,
            ..Path::default()
        };
        assert_eq!(path.route_metrics(), "rtt 13ms rttvar 1ms initcwnd 42");
    }
}
