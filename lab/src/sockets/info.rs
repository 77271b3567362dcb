//! What the kernel knows about a connection: `struct tcp_info`, which grows at its end.

use std::fmt;
use std::time::Duration;

/// The part of `struct tcp_info` (include/uapi/linux/tcp.h) that tests ask for.
///
/// Counters of an older kernel that has not got them are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// The retransmission timeout.
    pub rto: Duration,
    /// The smoothed round-trip time; zero before the first measurement.
    pub rtt: Duration,
    /// How much that varies.
    pub rttvar: Duration,
    /// The largest segment it sends, in bytes of payload.
    pub snd_mss: u32,
    /// The path MTU, in bytes.
    pub pmtu: u32,
    /// The congestion window, in segments.
    pub snd_cwnd: u32,
    /// The slow start threshold, in segments.
    pub snd_ssthresh: u32,
    /// Segments sent and not acknowledged; of a listener, connections that wait.
    pub unacked: u32,
    /// Of these, segments that are acknowledged selectively; of a listener, how many connections may wait.
    pub sacked: u32,
    /// Segments that are taken for lost.
    pub lost: u32,
    /// Segments that are sent again and not acknowledged yet.
    pub retrans: u32,
    /// Segments that were ever sent again.
    pub total_retrans: u32,
    /// How often the retransmission timer went off since the last acknowledgment.
    pub retransmits: u8,
    /// Probes into a closed window, or of an idle peer, without an answer.
    pub probes: u8,
    /// Bytes that the peer has acknowledged.
    pub bytes_acked: Option<u64>,
    /// Bytes that were received in order.
    pub bytes_received: Option<u64>,
    /// Bytes that were written and never sent.
    pub notsent_bytes: Option<u32>,
    /// Bytes of payload that were sent again.
    pub bytes_retrans: Option<u64>,
    /// Duplicate SACK blocks that came in (RFC 2883).
    pub dsack_dups: Option<u32>,
    /// Segments that came in out of order.
    pub rcv_ooopack: Option<u32>,
    /// The window that the peer offers, in bytes (Linux 5.4).
    pub snd_wnd: Option<u32>,
}

impl TcpInfo {
    /// Decodes what the kernel gave; `None` for less than the oldest kernel gives.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let microseconds = |at| u32_at(bytes, at).map(|it| Duration::from_micros(it.into()));
        Some(Self {
            retransmits: *bytes.get(2)?,
            probes: *bytes.get(3)?,
            rto: microseconds(8)?,
            snd_mss: u32_at(bytes, 16)?,
            unacked: u32_at(bytes, 24)?,
            sacked: u32_at(bytes, 28)?,
            lost: u32_at(bytes, 32)?,
            retrans: u32_at(bytes, 36)?,
            pmtu: u32_at(bytes, 60)?,
            rtt: microseconds(68)?,
            rttvar: microseconds(72)?,
            snd_ssthresh: u32_at(bytes, 76)?,
            snd_cwnd: u32_at(bytes, 80)?,
            total_retrans: u32_at(bytes, 100)?,
            bytes_acked: u64_at(bytes, 120),
            bytes_received: u64_at(bytes, 128),
            notsent_bytes: u32_at(bytes, 144),
            bytes_retrans: u64_at(bytes, 208),
            dsack_dups: u32_at(bytes, 216),
            rcv_ooopack: u32_at(bytes, 224),
            snd_wnd: u32_at(bytes, 228),
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

impl fmt::Display for TcpInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rto, rtt, rttvar) = (self.rto, self.rtt, self.rttvar);
        write!(
            f,
            "rto:{rto:?} rtt:{rtt:?}/{rttvar:?} mss:{} pmtu:{} cwnd:{} ssthresh:{}",
            self.snd_mss, self.pmtu, self.snd_cwnd, self.snd_ssthresh
        )?;
        let counters = [
            ("unacked", Some(self.unacked.into())),
            ("sacked", Some(self.sacked.into())),
            ("lost", Some(self.lost.into())),
            ("retrans", Some(self.total_retrans.into())),
            ("bytes_acked", self.bytes_acked),
            ("bytes_received", self.bytes_received),
            ("notsent", self.notsent_bytes.map(u64::from)),
            ("snd_wnd", self.snd_wnd.map(u64::from)),
        ];
        for (name, value) in counters {
            if let Some(value) = value.filter(|&value| value > 0) {
                write!(f, " {name}:{value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as that of Linux 3.0, of 4.6 and of today.
    #[test]
    fn what_an_older_kernel_has_not_got_is_none() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(TcpInfo::decode(&bytes[..103]), None);
        let old = TcpInfo::decode(&bytes[..104]).unwrap();
        assert_eq!(
            (old.bytes_acked, old.notsent_bytes, old.snd_wnd),
            (None, None, None)
        );
        let middle = TcpInfo::decode(&bytes[..160]).unwrap();
        assert_eq!(
            middle.notsent_bytes,
            Some(u32::from_ne_bytes([144, 145, 146, 147]))
        );
        assert_eq!(middle.bytes_retrans, None);
        let new = TcpInfo::decode(&bytes).unwrap();
        assert_eq!(new.snd_wnd, Some(u32::from_ne_bytes([228, 229, 230, 231])));
        assert_eq!(new.retransmits, 2);
    }
}
