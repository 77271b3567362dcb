//! The link: its MTU, and what it does on behalf of TCP.

use crate::Case;
use lab::{CaptureOptions, Checksum, Direction, Error, Family, Pair, Trace};
use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::thread;

pub(crate) const CASES: &[Case] = &[
    ("offload/the_mtu_is_as_asked", the_mtu_is_as_asked),
    (
        "offload/an_impossible_mtu_is_refused",
        an_impossible_mtu_is_refused,
    ),
    (
        "offload/on_it_leaves_segments_to_cut",
        on_it_leaves_segments_to_cut,
    ),
    (
        "offload/what_is_to_be_cut_is_as_large_as_asked",
        what_is_to_be_cut_is_as_large_as_asked,
    ),
    (
        "offload/off_every_packet_is_finished",
        off_every_packet_is_finished,
    ),
];

/// The length of an Ethernet header, in bytes.
const ETHERNET: u32 = 14;

fn the_mtu_is_as_asked() -> Result<(), Failed> {
    for mtu in [1280, 1500, 9000, 65_535] {
        let pair = Pair::builder().mtu(mtu).build()?;
        for host in pair.hosts() {
            assert_eq!(host.mtu(), mtu);
            assert_eq!(
                host.read_sysctl("net.ipv6.conf.veth0.mtu")?,
                mtu.to_string()
            );
        }
        let capture = pair.b().capture()?;
        for (family, headers) in [(Family::V4, 20 + 20), (Family::V6, 40 + 20)] {
            let connection = pair.connection(family).open()?;
            let trace = capture.trace()?;
            let syn = trace.first_syn(&connection.flow()).ok_or("a SYN")?;
            assert_eq!(syn.mss().map(u32::from), Some(mtu - headers), "{family}");
        }
    }
    Ok(())
}

fn an_impossible_mtu_is_refused() -> Result<(), Failed> {
    for mtu in [0, 1279, 65_536, u32::MAX] {
        let built = Pair::builder().mtu(mtu).build().map(|_| ());
        assert!(
            matches!(
                built,
                Err(Error::Invalid {
                    what: "the MTU",
                    ..
                })
            ),
            "{built:?}"
        );
    }
    Ok(())
}

/// What a megabyte from host a to host b looks like at either end.
fn bulk(pair: &Pair, options: CaptureOptions) -> Result<[Trace; 2], Failed> {
    const LENGTH: usize = 1 << 20;
    let captures = [
        pair.a().capture_with(options)?,
        pair.b().capture_with(options)?,
    ];
    let mut connection = pair.connection(Family::V4).open()?;
    thread::scope(|scope| {
        let client = &mut connection.client;
        let sender = scope.spawn(move || client.write_all(&vec![7; LENGTH]));
        let mut received = vec![0; LENGTH];
        connection.server.read_exact(&mut received)?;
        assert!(received.iter().all(|&byte| byte == 7));
        sender.join().map_err(|_| "the sender panicked")??;
        let [a, b] = &captures;
        Ok([a.trace()?, b.trace()?])
    })
}

fn on_it_leaves_segments_to_cut() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let traces = bulk(&pair, CaptureOptions::whole_frames())?;
    for trace in &traces {
        let large = trace.filter(|it| it.original_len > pair.a().mtu() + ETHERNET);
        assert!(!large.is_empty(), "{trace}");
        assert!(
            large
                .packets()
                .all(|it| it.gso && it.checksum == Checksum::Partial)
        );
        for packet in large.packets() {
            assert_eq!(packet.bytes.len(), packet.original_len as usize, "whole");
            let segment = packet.segment().ok_or("a segment")?;
            assert_eq!(segment.payload.len(), segment.payload_len as usize);
        }
    }
    // Otherwise a capture keeps the headers at least, and says how long the packet was.
    let [trace, _] = bulk(&pair, CaptureOptions::default())?;
    let cut = trace.filter(|it| it.bytes.len() < it.original_len as usize);
    assert!(!cut.is_empty());
    assert!(
        cut.segments()
            .all(|it| it.payload.len() < it.payload_len as usize)
    );
    Ok(())
}

fn what_is_to_be_cut_is_as_large_as_asked() -> Result<(), Failed> {
    const SIZE: u32 = 8000;
    let largest = |pair: &Pair| {
        let traces = bulk(pair, CaptureOptions::default())?;
        let lengths = traces.iter().map(|trace| {
            let lengths = trace.packets().map(|it| it.original_len - ETHERNET);
            lengths.max().ok_or("a packet")
        });
        Ok::<_, Failed>(lengths.collect::<Result<Vec<_>, _>>()?)
    };
    let pair = Pair::builder().gso_max_size(SIZE).build()?;
    for length in largest(&pair)? {
        assert!((pair.a().mtu() + 1..=SIZE).contains(&length), "{length}");
    }
    for length in largest(&Pair::new()?)? {
        assert!(length > SIZE, "{length}");
    }
    for size in [0, 1499, 65_537] {
        let built = Pair::builder().gso_max_size(size).build().map(drop);
        let refused = matches!(&built, Err(Error::Invalid { value, .. }) if *value == format!("{size} bytes"));
        assert!(refused, "{built:?}");
    }
    Ok(())
}

fn off_every_packet_is_finished() -> Result<(), Failed> {
    for mtu in [1280, 1500] {
        let pair = Pair::builder().offload(false).mtu(mtu).build()?;
        for trace in bulk(&pair, CaptureOptions::default())? {
            let data = trace.filter(|it| it.segment().is_some_and(|it| it.payload_len > 0));
            assert!(data.len() > 700, "{}", data.len());
            for packet in trace.packets() {
                assert!(packet.original_len <= mtu + ETHERNET && !packet.gso);
                if packet.segment().is_some() {
                    assert_eq!(packet.checksum, Checksum::Valid, "{:?}", packet.direction);
                }
            }
            let either = [Direction::Ingress, Direction::Egress];
            assert!(
                either
                    .into_iter()
                    .all(|way| trace.packets().any(|it| it.direction == way))
            );
        }
    }
    Ok(())
}
