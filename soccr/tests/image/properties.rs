//! Any snapshot comes back as it was; any bytes are read or refused.

use crate::by_hand::{image, record, seal};
use crate::samples::{losses, nobody};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use soccr::{
    Endpoints, Filter, Instruction, Loss, Options, PendingError, Seq, Snapshot, SocketOption,
    TcpState, Timestamps, Window, WindowScale,
};
use std::net::{SocketAddr, SocketAddrV6};

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let v6 = any::<([u8; 16], u16, u32, u32)>();
    let v6 = v6
        .prop_map(|(ip, port, flow, scope)| SocketAddrV6::new(ip.into(), port, flow, scope).into());
    prop_oneof![v4, v6]
}

fn queue() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn options() -> impl Strategy<Value = Options> {
    any::<(u16, Option<(u8, u8)>, bool, Option<(u32, bool)>)>().prop_map(
        |(mss_clamp, shifts, sack, clock)| {
            let mut options = Options::default();
            options.mss_clamp = mss_clamp;
            options.window_scale = shifts.map(|(snd, rcv)| WindowScale { snd, rcv });
            options.sack = sack;
            options.timestamps = clock.map(|(value, microseconds)| Timestamps {
                value,
                microseconds,
            });
            options
        },
    )
}

fn window() -> impl Strategy<Value = Window> {
    any::<[u32; 5]>().prop_map(|words| Window {
        snd_wl1: Seq(words[0]),
        snd_wnd: words[1],
        max_window: words[2],
        rcv_wnd: words[3],
        rcv_wup: Seq(words[4]),
    })
}

fn pending_error() -> impl Strategy<Value = PendingError> {
    prop_oneof![
        Just(PendingError::Untaken),
        any::<i32>().prop_map(PendingError::Errno)
    ]
}

fn socket_options() -> impl Strategy<Value = Vec<SocketOption>> {
    let names = [
        "IP_OPTIONS",
        "IP_TOS",
        "SO_BINDTODEVICE",
        "SO_LINGER",
        "SO_MAX_PACING_RATE",
        "SO_SNDTIMEO",
        "TCP_CONGESTION",
    ];
    let carried = names.map(|name| SocketOption::named(name).into_iter());
    let carried: Vec<_> = carried.into_iter().flatten().collect();
    let option = (prop::sample::select(carried), vec(any::<u8>(), 0..70));
    vec(
        option.prop_map(|(option, value)| SocketOption { option, value }),
        0..5,
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let instruction =
        any::<(u16, u8, u8, u32)>().prop_map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    (vec(instruction, 0..9), any::<bool>()).prop_map(|(program, locked)| Filter { program, locked })
}

fn unsaved() -> impl Strategy<Value = Vec<Loss>> {
    vec((1..=11_u16, ".{0,20}"), 0..4).prop_map(|made| {
        let made: Vec<_> = made
            .iter()
            .map(|(number, text)| (*number, &**text))
            .collect();
        // Read from an image by hand; that it can be read, other tests see.
        losses(&made).unwrap_or_default()
    })
}

prop_compose! {
    fn snapshot()(
        state in (1..=11_u8).prop_filter_map("a state", TcpState::from_kernel),
        (local, remote) in (address(), address()),
        options in options(),
        window in option::of(window()),
        (received, sent) in (queue(), queue()),
        (ends, unsent, fin_unsent) in any::<([u32; 2], u32, bool)>(),
        flags in any::<[bool; 3]>(),
        pending_error in option::of(pending_error()),
        (buffers, locks, path) in any::<([u32; 2], Option<u8>, [u32; 6])>(),
        (socket_options, filter, unsaved) in (socket_options(), filter(), unsaved()),
        link in option::of(".{0,20}"),
    ) -> Snapshot {
        let mut snapshot = Snapshot::new(Endpoints { local, remote });
        snapshot.state = state;
        snapshot.options = options;
        snapshot.window = window;
        (snapshot.receive.end, snapshot.receive.bytes) = (Seq(ends[0]), received);
        (snapshot.send.end, snapshot.send.bytes) = (Seq(ends[1]), sent);
        (snapshot.send.unsent, snapshot.send.fin_unsent) = (unsent, fin_unsent);
        [snapshot.shutdown_read, snapshot.reuse_address, snapshot.nonblocking] = flags;
        snapshot.pending_error = pending_error;
        [snapshot.buffers.send, snapshot.buffers.receive] = buffers;
        snapshot.buffers.locks = locks;
        let it = &mut snapshot.path;
        [it.rtt, it.rttvar, it.rto, it.cwnd, it.ssthresh, it.mtu] = path;
        snapshot.socket_options = socket_options;
        snapshot.filter = filter;
        snapshot.unsaved = unsaved;
        snapshot.link = link;
        snapshot
    }
}

/// Reads it; what is read, is written and read again as it is.
fn settles(image: &[u8]) -> std::result::Result<(), TestCaseError> {
    if let Ok(read) = Snapshot::from_image(image) {
        prop_assert_eq!(Snapshot::from_image(&read.to_image()), Ok(read));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_snapshot_comes_back_as_it_was(snapshot in snapshot()) {
        let read = Snapshot::from_image(&snapshot.to_image());
        // Queues are printed as their lengths: compared by themselves, so that a difference is seen.
        let bytes = read.clone().map(|read| (read.receive.bytes, read.send.bytes));
        prop_assert_eq!(bytes, Ok((snapshot.receive.bytes.clone(), snapshot.send.bytes.clone())));
        prop_assert_eq!(read, Ok(snapshot));
    }

    #[test]
    fn any_changed_byte_is_noticed(
        snapshot in snapshot(),
        at in any::<prop::sample::Index>(),
        mask in 1..=u8::MAX,
    ) {
        let mut image = snapshot.to_image();
        let at = at.index(image.len());
        image[at] ^= mask;
        prop_assert!(Snapshot::from_image(&image).is_err());
    }

    #[test]
    fn any_cut_is_noticed(snapshot in snapshot(), at in any::<prop::sample::Index>()) {
        let image = snapshot.to_image();
        prop_assert!(Snapshot::from_image(&image[..at.index(image.len())]).is_err());
    }

    #[test]
    fn an_image_that_was_changed_with_its_checksum_is_read_or_refused(
        snapshot in snapshot(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut image = snapshot.to_image();
        for (at, byte) in changes {
            let at = at.index(image.len());
            image[at] = byte;
        }
        seal(&mut image);
        settles(&image)?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in vec(any::<u8>(), 0..200),
        values in vec((0..16_u16, 0..2_u16, vec(any::<u8>(), 0..40)), 0..16),
    ) {
        prop_assert!(Snapshot::from_image(&bytes).is_err());
        settles(&image(&[bytes]))?;
        let mut values = values;
        values.sort_by_key(|(tag, ..)| *tag);
        let records: Vec<_> = values.iter().map(|(tag, flags, value)| record(*tag, *flags, value)).collect();
        settles(&image(&records))?;
    }
}

#[test]
fn losses_that_are_made_by_hand_are_read() {
    assert_eq!(
        losses(&[(1, "a"), (11, "b")]).map(|losses| losses.len()),
        Ok(2)
    );
    assert_eq!(nobody().unsaved, []);
}
