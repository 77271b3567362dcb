//! CRIU's own tool for images reads what we write, and we read what it writes.
//!
//! The tool is in Debian's packages `criu` or `python3-pycriu`. What PyPI calls crit is something else.

use crate::golden::Dump;
use crate::{OptionalCase, properties};
use libtest_mimic::{Completion, Failed};
use serde_json::{Value, json};
use soccr::criu::{FilesImage, Images, InetSkImage, TcpStreamImage};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

pub(crate) const CASES: &[OptionalCase] = &[
    ("crit/it_decodes_what_we_write", || with_crit(decodes)),
    ("crit/it_writes_what_we_wrote_once_more", || {
        with_crit(writes_again)
    }),
    ("crit/we_read_what_it_encodes", || with_crit(encodes)),
    ("crit/it_reads_what_criu_dumped_as_we_do", || {
        with_crit(dumps)
    }),
];

/// Runs a test if there is a crit, and says why not if there is none.
fn with_crit(test: fn(&Crit) -> Result<(), Failed>) -> Result<Completion, Failed> {
    let help = match Command::new("crit").arg("--help").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Completion::ignored_with(
                "there is no crit here: apt-get install criu (python3-pycriu from Debian 13 on)",
            ));
        }
        help => help?,
    };
    let said = String::from_utf8_lossy(&help.stdout);
    if !said.contains("CRiu Image Tool") {
        let why = String::from_utf8_lossy(&help.stderr);
        let why = why
            .lines()
            .last()
            .unwrap_or("it does not say that it is CRIU's")
            .to_owned();
        return Ok(Completion::ignored_with(format!(
            "the crit here cannot be used: {why}"
        )));
    }
    let folder = tempfile::tempdir()?;
    test(&Crit {
        folder: folder.path(),
    })?;
    Ok(Completion::Completed)
}

struct Crit<'a> {
    folder: &'a Path,
}

impl Crit<'_> {
    /// What it makes of an image.
    fn decode(&self, image: &[u8]) -> Result<Value, Failed> {
        Ok(serde_json::from_slice(&self.run("decode", image)?)?)
    }

    /// The image that it makes of a description.
    fn encode(&self, description: &Value) -> Result<Vec<u8>, Failed> {
        self.run("encode", description.to_string().as_bytes())
    }

    fn run(&self, what: &str, input: &[u8]) -> Result<Vec<u8>, Failed> {
        let [from, to] = ["in", "out"].map(|name| self.folder.join(name));
        fs::write(&from, input)?;
        let mut crit = Command::new("crit");
        crit.arg(what).arg("-i").arg(&from).arg("-o").arg(&to);
        let output = crit.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("crit {what}: {}: {said}", output.status).into());
        }
        Ok(fs::read(&to)?)
    }
}

/// Compares the fields that we set with those that crit names.
fn assert_fields(found: &Value, wanted: &[(&str, Value)]) {
    for (field, wanted) in wanted {
        assert_eq!(found[field], *wanted, "{field} of {found}");
    }
}

fn decodes(crit: &Crit) -> Result<(), Failed> {
    for images in properties::samples()? {
        let socket = images.socket.message();
        let files = crit.decode(&images.files().to_bytes())?;
        assert_eq!(files["magic"], "FILES");
        let file = &files["entries"][0];
        assert_fields(file, &[("type", json!("INETSK")), ("id", json!(socket.id))]);
        assert_fields(
            &file["isk"],
            &[
                ("ino", json!(socket.ino)),
                ("family", json!(socket.family)),
                ("type", json!(1)),
                ("proto", json!(6)),
                ("state", json!(socket.state)),
                ("src_port", json!(socket.src_port)),
                ("dst_port", json!(socket.dst_port)),
                ("flags", json!(socket.flags)),
                ("src_addr", json!(socket.src_addr)),
                ("dst_addr", json!(socket.dst_addr)),
            ],
        );
        let opts = &socket.opts;
        assert_fields(
            &file["isk"]["opts"],
            &[
                ("so_sndbuf", json!(opts.so_sndbuf)),
                ("so_rcvbuf", json!(opts.so_rcvbuf)),
                ("so_rcv_tmo_sec", json!(opts.so_rcv_tmo_sec)),
                ("so_rcv_tmo_usec", json!(opts.so_rcv_tmo_usec)),
                ("reuseaddr", json!(opts.reuseaddr)),
                ("so_mark", json!(opts.so_mark)),
                ("so_keepalive", json!(opts.so_keepalive)),
                ("tcp_keepidle", json!(opts.tcp_keepidle)),
            ],
        );
        let inetsk = crit.decode(&images.inetsk().to_bytes())?;
        assert_eq!(inetsk["magic"], "INETSK");
        assert_eq!(inetsk["entries"][0], file["isk"]);
        if let Some(stream) = &images.stream {
            let found = crit.decode(&stream.to_bytes())?;
            assert_eq!(found["magic"], "TCP_STREAM");
            assert_stream(&found, stream);
        }
    }
    Ok(())
}

fn assert_stream(found: &Value, stream: &TcpStreamImage) {
    let entries = found["entries"].as_array();
    assert_eq!(entries.map(Vec::len), Some(1), "{found}");
    let entry = &found["entries"][0];
    let message = stream.entry().message();
    assert_fields(
        entry,
        &[
            ("inq_len", json!(message.inq_len)),
            ("inq_seq", json!(message.inq_seq)),
            ("outq_len", json!(message.outq_len)),
            ("outq_seq", json!(message.outq_seq)),
            ("opt_mask", json!(message.opt_mask)),
            ("snd_wscale", json!(message.snd_wscale)),
            ("rcv_wscale", json!(message.rcv_wscale)),
            ("mss_clamp", json!(message.mss_clamp)),
            ("timestamp", json!(message.timestamp)),
            ("cork", json!(message.cork)),
            ("nodelay", json!(message.nodelay)),
            ("unsq_len", json!(message.unsq_len)),
            ("snd_wl1", json!(message.snd_wl1)),
            ("snd_wnd", json!(message.snd_wnd)),
            ("max_window", json!(message.max_window)),
            ("rcv_wnd", json!(message.rcv_wnd)),
            ("rcv_wup", json!(message.rcv_wup)),
        ],
    );
    for (queue, bytes) in [("inq", stream.receive()), ("outq", stream.send())] {
        let text = entry["extra"][queue].as_str().unwrap_or_default();
        assert!(base64(text) == bytes, "{queue} of {found}");
    }
}

/// The bytes that base64 stands for (RFC 4648, section 4).
fn base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<_> = text.bytes().filter_map(digit).collect();
    let group = |digits: &[u8]| {
        let bits = (0..4).fold(0, |bits, at| {
            bits << 6 | u32::from(*digits.get(at).unwrap_or(&0))
        });
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}

/// Both order and encode fields alike, as long as crit knows them all.
fn writes_again(crit: &Crit) -> Result<(), Failed> {
    for images in properties::samples()? {
        let Some(stream) = images.stream else {
            continue;
        };
        let ours = stream.to_bytes();
        assert!(crit.encode(&crit.decode(&ours)?)? == ours);
    }
    Ok(())
}

/// A connection with data in flight, as nobody but crit has written it.
fn encodes(crit: &Crit) -> Result<(), Failed> {
    let stream = crit.encode(&json!({ "magic": "TCP_STREAM", "entries": [{
        "inq_len": 5, "inq_seq": 3, "outq_len": 4, "outq_seq": 4294967295_u32, "opt_mask": "0x5",
        "snd_wscale": 7, "mss_clamp": 1448, "rcv_wscale": 9, "timestamp": 1001, "nodelay": true, "unsq_len": 1,
        "extra": { "inq": "aGVsbG8=\n", "outq": "d29ybA==\n" },
    }]}))?;
    let zeros = json!({ "uid": 0, "euid": 0, "signum": 0, "pid_type": 0, "pid": 0 });
    let socket = json!({
        "id": 1, "ino": 0x4711, "family": "INET6", "type": "STREAM", "proto": "TCP", "state": "CLOSE_WAIT",
        "src_port": 80, "dst_port": 40000, "flags": "0x802", "backlog": 0,
        "src_addr": ["2001:db8::1"], "dst_addr": ["2001:db8::2"], "fown": zeros,
        "opts": { "so_sndbuf": 1, "so_rcvbuf": 2, "so_snd_tmo_sec": 0, "so_snd_tmo_usec": 0,
                  "so_rcv_tmo_sec": 0, "so_rcv_tmo_usec": 0, "so_filter": [1688854155231231_u64] },
    });
    let inetsk = crit.encode(&json!({ "magic": "INETSK", "entries": [socket] }))?;
    let inetsk = InetSkImage::from_bytes(&inetsk)?;
    let file = json!({ "type": "INETSK", "id": 1, "isk": socket });
    let files = crit.encode(&json!({ "magic": "FILES", "entries": [file] }))?;
    let files = FilesImage::from_bytes(&files)?;
    assert!(files.sockets().eq(inetsk.entries.iter().cloned()));
    let images = Images {
        socket: inetsk.entries[0].clone(),
        stream: Some(TcpStreamImage::from_bytes(&stream)?),
    };
    assert_eq!(images.stream_name(), "tcp-stream-4711.img");
    let snapshot = soccr::Snapshot::from_criu(&images)?;
    assert_eq!(snapshot.state, soccr::TcpState::CloseWait);
    assert_eq!(snapshot.endpoints.local, "[2001:db8::1]:80".parse()?);
    assert_eq!(snapshot.endpoints.remote, "[2001:db8::2]:40000".parse()?);
    assert_eq!(snapshot.receive.bytes, b"hello");
    // Five bytes before the FIN, which is number 2.
    assert_eq!(
        (snapshot.receive.start().0, snapshot.receive.end.0),
        (4294967293, 2)
    );
    assert_eq!(
        (snapshot.send.sent(), snapshot.send.unsent()),
        (&b"wor"[..], &b"l"[..])
    );
    assert_eq!(snapshot.window, None);
    assert!(snapshot.nonblocking && !snapshot.options.sack);
    Ok(())
}

fn dumps(crit: &Crit) -> Result<(), Failed> {
    for (name, dump) in Dump::all() {
        let dump = dump?;
        let images = dump.images()?;
        let stream = images.stream.ok_or("no stream")?;
        assert_stream(&crit.decode(&dump.stream)?, &stream);
        let files = crit.decode(&dump.files)?;
        let is_socket = |file: &&Value| file["type"] == "INETSK";
        let sockets = files["entries"].as_array().ok_or("no entries")?.iter();
        let socket = images.socket.message();
        let found = sockets.clone().find(is_socket).ok_or("no socket")?;
        assert_eq!(found["isk"]["src_addr"], json!(socket.src_addr), "{name}");
        assert_eq!(found["isk"]["state"], json!(socket.state), "{name}");
        assert_eq!(sockets.filter(is_socket).count(), 1, "{name}");
    }
    Ok(())
}
