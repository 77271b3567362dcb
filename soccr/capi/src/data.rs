//! `struct libsoccr_sk_data`: what the C interface carries of a connection, to and from a snapshot.

use crate::fault::Fault;
use soccr::raw::TCPI_OPT_WSCALE;
use soccr::{
    Endpoints, Options, ReceiveQueue, SendQueue, Seq, Snapshot, TcpState, Timestamps, Window,
    WindowScale,
};

/// The windows are there.
pub const SOCCR_FLAGS_WINDOW: u32 = 0x1;

/// What is saved of a connection, but for its queues and addresses: `struct libsoccr_sk_data`.
///
/// `include/soccr.h` says what each number means.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "libsoccr_sk_data")]
#[allow(missing_docs)]
pub struct SkData {
    pub state: u32,
    pub inq_len: u32,
    pub inq_seq: u32,
    pub outq_len: u32,
    pub outq_seq: u32,
    pub unsq_len: u32,
    pub opt_mask: u32,
    pub mss_clamp: u32,
    pub snd_wscale: u32,
    pub rcv_wscale: u32,
    pub timestamp: u32,
    pub flags: u32,
    pub snd_wl1: u32,
    pub snd_wnd: u32,
    pub max_window: u32,
    pub rcv_wnd: u32,
    pub rcv_wup: u32,
}

/// How many bytes of it have a meaning, and the least that a caller can know of it.
pub(crate) const SIZE: usize = size_of::<SkData>();

const _: () = assert!(SIZE == 17 * 4 && align_of::<SkData>() == align_of::<u32>());

impl SkData {
    /// The numbers of a snapshot; `opt_mask` is what `TCP_INFO` said of it, bits that no restore brings back included.
    #[must_use]
    pub fn of(snapshot: &Snapshot, opt_mask: u8) -> Self {
        let WindowScale { snd, rcv } = snapshot.options.window_scale.unwrap_or_default();
        let window = snapshot.window.unwrap_or_default();
        Self {
            state: snapshot.state as u32,
            inq_len: length(&snapshot.receive.bytes),
            inq_seq: snapshot.rcv_nxt().0,
            outq_len: length(&snapshot.send.bytes),
            outq_seq: snapshot.write_seq().0,
            unsq_len: snapshot.send.unsent,
            opt_mask: opt_mask.into(),
            mss_clamp: snapshot.options.mss_clamp.into(),
            snd_wscale: snd.into(),
            rcv_wscale: rcv.into(),
            timestamp: snapshot
                .options
                .timestamps
                .map_or(0, Timestamps::to_pass_on),
            flags: snapshot.window.map_or(0, |_| SOCCR_FLAGS_WINDOW),
            snd_wl1: window.snd_wl1.0,
            snd_wnd: window.snd_wnd,
            max_window: window.max_window,
            rcv_wnd: window.rcv_wnd,
            rcv_wup: window.rcv_wup.0,
        }
    }

    /// The snapshot that these numbers, both addresses and both queues make. Whether it can be that of a connection,
    /// [`Snapshot::validate`] tells.
    ///
    /// A FIN of ours counts as unsent exactly if data before it is: the numbers do not tell.
    ///
    /// # Errors
    /// Where a number has no place in a snapshot, or there are not as many bytes as it says.
    pub fn snapshot(
        &self,
        endpoints: Endpoints,
        receive: Vec<u8>,
        send: Vec<u8>,
    ) -> Result<Snapshot, Fault> {
        let state = self.tcp_state()?;
        for (name, claimed, bytes) in [
            ("inq_len", self.inq_len, &receive),
            ("outq_len", self.outq_len, &send),
        ] {
            if claimed as usize != bytes.len() {
                let rule = format!("and {} bytes were given", bytes.len());
                return Err(Fault::refused(name, claimed, rule));
            }
        }
        self.check_unsent()?;
        let mut snapshot = Snapshot::new(endpoints);
        snapshot.state = state;
        snapshot.options = self.options()?;
        snapshot.window = self.window().filter(|_| state.is_synchronized());
        snapshot.receive = ReceiveQueue {
            end: Seq(self.inq_seq).back(state.has_peer_fin().into()),
            bytes: receive,
        };
        snapshot.send = SendQueue {
            end: Seq(self.outq_seq).back(state.has_own_fin().into()),
            bytes: send,
            unsent: self.unsq_len,
            fin_unsent: state.owes_fin() && self.unsq_len > 0,
        };
        Ok(snapshot)
    }

    /// Refuses more unsent bytes than there are.
    pub(crate) fn check_unsent(&self) -> Result<(), Fault> {
        match self.unsq_len > self.outq_len {
            true => {
                let rule = format!("must be at most outq_len, {}", self.outq_len);
                Err(Fault::refused("unsq_len", self.unsq_len, rule))
            }
            false => Ok(()),
        }
    }

    /// The state.
    ///
    /// # Errors
    /// Where the number is that of none.
    pub(crate) fn tcp_state(&self) -> Result<TcpState, Fault> {
        let state = u8::try_from(self.state)
            .ok()
            .and_then(TcpState::from_kernel);
        state.ok_or_else(|| Fault::refused("state", self.state, "must be that of a state of TCP"))
    }

    fn options(&self) -> Result<Options, Fault> {
        // Bits of a later kernel say nothing of what is restored.
        let mask = self.opt_mask as u8;
        let scale = match mask & TCPI_OPT_WSCALE {
            0 => WindowScale::default(),
            _ => WindowScale {
                snd: narrow("snd_wscale", self.snd_wscale)?,
                rcv: narrow("rcv_wscale", self.rcv_wscale)?,
            },
        };
        let mss_clamp = narrow("mss_clamp", self.mss_clamp)?;
        Ok(Options::from_mask(mask, mss_clamp, scale, self.timestamp))
    }

    fn window(&self) -> Option<Window> {
        (self.flags & SOCCR_FLAGS_WINDOW != 0).then_some(Window {
            snd_wl1: Seq(self.snd_wl1),
            snd_wnd: self.snd_wnd,
            max_window: self.max_window,
            rcv_wnd: self.rcv_wnd,
            rcv_wup: Seq(self.rcv_wup),
        })
    }
}

fn narrow<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, Fault> {
    let rule = format!("must fit into {} bits", 8 * size_of::<T>());
    T::try_from(value).map_err(|_| Fault::refused(field, value, rule))
}

/// The kernel counts bytes of a queue in 32 bits.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u8 = 7;

    fn endpoints() -> Endpoints {
        Endpoints {
            local: "192.0.2.1:1".parse().unwrap(),
            remote: "192.0.2.2:2".parse().unwrap(),
        }
    }

    fn saved(state: TcpState) -> Snapshot {
        let scale = WindowScale { snd: 7, rcv: 10 };
        let mut snapshot = Snapshot::new(endpoints());
        snapshot.state = state;
        snapshot.options = Options::from_mask(MASK, 1460, scale, 1000);
        snapshot.receive.end = Seq(2);
        snapshot.send.end = Seq(u32::MAX);
        if state.is_synchronized() {
            snapshot.window = Some(Window {
                snd_wl1: Seq(1),
                snd_wnd: 2,
                max_window: 3,
                rcv_wnd: 4,
                rcv_wup: Seq(0),
            });
            snapshot.receive.bytes = b"received".to_vec();
        }
        if state.is_synchronized() && state != TcpState::FinWait2 {
            snapshot.send.bytes = b"sent, unsent".to_vec();
            snapshot.send.unsent = 6;
            snapshot.send.fin_unsent = state.owes_fin();
        }
        snapshot
    }

    #[test]
    fn what_was_saved_in_any_state_comes_back_from_its_numbers() {
        for state in (1..=11).filter_map(TcpState::from_kernel) {
            let snapshot = saved(state);
            let data = SkData::of(&snapshot, MASK);
            let bytes = (snapshot.receive.bytes.clone(), snapshot.send.bytes.clone());
            let back = data.snapshot(endpoints(), bytes.0, bytes.1).unwrap();
            assert_eq!(back, snapshot, "{state}");
        }
    }

    #[test]
    fn a_fin_counts_in_the_sequence_numbers_and_not_in_the_lengths() {
        let data = SkData::of(&saved(TcpState::LastAck), MASK);
        assert_eq!((data.inq_len, data.inq_seq), (8, 3));
        assert_eq!((data.outq_len, data.outq_seq, data.unsq_len), (12, 0, 6));
    }

    /// Changes a number.
    type Spoil = fn(&mut SkData);

    #[test]
    fn numbers_that_have_no_place_in_a_snapshot_are_refused_by_name() {
        let refused: [(&str, Spoil); 7] = [
            ("state", |it| it.state = 0),
            ("state", |it| it.state = 257),
            ("inq_len", |it| it.inq_len += 1),
            ("outq_len", |it| it.outq_len -= 1),
            ("unsq_len", |it| it.unsq_len = it.outq_len + 1),
            ("mss_clamp", |it| it.mss_clamp = 65_536),
            ("snd_wscale", |it| it.snd_wscale = 256),
        ];
        let snapshot = saved(TcpState::Established);
        for (name, spoil) in refused {
            let mut data = SkData::of(&snapshot, MASK);
            spoil(&mut data);
            let (receive, send) = (snapshot.receive.bytes.clone(), snapshot.send.bytes.clone());
            let fault = data.snapshot(endpoints(), receive, send).unwrap_err();
            assert!(fault.message.starts_with(name), "{name}: {fault}");
            assert_eq!(fault.errno, libc::EINVAL);
        }
    }

    #[test]
    fn what_was_not_negotiated_and_windows_that_are_not_there_are_not_looked_at() {
        let snapshot = saved(TcpState::Established);
        let mut data = SkData::of(&snapshot, 0);
        (data.snd_wscale, data.rcv_wscale, data.timestamp) = (999, 999, 3);
        (data.flags, data.max_window) = (0xfffe, 0);
        let (receive, send) = (snapshot.receive.bytes.clone(), snapshot.send.bytes.clone());
        let back = data.snapshot(endpoints(), receive, send).unwrap();
        assert_eq!(
            (back.options.window_scale, back.options.timestamps),
            (None, None)
        );
        assert_eq!(back.window, None);
        assert!(back.validate().is_ok());
    }

    #[test]
    fn a_clock_is_passed_on_with_the_bit_that_its_unit_has() {
        let mut snapshot = saved(TcpState::Established);
        for (microseconds, value, passed) in [(false, 5, 6), (false, 6, 6), (true, 6, 7)] {
            snapshot.options.timestamps = Some(Timestamps {
                value,
                microseconds,
            });
            assert_eq!(SkData::of(&snapshot, MASK).timestamp, passed);
        }
    }
}
