//! What CRIU 4.2.1 has dumped, on Linux 6.18.

use crate::Case;
use libtest_mimic::Failed;
use soccr::criu::{Entry, FileEntry, FilesImage, Images, InetSkImage, SocketId, TcpStreamImage};
use soccr::raw::Opt;
use soccr::{Instruction, Lost, Seq, Snapshot, SocketOption, TcpState, WindowScale};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const CASES: &[Case] = &[
    ("golden/it_is_written_as_it_was_read", written_as_read),
    ("golden/it_is_read_as_what_was_there", read_as_it_was),
    ("golden/ends_of_queues_do_not_count_fins", fins_do_not_count),
    ("golden/options_are_read", options_are_read),
    ("golden/negotiated_ecn_is_a_loss_and_written_again", ecn),
    (
        "golden/a_socket_alone_is_the_same_in_both_files",
        both_files,
    ),
    ("golden/what_a_newer_criu_adds_survives_and_is_named", newer),
    (
        "golden/the_first_version_of_the_format_survives",
        first_format,
    ),
];

/// The state, the length of the send queue and how much of it was never sent, of each dump.
const DUMPS: [(&str, TcpState, usize, u32); 8] = [
    ("established", TcpState::Established, 0, 0),
    ("established-queues-v6", TcpState::Established, 1904, 1904),
    ("close-wait-mapped", TcpState::CloseWait, 0, 0),
    ("fin-wait-2", TcpState::FinWait2, 0, 0),
    ("fin-wait-1-unsent", TcpState::FinWait1, 1904, 1904),
    ("closed-v6", TcpState::Close, 0, 0),
    ("syn-sent", TcpState::SynSent, 0, 0),
    ("options", TcpState::Established, 1904, 1904),
];

/// The files of one dump.
pub(crate) struct Dump {
    pub(crate) files: Vec<u8>,
    pub(crate) stream: Vec<u8>,
    stream_name: String,
}

impl Dump {
    pub(crate) fn read(name: &str) -> Result<Self, Failed> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/criu/images");
        let mut found = Vec::new();
        for file in fs::read_dir(folder.join(name))? {
            found.push(file?.path());
        }
        let named = |start: &str| -> Result<PathBuf, Failed> {
            let of_name = |path: &&PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(start))
            };
            Ok(found.iter().find(of_name).ok_or("no such file")?.clone())
        };
        let stream = named("tcp-stream-")?;
        let stream_name = stream.file_name().ok_or("no name")?.to_string_lossy();
        Ok(Self {
            files: fs::read(named("files.img")?)?,
            stream_name: stream_name.into_owned(),
            stream: fs::read(&stream)?,
        })
    }

    pub(crate) fn all() -> impl Iterator<Item = (&'static str, Result<Self, Failed>)> {
        DUMPS.iter().map(|(name, ..)| (*name, Self::read(name)))
    }

    pub(crate) fn images(&self) -> Result<Images, Failed> {
        let files = FilesImage::from_bytes(&self.files)?;
        let [socket] = &files.sockets().collect::<Vec<_>>()[..] else {
            return Err("not one socket".into());
        };
        Ok(Images {
            socket: socket.clone(),
            stream: Some(TcpStreamImage::from_bytes(&self.stream)?),
        })
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Failed> {
        Ok(Snapshot::from_criu(&self.images()?)?)
    }
}

fn written_as_read() -> Result<(), Failed> {
    for (name, dump) in Dump::all() {
        let dump = dump?;
        let files = FilesImage::from_bytes(&dump.files)?;
        assert!(files.to_bytes() == dump.files, "{name}");
        let stream = TcpStreamImage::from_bytes(&dump.stream)?;
        assert!(stream.to_bytes() == dump.stream, "{name}");
        // CRIU orders fields as we do: what it writes and we know is also what we make of it.
        let remade = Entry::new(stream.entry().message().clone());
        assert_eq!(remade.as_bytes(), stream.entry().as_bytes(), "{name}");
        let images = dump.images()?;
        let remade = Entry::new(images.socket.message().clone());
        assert_eq!(remade.as_bytes(), images.socket.as_bytes(), "{name}");
        assert!(images.socket.unknown().is_empty() && stream.entry().unknown().is_empty());
    }
    Ok(())
}

fn read_as_it_was() -> Result<(), Failed> {
    for (name, state, length, unsent) in DUMPS {
        let dump = Dump::read(name)?;
        let images = dump.images()?;
        assert_eq!(images.stream_name(), dump.stream_name, "{name}");
        let snapshot = Snapshot::from_criu(&images)?;
        assert_eq!(snapshot.state, state, "{name}");
        assert_eq!(snapshot.send.bytes.len(), length, "{name}");
        assert_eq!(snapshot.send.unsent, unsent, "{name}");
        assert_eq!(
            snapshot.send.fin_unsent,
            name == "fin-wait-1-unsent",
            "{name}"
        );
        // The peer has said this, unless there is none yet; what we said counts to 250 again and again.
        if state != TcpState::SynSent {
            assert_eq!(snapshot.receive.bytes, b"hello from the peer", "{name}");
            assert_eq!(
                snapshot.rcv_nxt(),
                snapshot.receive.start() + 19 + fin(state)
            );
        }
        let steps = snapshot.send.bytes.windows(2);
        assert!(
            steps.into_iter().all(|it| (it[0] + 1) % 251 == it[1]),
            "{name}"
        );
        let endpoints = snapshot.endpoints;
        assert_eq!(endpoints.is_v4_mapped(), name == "close-wait-mapped");
        assert!(endpoints.local.ip().to_canonical().is_loopback(), "{name}");
        assert_eq!(snapshot.window.is_some(), state.is_synchronized(), "{name}");
        assert_eq!(
            snapshot.buffers.locks,
            Some(if name == "options" { 2 } else { 0 })
        );
        assert!(!snapshot.shutdown_read, "{name}");
        assert_eq!(snapshot.unsaved, [], "{name}");
    }
    let syn_sent = Dump::read("syn-sent")?.snapshot()?;
    assert_eq!(syn_sent.endpoints.remote, "10.255.0.9:4751".parse()?);
    let numbers = Dump::read("established")?.snapshot()?;
    assert_eq!(numbers.endpoints.local, "127.0.0.1:36014".parse()?);
    assert_eq!(numbers.options.mss_clamp, 65495);
    assert_eq!(
        numbers.options.window_scale,
        Some(WindowScale { snd: 0, rcv: 10 })
    );
    let clock = numbers.options.timestamps.ok_or("no timestamps")?;
    assert_eq!((clock.value, clock.microseconds), (3838845844, false));
    let window = numbers.window.ok_or("no window")?;
    assert_eq!((window.snd_wl1, window.rcv_wnd), (Seq(1492167308), 65536));
    Ok(())
}

fn fin(state: TcpState) -> u32 {
    u32::from(state.has_peer_fin())
}

fn fins_do_not_count() -> Result<(), Failed> {
    let numbers = |name: &str| {
        let dump = Dump::read(name)?;
        let stream = TcpStreamImage::from_bytes(&dump.stream)?;
        Ok::<_, Failed>((stream.entry().message().clone(), dump.snapshot()?))
    };
    let (image, snapshot) = numbers("close-wait-mapped")?;
    assert_eq!(snapshot.receive.end + 1, Seq(image.inq_seq));
    assert_eq!(snapshot.send.end, Seq(image.outq_seq));
    let (image, snapshot) = numbers("fin-wait-1-unsent")?;
    assert_eq!(snapshot.receive.end, Seq(image.inq_seq));
    assert_eq!(snapshot.send.end + 1, Seq(image.outq_seq));
    assert_eq!(
        snapshot.send.start() + image.outq_len + 1,
        Seq(image.outq_seq)
    );
    Ok(())
}

fn options_are_read() -> Result<(), Failed> {
    let snapshot = Dump::read("options")?.snapshot()?;
    let int = |option, value: i32| SocketOption {
        option,
        value: value.to_ne_bytes().to_vec(),
    };
    let linger = [1_i32, 9].map(i32::to_ne_bytes).concat();
    let time = [3_i64, 252_000].map(i64::to_ne_bytes).concat();
    let wanted = [
        int(Opt::IP_FREEBIND, 1),
        SocketOption {
            option: Opt::SO_BINDTODEVICE,
            value: b"lo\0".to_vec(),
        },
        int(Opt::SO_MARK, 5),
        int(Opt::IP_TOS, 0x20),
        int(Opt::SO_PRIORITY, 0),
        int(Opt::IP_TTL, 64),
        int(Opt::TCP_KEEPIDLE, 77),
        int(Opt::TCP_KEEPINTVL, 7),
        int(Opt::TCP_KEEPCNT, 3),
        int(Opt::SO_KEEPALIVE, 1),
        int(Opt::SO_OOBINLINE, 1),
        SocketOption {
            option: Opt::SO_LINGER,
            value: linger,
        },
        int(Opt::SO_RCVLOWAT, 2),
        SocketOption {
            option: Opt::SO_RCVTIMEO,
            value: time,
        },
        int(Opt::TCP_NODELAY, 1),
    ];
    assert_eq!(snapshot.socket_options, wanted);
    assert!(snapshot.reuse_address && snapshot.nonblocking && !snapshot.filter.locked);
    let program = [Instruction {
        code: 6,
        k: u32::MAX,
        ..Instruction::default()
    }];
    assert_eq!(snapshot.filter.program, program);
    // The two low bits are ECN's, which the kernel sets.
    for (tos, wanted) in [(0x22, Some(0x20)), (2, None)] {
        let mut images = Dump::read("options")?.images()?;
        let mut socket = images.socket.message().clone();
        socket.ip_opts.get_or_insert_default().tos = Some(tos);
        images.socket = Entry::new(socket);
        let options = Snapshot::from_criu(&images)?.socket_options;
        let found = options.iter().find(|it| it.option == Opt::IP_TOS);
        assert_eq!(found.cloned(), wanted.map(|tos| int(Opt::IP_TOS, tos)));
    }
    Ok(())
}

fn ecn() -> Result<(), Failed> {
    let images = Dump::read("established")?.images()?;
    let stream = images.stream.as_ref().ok_or("no stream")?;
    let mut message = stream.entry().message().clone();
    message.opt_mask |= u32::from(soccr::raw::TCPI_OPT_ECN);
    let mask = message.opt_mask;
    let stream = TcpStreamImage::new(message, stream.receive().to_vec(), Vec::new())?;
    let images = Images {
        stream: Some(stream),
        ..images
    };
    let snapshot = Snapshot::from_criu(&images)?;
    let lost: Vec<_> = snapshot.unsaved.iter().map(|loss| loss.what).collect();
    assert_eq!(lost, [Lost::Ecn]);
    let (images, losses) = snapshot.to_criu(SocketId::default())?;
    assert_eq!(losses, []);
    let stream = images.stream.ok_or("no stream")?;
    assert_eq!(stream.entry().message().opt_mask, mask);
    Ok(())
}

fn both_files() -> Result<(), Failed> {
    let images = Dump::read("options")?.images()?;
    let files = FilesImage::from_bytes(&images.files().to_bytes())?;
    let [socket] = &files.sockets().collect::<Vec<_>>()[..] else {
        return Err("not one socket".into());
    };
    assert_eq!(*socket, images.socket);
    let inetsk = InetSkImage::from_bytes(&images.inetsk().to_bytes())?;
    assert_eq!(inetsk.entries, [images.socket]);
    Ok(())
}

/// An encoded field: its number, and a varint below 128.
fn varint(number: u8, value: u8) -> Vec<u8> {
    // Numbers from 16 on have a key of two bytes.
    let key = u32::from(number) << 3;
    vec![key as u8 | 0x80, (key >> 7) as u8, value]
}

fn newer() -> Result<(), Failed> {
    let dump = Dump::read("established")?;
    let images = dump.images()?;
    // The fields of the stream backwards, a new one in front, a known one again behind: no CRIU writes that.
    let known = images.stream.as_ref().ok_or("no stream")?.entry().message();
    let mut encoded = varint(30, 7);
    encoded.extend([0x38, 1, 0x30, 0]);
    let fields = Entry::new(known.clone());
    encoded.extend(fields.as_bytes());
    encoded.extend([0x38, 0x94, 0x0a]);
    let queue = &dump.stream[dump.stream.len() - 19..];
    let length = u32::try_from(encoded.len())?.to_le_bytes();
    let file = [&dump.stream[..8], &length, &encoded, queue].concat();
    let stream = TcpStreamImage::from_bytes(&file)?;
    assert!(stream.to_bytes() == file);
    assert_eq!(stream.entry().unknown(), ["30"]);
    assert_eq!(stream.entry().message().mss_clamp, 1300);
    // A new option within the socket within the file, beside a kind of file that is not looked into.
    let opts = Entry::new(images.socket.message().clone());
    let mut socket = opts.as_bytes().to_vec();
    // The options once more, with a field of their own: both are merged.
    socket.extend([0x72, 3]);
    socket.extend(varint(26, 1));
    let mut file = varint(99, 1);
    file.extend([0x08, 4, 0x10, 11, 0xa2, 0x01, 0]);
    file.extend([
        0x22,
        0x80 | (socket.len() & 0x7f) as u8,
        (socket.len() >> 7) as u8,
    ]);
    file.extend(&socket);
    let file: Entry<FileEntry> = Entry::from_bytes(&file)?;
    assert_eq!(file.unknown(), ["99", "20", "isk.opts.26"]);
    let socket = file.socket()?.ok_or("no socket")?;
    assert_eq!(socket.unknown(), ["opts.26"]);
    let files = FilesImage {
        entries: vec![file],
        ..FilesImage::default()
    };
    let bytes = files.to_bytes();
    assert!(FilesImage::from_bytes(&bytes)?.to_bytes() == bytes);
    // In a snapshot it is a loss, by name.
    let newer = Images {
        socket,
        stream: Some(stream),
    };
    let snapshot = Snapshot::from_criu(&newer)?;
    let [loss] = &snapshot.unsaved[..] else {
        return Err(format!("{:?}", snapshot.unsaved).into());
    };
    assert_eq!(loss.what, Lost::SocketOption);
    assert!(loss.detail.ends_with(": opts.26, 30"), "{loss}");
    Ok(())
}

fn first_format() -> Result<(), Failed> {
    for (name, dump) in Dump::all() {
        let dump = dump?;
        let (files, stream) = (&dump.files[4..], &dump.stream[4..]);
        assert!(FilesImage::from_bytes(files)?.to_bytes() == files, "{name}");
        assert!(
            TcpStreamImage::from_bytes(stream)?.to_bytes() == stream,
            "{name}"
        );
    }
    Ok(())
}
