//! What no CRIU has written.

use crate::Case;
use crate::golden::Dump;
use libtest_mimic::Failed;
use soccr::criu::{
    CriuError, Entry, FilesImage, Images, InetSkEntry, InetSkImage, SocketId, TcpStreamEntry,
    TcpStreamImage,
};
use soccr::{ErrorKind, Snapshot, Timestamps, Unsupported};

pub(crate) const CASES: &[Case] = &[
    ("hostile/what_was_cut_is_refused", cut),
    ("hostile/what_is_too_long_is_refused", too_long),
    ("hostile/another_kind_of_file_is_refused", another_kind),
    (
        "hostile/a_length_that_is_not_there_takes_no_memory",
        lengths,
    ),
    ("hostile/a_missing_field_is_named", missing),
    ("hostile/a_value_that_cannot_be_is_named", values),
    ("hostile/an_odd_clock_counts_no_microseconds", odd_clock),
];

fn cut() -> Result<(), Failed> {
    for (name, dump) in Dump::all() {
        let dump = dump?;
        for end in 0..dump.stream.len() {
            let refused = TcpStreamImage::from_bytes(&dump.stream[..end]);
            let is_short = matches!(refused, Err(CriuError::Short { .. }));
            assert!(is_short, "{name} {end}: {refused:?}");
        }
        // A file of many messages may end behind each of them.
        let whole = FilesImage::from_bytes(&dump.files)?.entries.len();
        let read =
            (0..dump.files.len()).filter_map(|end| FilesImage::from_bytes(&dump.files[..end]).ok());
        assert_eq!(
            read.map(|it| it.entries.len()).collect::<Vec<_>>(),
            Vec::from_iter(0..whole)
        );
    }
    Ok(())
}

fn too_long() -> Result<(), Failed> {
    let stream = [&Dump::read("options")?.stream[..], &[0]].concat();
    let refused = TcpStreamImage::from_bytes(&stream);
    assert!(
        matches!(refused, Err(CriuError::Trailing { bytes: 1, .. })),
        "{refused:?}"
    );
    Ok(())
}

fn another_kind() -> Result<(), Failed> {
    let dump = Dump::read("established")?;
    for error in [
        TcpStreamImage::from_bytes(&dump.files).err(),
        FilesImage::from_bytes(&dump.stream).err(),
        InetSkImage::from_bytes(&dump.files).err(),
        FilesImage::from_bytes(b"\x7fELF\x02\x01\x01\x00").err(),
    ] {
        let error = error.ok_or("it was read")?;
        assert!(matches!(error, CriuError::Magic { .. }), "{error}");
        assert!(error.to_string().contains("crit decode"), "{error}");
    }
    Ok(())
}

fn lengths() -> Result<(), Failed> {
    let dump = Dump::read("established")?;
    let stream = TcpStreamImage::from_bytes(&dump.stream)?;
    for change in [
        |it: &mut TcpStreamEntry| it.inq_len = u32::MAX,
        |it: &mut TcpStreamEntry| it.outq_len = u32::MAX,
    ] {
        let mut message = stream.entry().message().clone();
        change(&mut message);
        let entry = Entry::new(message);
        let length = u32::try_from(entry.as_bytes().len())?.to_le_bytes();
        let file = [
            &dump.stream[..8],
            &length,
            entry.as_bytes(),
            stream.receive(),
        ]
        .concat();
        let refused = TcpStreamImage::from_bytes(&file);
        let is_short = matches!(refused, Err(CriuError::Short { wanted, .. }) if wanted == u64::from(u32::MAX));
        assert!(is_short, "{refused:?}");
    }
    let file = [&dump.stream[..8], &u32::MAX.to_le_bytes()[..]].concat();
    let refused = TcpStreamImage::from_bytes(&file);
    assert!(
        matches!(refused, Err(CriuError::Short { found: 0, .. })),
        "{refused:?}"
    );
    Ok(())
}

fn missing() -> Result<(), Failed> {
    let refused = Entry::<InetSkEntry>::from_bytes(&[8, 1, 16, 1]).err();
    let said = refused.ok_or("it was read")?.to_string();
    assert_eq!(said, "an image of CRIU: inet_sk_entry lacks family");
    let images = Images {
        stream: None,
        ..Dump::read("established")?.images()?
    };
    let said = refusal(&images)?.to_string();
    assert!(said.contains("tcp-stream-b99aa.img"), "{said}");
    for (change, field) in STREAM_LACKS {
        let error = refusal(&with(*change)?)?;
        let is_it = matches!(error, CriuError::Missing { field: found, .. } if found == *field);
        assert!(is_it, "{field}: {error}");
    }
    Ok(())
}

/// Something changed in the messages of a good dump.
type Change = fn(&mut InetSkEntry, &mut TcpStreamEntry);

const STREAM_LACKS: &[(Change, &str)] = &[
    (|_, it| it.rcv_wscale = None, "rcv_wscale"),
    (|_, it| it.timestamp = None, "timestamp"),
    (|_, it| it.snd_wl1 = None, "snd_wl1"),
    (|_, it| it.max_window = None, "max_window"),
    (|_, it| it.rcv_wnd = None, "rcv_wnd"),
    (|_, it| it.rcv_wup = None, "rcv_wup"),
];

/// A good pair of images with something changed.
fn with(change: impl Fn(&mut InetSkEntry, &mut TcpStreamEntry)) -> Result<Images, Failed> {
    let images = Dump::read("options")?.images()?;
    let stream = images.stream.ok_or("no stream")?;
    let mut messages = (
        images.socket.message().clone(),
        stream.entry().message().clone(),
    );
    change(&mut messages.0, &mut messages.1);
    let (receive, send) = (stream.receive().to_vec(), stream.send().to_vec());
    Ok(Images {
        socket: Entry::new(messages.0),
        stream: Some(TcpStreamImage::new(messages.1, receive, send)?),
    })
}

fn refusal(images: &Images) -> Result<CriuError, Failed> {
    let valid = Snapshot::from_criu(images)
        .and_then(|snapshot| snapshot.validate().map_err(CriuError::Snapshot));
    let refused = valid.err();
    Ok(refused.ok_or_else(|| format!("it was read: {images:?}"))?)
}

const REFUSED: &[(Change, &str)] = &[
    (|it, _| it.kind = 2, "type"),
    (|it, _| it.proto = 262, "proto"),
    (|it, _| it.state = 0, "state"),
    (|it, _| it.state = 257, "state"),
    (|it, _| it.family = 1, "family"),
    (|it, _| it.family = 10, "src_addr"),
    (|it, _| it.src_addr.clear(), "src_addr"),
    (|it, _| it.dst_addr.clear(), "dst_addr"),
    (|it, _| it.src_port = 65536, "src_port"),
    (|it, _| it.dst_port = 65536, "dst_port"),
    (|it, _| it.opts.so_buf_lock = Some(256), "so_buf_lock"),
    (
        |it, _| it.opts.so_bound_dev = Some(vec![b'x'; 16]),
        "so_bound_dev",
    ),
    (|it, _| it.opts.so_rcv_tmo_sec = u64::MAX, "so_rcv_tmo_sec"),
    (
        |it, _| it.opts.so_snd_tmo_usec = 1_000_000,
        "so_snd_tmo_usec",
    ),
    (|_, it| it.unsq_len = Some(1905), "unsq_len"),
    (|_, it| it.mss_clamp = 65536, "mss_clamp"),
    (|_, it| it.snd_wscale = 256, "snd_wscale"),
    (|_, it| it.rcv_wscale = Some(256), "rcv_wscale"),
    // Those that the snapshot's own rules know, by their name there.
    (|_, it| it.snd_wscale = 15, "options.window_scale.snd"),
    (|_, it| it.mss_clamp = 0, "options.mss_clamp"),
    (
        |_, it| {
            it.snd_wnd = Some(1);
            it.max_window = Some(0);
        },
        "window.max_window",
    ),
    (|it, _| it.src_port = 0, "endpoints.local"),
    (|it, _| it.opts.so_sndbuf = u32::MAX, "buffers.send"),
    (|it, _| it.opts.so_buf_lock = Some(4), "buffers.locks"),
    (|it, _| it.state = 2, "send.bytes"),
];

fn values() -> Result<(), Failed> {
    for (change, field) in REFUSED {
        let refusal = match refusal(&with(*change)?)? {
            CriuError::Refused(refusal) => refusal,
            CriuError::Snapshot(error) => match error.kind() {
                ErrorKind::Refused(refusal) => refusal.clone(),
                other => return Err(format!("{field}: {other}").into()),
            },
            other => return Err(format!("{field}: {other}").into()),
        };
        assert_eq!(refusal.field, *field);
    }
    let listening = refusal(&with(|socket, _| socket.state = 10)?)?;
    let CriuError::Snapshot(error) = listening else {
        return Err(listening.to_string().into());
    };
    assert!(
        matches!(error.kind(), ErrorKind::Unsupported(Unsupported::State(_))),
        "{error}"
    );
    // The first versions of CRIU wrote four words where one counts.
    let old = with(|socket, _| socket.src_addr.extend([1, 2, 3]))?;
    assert_eq!(
        Snapshot::from_criu(&old)?.endpoints.local.ip().to_string(),
        "127.0.0.1"
    );
    Ok(())
}

fn odd_clock() -> Result<(), Failed> {
    for (value, micros, written) in [
        (1001, false, 1002),
        (1000, false, 1000),
        (u32::MAX, false, 0),
        (1001, true, 1001),
        (1000, true, 1001),
    ] {
        let bit = u32::from(soccr::raw::TCPI_OPT_USEC_TS);
        let images = with(|_, stream| {
            stream.timestamp = Some(value);
            stream.opt_mask |= if micros { bit } else { 0 };
        })?;
        let snapshot = Snapshot::from_criu(&images)?;
        let read = Timestamps {
            value,
            microseconds: micros,
        };
        assert_eq!(snapshot.options.timestamps, Some(read));
        let (images, _) = snapshot.to_criu(SocketId::default())?;
        let stream = images.stream.ok_or("no stream")?;
        let message = stream.entry().message();
        assert_eq!(message.timestamp, Some(written));
        assert_eq!(message.opt_mask & bit != 0, micros);
    }
    Ok(())
}
