//! What CRIU's images can hold comes back from them, whatever it is.

use crate::Case;
use crate::golden::Dump;
use crate::snapshots::snapshots;
use libtest_mimic::Failed;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use soccr::criu::{FilesImage, Images, SocketId, TcpStreamImage};
use soccr::raw::Opt;
use soccr::{Endpoints, Lost, PendingError, Snapshot, SocketOption, TcpState};

pub(crate) const CASES: &[Case] = &[
    ("properties/what_criu_can_hold_comes_back", comes_back),
    ("properties/what_criu_cannot_hold_is_named", named),
    (
        "properties/changed_bytes_are_refused_or_kept",
        changed_bytes,
    ),
];

const ID: SocketId = SocketId {
    id: 7,
    ino: 0xbeef,
    ns_id: Some(2),
};

/// The same cases each time.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// A few images of ours, for those who look at them from outside.
pub(crate) fn samples() -> Result<Vec<Images>, Failed> {
    let mut runner = runner(1);
    let mut samples = Vec::new();
    for _ in 0..5 {
        let snapshot = snapshots().new_tree(&mut runner)?.current();
        samples.push(snapshot.to_criu(ID)?.0);
    }
    Ok(samples)
}

fn comes_back() -> Result<(), Failed> {
    runner(2000).run(&snapshots(), |snapshot| {
        let fail = |error: soccr::criu::CriuError| TestCaseError::fail(error.to_string());
        let (images, losses) = snapshot.to_criu(ID).map_err(fail)?;
        prop_assert_eq!(losses, vec![]);
        // Through files, as anybody would.
        let files = FilesImage::from_bytes(&images.files().to_bytes()).map_err(fail)?;
        let stream = images.stream.as_ref().map(TcpStreamImage::to_bytes);
        let stream = stream.map(|it| TcpStreamImage::from_bytes(&it)).transpose();
        let read = Images {
            socket: files
                .sockets()
                .next()
                .ok_or(TestCaseError::fail("no socket"))?,
            stream: stream.map_err(fail)?,
        };
        prop_assert_eq!(&read, &images);
        prop_assert_eq!(Snapshot::from_criu(&read).map_err(fail)?, snapshot);
        Ok(())
    })?;
    Ok(())
}

fn named() -> Result<(), Failed> {
    let mut snapshot = Snapshot::new(Endpoints {
        local: "[fe80::1%3]:80".parse()?,
        remote: "[fe80::2%3]:40000".parse()?,
    });
    snapshot.options.mss_clamp = 1440;
    let mut linked = snapshot.clone();
    linked.buffers.send = 1;
    linked.buffers.receive = 1;
    linked.link = Some("eth0".to_owned());
    let (images, losses) = linked.to_criu(ID)?;
    assert_eq!(losses, []);
    let message = images.socket.message();
    for name in [&message.ifname, &message.opts.so_bound_dev] {
        assert_eq!(name.as_deref(), Some(&b"eth0"[..]));
    }
    let read = Snapshot::from_criu(&images)?;
    assert_eq!((read.link, read.socket_options), (linked.link, vec![]));
    // Everything that has no place, each by its name.
    snapshot.state = TcpState::FinWait1;
    snapshot.send.fin_unsent = true;
    snapshot.pending_error = Some(PendingError::Errno(104));
    snapshot.filter.locked = true;
    snapshot.path.cwnd = 10;
    let user_timeout = SocketOption {
        option: Opt::TCP_USER_TIMEOUT,
        value: vec![1, 0, 0, 0],
    };
    let linger = SocketOption {
        option: Opt::SO_LINGER,
        value: vec![0, 0, 0, 0, 5, 0, 0, 0],
    };
    let tos = SocketOption {
        option: Opt::IP_TOS,
        value: vec![0x20, 0, 0, 0],
    };
    snapshot.socket_options = vec![user_timeout, linger, tos];
    let mut losses = snapshot.to_criu(ID)?.1;
    for (what, word) in [
        (Lost::PendingError, "reset"),
        (Lost::State, "FIN"),
        (Lost::SocketOption, "SO_LOCK_FILTER"),
        (Lost::Path, "learned"),
        (Lost::SocketOption, "scope"),
        (Lost::SocketOption, "SO_SNDBUF"),
        (Lost::SocketOption, "SO_RCVBUF"),
        (Lost::SocketOption, "TCP_USER_TIMEOUT"),
        (Lost::SocketOption, "SO_LINGER"),
        (Lost::SocketOption, "IP_TOS"),
    ] {
        let at = losses
            .iter()
            .position(|loss| loss.what == what && loss.detail.contains(word));
        losses.remove(at.ok_or_else(|| format!("{word} is not in {losses:?}"))?);
    }
    assert_eq!(losses, []);
    Ok(())
}

/// Whatever is read is written as it was, and what a snapshot is made of is one.
fn changed_bytes() -> Result<(), Failed> {
    let dumps: Vec<_> = Dump::all()
        .map(|(_, dump)| dump)
        .collect::<Result<_, _>>()?;
    let changes = (
        0..dumps.len(),
        any::<bool>(),
        vec((any::<u16>(), any::<u8>()), 1..4),
    );
    runner(4000).run(&changes, |(which, in_stream, changes)| {
        let dump = &dumps[which];
        let mut file = if in_stream { &dump.stream } else { &dump.files }.clone();
        for (at, byte) in changes {
            let at = usize::from(at) % file.len();
            file[at] = byte;
        }
        let mut images = dump
            .images()
            .map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        if in_stream {
            let Ok(stream) = TcpStreamImage::from_bytes(&file) else {
                return Ok(());
            };
            prop_assert_eq!(stream.to_bytes(), file);
            images.stream = Some(stream);
        } else {
            let Ok(files) = FilesImage::from_bytes(&file) else {
                return Ok(());
            };
            prop_assert_eq!(files.to_bytes(), file);
            let Some(socket) = files.sockets().next() else {
                return Ok(());
            };
            images.socket = socket;
        }
        if let Ok(snapshot) = Snapshot::from_criu(&images) {
            let refuses = |finding: &soccr::Finding| finding.fate == soccr::Fate::Refused;
            let refused = !snapshot.state.is_carried() || snapshot.lint().iter().any(refuses);
            prop_assert_eq!(snapshot.validate().is_err(), refused);
        }
        Ok(())
    })?;
    Ok(())
}
