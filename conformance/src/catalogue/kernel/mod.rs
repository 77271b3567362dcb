//! What the kernel promises about TCP repair, call by call, for sockets in ESTABLISHED and CLOSE.

mod address;
mod attempt;
mod bpf;
mod close;
mod connect;
mod disconnect;
mod fill;
mod fin;
mod info;
mod live;
mod mode;
mod options;
mod past;
mod peek;
mod peek_limits;
mod permission;
mod probe;
mod queue;
mod repair_window;
mod rounding;
mod segment_size;
mod sequence;
mod signed;
mod silence;
mod subject;
mod time_wait;
mod timestamp;
mod window;
mod window_limits;
mod window_wire;
mod wire_options;

use crate::case::Case;
use lab::Family;

/// The families of a socket, where what its packets are makes no difference.
const SOCKETS: [Family; 2] = [Family::V4, Family::V6];

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        mode::cases(),
        permission::cases(),
        probe::cases(),
        silence::cases(),
        close::cases(),
        queue::cases(),
        sequence::cases(),
        peek::cases(),
        peek_limits::cases(),
        fill::cases(),
        fin::cases(),
        address::cases(),
        connect::cases(),
        disconnect::cases(),
        attempt::cases(),
        time_wait::cases(),
        options::cases(),
        wire_options::cases(),
        segment_size::cases(),
        timestamp::cases(),
        window::cases(),
        window_limits::cases(),
        window_wire::cases(),
        signed::cases(),
        bpf::cases(),
        info::cases(),
        rounding::cases(),
        past::cases(),
    ]
    .concat()
}
