//! `struct tcp_repair_window`.

use soccr::raw::{self, Opt};
use std::io;
use std::os::fd::AsFd;

/// How many bytes the structure has.
pub(super) const LENGTH: usize = 20;

/// The value of `TCP_REPAIR_WINDOW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RepairWindow {
    /// The sequence number of the segment that brought the last window update.
    pub(super) snd_wl1: u32,
    /// The window that the peer allows.
    pub(super) snd_wnd: u32,
    /// The largest that it ever allowed.
    pub(super) max_window: u32,
    /// The window that this end allows.
    pub(super) rcv_wnd: u32,
    /// The acknowledgement number with which it was last told.
    pub(super) rcv_wup: u32,
}

impl RepairWindow {
    pub(super) fn get(socket: &impl AsFd) -> io::Result<Self> {
        let mut bytes = [0; LENGTH];
        raw::get(socket, Opt::TCP_REPAIR_WINDOW, &mut bytes)?;
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|&word| u32::from_ne_bytes(word));
        let mut next = || words.next().unwrap_or_default();
        Ok(Self {
            snd_wl1: next(),
            snd_wnd: next(),
            max_window: next(),
            rcv_wnd: next(),
            rcv_wup: next(),
        })
    }

    pub(super) fn set(self, socket: &impl AsFd) -> io::Result<()> {
        raw::set(socket, Opt::TCP_REPAIR_WINDOW, &self.bytes())
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        [
            self.snd_wl1,
            self.snd_wnd,
            self.max_window,
            self.rcv_wnd,
            self.rcv_wup,
        ]
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect()
    }
}
