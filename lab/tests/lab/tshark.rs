//! A file for Wireshark, read by Wireshark's own reader.

use crate::OptionalCase;
use lab::wire::{Matcher, Verdict};
use lab::{Direction, Family, Item, Pair, Trace};
use libtest_mimic::{Completion, Failed};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

pub(crate) const CASES: &[OptionalCase] = &[(
    "tshark/it_reads_what_the_lab_writes",
    it_reads_what_the_lab_writes,
)];

/// What is asked about each frame.
const FIELDS: [&str; 4] = [
    "frame.interface_name",
    "frame.packet_flags_direction",
    "frame.time_epoch",
    "frame.comment",
];

/// What the reader says about every frame of a file; `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<Vec<String>>>, Failed> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]);
    tshark.arg(path);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = match tshark.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let said = String::from_utf8(output.stderr)?;
    // Inside a user namespace everybody is root.
    let mut warnings = said.lines().filter(|it| !it.starts_with("Running as user"));
    assert_eq!(warnings.next(), None, "{said}");
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout)?;
    // A number is decimal or not, by the reader's version.
    let field = |it: &str| match it.strip_prefix("0x") {
        Some(number) => number.trim_start_matches('0').to_owned(),
        None => it.to_owned(),
    };
    let fields = |line: &str| line.split('|').map(field).collect();
    Ok(Some(text.lines().map(fields).collect()))
}

/// Interface, direction and time of everything in a trace, as the reader prints them.
fn expected(trace: &Trace) -> Vec<[String; 3]> {
    let line = |item: &Item| {
        let (time, direction) = match item {
            Item::Packet(it) => (it.time, it.direction),
            Item::Mark(it) => (it.time, it.direction),
        };
        // In the bits of epb_flags.
        let direction = match direction {
            Direction::Ingress => "1",
            Direction::Egress => "2",
        };
        let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
        let time = format!("{seconds}.{rest:09}");
        [trace.link().to_owned(), direction.to_owned(), time]
    };
    trace.items().map(line).collect()
}

fn it_reads_what_the_lab_writes() -> Result<Completion, Failed> {
    let pair = Pair::with_wire()?;
    let captures = [pair.a().capture()?, pair.b().capture()?];
    let (mut client, mut server) = pair.connection(Family::V6).open()?.into_peers();
    let lose_the_third = pair.wire().rule(Matcher::nth_data(3).then(Verdict::Drop))?;
    client.transfer(&mut server, 20_000)?;
    drop(lose_the_third);
    // What an option has to quote, and what is more than a byte a letter.
    captures[0].mark("half-way: ✓ \"50 %\" <&>")?;
    server.transfer(&mut client, 20_000)?;
    let [a, b] = captures.map(|it| it.trace());
    let (a, b) = (a?, b?);

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("both.pcapng");
    lab::write_pcapng([&a, &b], &path)?;
    let Some(frames) = read(&path)? else {
        return Ok(Completion::ignored_with(
            "there is no tshark here: apt-get install tshark",
        ));
    };

    for trace in [&a, &b] {
        let of_this = frames.iter().filter(|it| it[0] == trace.link());
        let of_this: Vec<_> = of_this.map(|it| it[..3].to_vec()).collect();
        assert_eq!(of_this, expected(trace));
    }
    let comments: Vec<_> = frames.iter().map(|it| it[3].as_str()).collect();
    // The mark, as both ends saw it.
    let marks = comments.iter().filter(|it| it.starts_with("half-way: ✓"));
    assert_eq!(marks.count(), 2, "{comments:?}");
    // Each host's retransmissions name a frame of the same host.
    let mut retransmissions = 0;
    for (frame, comment) in frames.iter().zip(&comments) {
        let Some((_, rest)) = comment.split_once("retransmission of packet ") else {
            continue;
        };
        retransmissions += 1;
        let number = rest.split(',').next().unwrap_or(rest).parse::<usize>()?;
        assert_eq!(frames[number - 1][0], frame[0], "{comment}");
    }
    assert!(retransmissions > 0, "{comments:?}");
    Ok(Completion::Completed)
}
