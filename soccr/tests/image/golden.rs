//! The files in `tests/golden`: images of version 1, which stay as they are, and images from a future that has not
//! come.

use crate::Result;
use crate::by_hand::{bytes, image, record, seal, with};
use crate::samples::{linked, nobody, samples};
use soccr::image::ImageError;
use soccr::{Lost, Snapshot};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The file with this name; written first if it is missing and `UPDATE_GOLDEN` is set.
fn golden(name: &str, expected: &[u8]) -> Result<Vec<u8>> {
    let path = folder().join(format!("{name}.image"));
    if env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        fs::write(&path, expected)?;
    }
    let help = "a new one is written with UPDATE_GOLDEN=1";
    fs::read(&path).map_err(|error| format!("reading {}: {error} ({help})", path.display()).into())
}

/// Images that only a later version can write, put together by hand.
fn from_the_future() -> Vec<(&'static str, Vec<u8>)> {
    let path: Vec<u8> = (1..=6_u32).flat_map(u32::to_le_bytes).collect();
    let option = |name: &[u8]| [&bytes(name)[..], &[4], &bytes(&[1, 0, 0, 0])].concat();
    let options = [option(b"TCP_LATER"), option(b"TCP_NODELAY")].concat();
    let losses = [&500_u16.to_le_bytes()[..], &bytes(b"not thought of")].concat();
    let list = |count: u64, elements: &[u8]| [&count.to_le_bytes(), elements].concat();
    let mut version_2 = with(&[]);
    version_2[10] = 2;
    seal(&mut version_2);
    vec![
        ("future-optional", with(&[record(1000, 0, b"later")])),
        ("future-required", with(&[record(1000, 1, b"later")])),
        (
            "future-grown",
            with(&[record(12, 0, &[&path[..], b"later"].concat())]),
        ),
        ("future-option", with(&[record(10, 1, &list(2, &options))])),
        ("future-loss", with(&[record(13, 0, &list(1, &losses))])),
        ("future-version", version_2),
    ]
}

fn future(name: &str) -> Result<Vec<u8>> {
    let images = from_the_future();
    let found = images.iter().find(|(found, _)| *found == name);
    let (_, written) = found.ok_or("no such image")?;
    let kept = golden(name, written)?;
    assert_eq!(kept, *written, "{name}");
    Ok(kept)
}

#[test]
fn what_version_1_wrote_is_read_as_it_was_and_still_written_like_that() {
    for (name, snapshot) in samples().unwrap() {
        let image = snapshot.to_image();
        let kept = golden(&format!("v1-{name}"), &image).unwrap();
        let read = Snapshot::from_image(&kept).unwrap();
        assert_eq!(read, snapshot, "{name}");
        assert!(
            kept == image,
            "{name}: written otherwise: {}",
            image.escape_ascii()
        );
    }
}

#[test]
fn every_file_is_one_that_is_asked_for() {
    let wanted = samples().unwrap().into_iter();
    let wanted = wanted.map(|(name, _)| format!("v1-{name}.image"));
    let future = from_the_future().into_iter();
    let future = future.map(|(name, _)| format!("{name}.image"));
    let found: io::Result<BTreeSet<_>> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect();
    assert_eq!(found.unwrap(), wanted.chain(future).collect());
}

#[test]
fn the_least_image_is_of_the_records_that_are_always_there() {
    assert_eq!(nobody().to_image(), with(&[]));
    assert_eq!(Snapshot::from_image(&with(&[])).unwrap(), nobody());
}

/// Every field of every record, from the description of the format.
#[test]
fn the_format_is_the_one_that_is_documented() {
    let address = |last: u8, port: u16| {
        let mut address = vec![6];
        address.extend(port.to_le_bytes());
        address.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        address.extend([0, 1, 2, 3]);
        address.extend([7, 0, 0, 0]);
        address
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let words: &dyn Fn(&[u32]) -> Vec<u8> = &words;
    let option = |name: &str, width: u8, value: &[u8]| {
        [&bytes(name.as_bytes())[..], &[width], &bytes(value)].concat()
    };
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| {
        [&code.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat()
    };
    let count = |count: u64| count.to_le_bytes().to_vec();
    let loss =
        |number: u16, detail: &str| [&number.to_le_bytes()[..], &bytes(detail.as_bytes())].concat();
    let by_hand = image(&[
        record(1, 1, &[4]),
        record(2, 1, &[address(1, 443), address(2, 50_001)].concat()),
        record(
            3,
            1,
            &[0xb4, 0x05, 1, 7, 9, 1, 1, 0x04, 0x03, 0x02, 0x01, 1],
        ),
        record(
            4,
            1,
            &words(&[0xffff_fff0, 64_256, 65_535, 131_072, 0xffff_fff1]),
        ),
        record(5, 1, &[words(&[0xffff_fff2]), bytes(b"received")].concat()),
        record(
            6,
            1,
            &[words(&[5, 6]), vec![1], bytes(b"sent, unsent")].concat(),
        ),
        record(7, 1, &[words(&[87_040, 131_072]), vec![1, 2]].concat()),
        record(8, 1, &[1, 1, 1]),
        record(9, 1, &[1, 110, 0, 0, 0]),
        record(
            10,
            1,
            &[
                count(6),
                option("SO_BINDTODEVICE", 1, b"eth0\0"),
                option("TCP_CONGESTION", 1, b"reno\0\0\0\0\0\0\0\0\0\0\0\0"),
                option("TCP_KEEPIDLE", 4, &words(&[600])),
                option("SO_LINGER", 4, &words(&[1, 30])),
                option("SO_RCVTIMEO", 8, &words(&[1, 0, 500_000, 0])),
                option("IP_OPTIONS", 1, &[7, 7, 4, 192, 0, 2, 1, 0]),
            ]
            .concat(),
        ),
        record(
            11,
            1,
            &[
                vec![1],
                count(4),
                instruction(0x20, 0, 0, 0xffff_f014),
                instruction(0x15, 0, 1, 0xc114),
                instruction(0x06, 0, 0, u32::MAX),
                instruction(0x06, 0, 0, 0),
            ]
            .concat(),
        ),
        record(
            12,
            0,
            &words(&[12_300, 400, 212_000, 42, 0x7fff_ffff, 1500]),
        ),
        record(
            13,
            0,
            &[count(2), loss(1, "ecn"), loss(11, "something newer")].concat(),
        ),
    ]);
    let kept = golden("v1-established-link-local", &by_hand).unwrap();
    assert!(kept == by_hand, "by hand: {}", by_hand.escape_ascii());
}

/// The record that came later: the rest is as it was without it.
#[test]
fn the_name_of_a_link_is_the_last_record() {
    let mut snapshot = linked();
    assert_eq!(snapshot.link.take().as_deref(), Some("eth0"));
    let without = snapshot.to_image();
    let (records, _) = without.split_last_chunk::<4>().unwrap();
    let mut by_hand = [records, &record(14, 0, &bytes(b"eth0")), &[0; 4]].concat();
    seal(&mut by_hand);
    let kept = golden("v1-link", &by_hand).unwrap();
    assert!(kept == by_hand, "by hand: {}", by_hand.escape_ascii());
}

#[test]
fn an_unknown_record_is_skipped_and_named() {
    let read = Snapshot::from_image(&future("future-optional").unwrap()).unwrap();
    let [loss] = &read.unsaved[..] else {
        panic!("{:?}", read.unsaved)
    };
    assert_eq!(loss.what, Lost::Unknown);
    assert_eq!(
        loss.to_string(),
        "something of a newer version: record 1000 of the image, 5 bytes"
    );
    // The loss is in the next image as well.
    assert_eq!(Snapshot::from_image(&read.to_image()).unwrap(), read);
    let mut rest = read;
    rest.unsaved.clear();
    assert_eq!(rest, nobody());
}

#[test]
fn an_unknown_record_that_is_required_is_refused() {
    let error = Snapshot::from_image(&future("future-required").unwrap()).unwrap_err();
    let (tag, length) = (1000, 5);
    let offset = with(&[]).len() - 4;
    assert_eq!(
        error,
        ImageError::UnknownRequired {
            tag,
            offset,
            length
        }
    );
    assert_eq!(
        error.to_string(),
        format!(
            "reading record 1000 at offset {offset}: its reader has to know what its 5 bytes are, and this one does \
             not (read it with the version of soccr that has written it, or a newer one)"
        )
    );
}

#[test]
fn fields_that_were_appended_are_skipped_and_named() {
    let read = Snapshot::from_image(&future("future-grown").unwrap()).unwrap();
    assert_eq!((read.path.rtt, read.path.mtu), (1, 6));
    let [loss] = &read.unsaved[..] else {
        panic!("{:?}", read.unsaved)
    };
    assert_eq!(loss.what, Lost::Unknown);
    assert_eq!(
        loss.detail,
        "5 bytes at the end of record 12 (path) of the image"
    );
}

#[test]
fn an_option_that_is_not_carried_is_named_and_the_others_are_there() {
    let read = Snapshot::from_image(&future("future-option").unwrap()).unwrap();
    let [option] = &read.socket_options[..] else {
        panic!("{:?}", read.socket_options)
    };
    assert_eq!(option.option.label(), "TCP_NODELAY");
    let [loss] = &read.unsaved[..] else {
        panic!("{:?}", read.unsaved)
    };
    assert_eq!(loss.what, Lost::SocketOption);
    assert!(loss.detail.contains("\"TCP_LATER\""), "{loss}");
}

#[test]
fn a_loss_that_has_no_name_yet_is_kept_with_its_number() {
    let read = Snapshot::from_image(&future("future-loss").unwrap()).unwrap();
    let [loss] = &read.unsaved[..] else {
        panic!("{:?}", read.unsaved)
    };
    assert_eq!(loss.what, Lost::Unknown);
    assert_eq!(loss.detail, "loss 500: not thought of");
}

#[test]
fn another_version_is_refused() {
    let error = Snapshot::from_image(&future("future-version").unwrap()).unwrap_err();
    assert_eq!(error, ImageError::Version { found: 2 });
    assert!(
        error
            .to_string()
            .contains("is version 2, and this is a reader of version 1")
    );
}
