//! Images in a stream, one behind the other: all of them are read, whatever pieces they come in, and nothing else is.

use crate::by_hand::with;
use crate::samples::samples;
use soccr::Snapshot;
use soccr::image::{ImageError, StreamError};
use std::cell::Cell;
use std::io::{self, Read, Write};

/// More than any image here.
const LIMIT: u64 = 1 << 20;

/// Gives one byte at a time, and is interrupted before each.
struct Trickle<'a> {
    bytes: &'a [u8],
    interrupt: Cell<bool>,
}

impl<'a> Trickle<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let interrupt = Cell::new(true);
        Self { bytes, interrupt }
    }

    fn interrupted(&self) -> io::Result<()> {
        match self.interrupt.replace(!self.interrupt.get()) {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.interrupted()?;
        let count = to.len().min(1);
        self.bytes.read(&mut to[..count])
    }
}

/// Takes one byte at a time, and is interrupted before each.
struct Drain {
    bytes: Vec<u8>,
    pace: Trickle<'static>,
}

impl Write for Drain {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.pace.interrupted()?;
        self.bytes.extend(from.first());
        Ok(from.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::Error::other("nobody asked for it"))
    }
}

/// Fails once it has given its bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to) {
            Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
            other => other,
        }
    }
}

/// Some that are as different as can be, and their images behind each other.
fn several() -> (Vec<Snapshot>, Vec<u8>) {
    let snapshots: Vec<_> = samples().unwrap().into_iter().map(|(_, it)| it).collect();
    let mut stream = Vec::new();
    for snapshot in &snapshots {
        snapshot.write_to(&mut stream).unwrap();
    }
    (snapshots, stream)
}

/// Reads on to the end of a stream.
fn all(from: &mut impl Read) -> Result<Vec<Snapshot>, StreamError> {
    std::iter::from_fn(|| Snapshot::read_from(from, LIMIT).transpose()).collect()
}

fn refused(mut stream: &[u8], limit: u64) -> StreamError {
    match Snapshot::read_from(&mut stream, limit) {
        Err(error) => error,
        Ok(read) => panic!("read as {read:?}"),
    }
}

#[test]
fn what_is_written_behind_each_other_is_read_behind_each_other() {
    let (snapshots, stream) = several();
    let images: Vec<u8> = snapshots.iter().flat_map(Snapshot::to_image).collect();
    assert!(stream == images, "a stream is its images and nothing else");
    assert_eq!(all(&mut &stream[..]).unwrap(), snapshots);
    // The end is the end however often it is asked for.
    let mut end = &stream[..0];
    for _ in 0..2 {
        assert_eq!(Snapshot::read_from(&mut end, LIMIT).unwrap(), None);
    }
}

#[test]
fn nothing_behind_an_image_is_taken() {
    let (snapshots, stream) = several();
    let mut left = &stream[..];
    for snapshot in &snapshots {
        let before = left.len();
        let read = Snapshot::read_from(&mut left, LIMIT).unwrap();
        assert_eq!(read.as_ref(), Some(snapshot));
        assert_eq!(before - left.len(), snapshot.to_image().len());
    }
}

#[test]
fn pieces_of_one_byte_and_interruptions_make_no_difference() {
    let (snapshots, stream) = several();
    assert_eq!(all(&mut Trickle::of(&stream)).unwrap(), snapshots);
    let mut drain = Drain {
        bytes: Vec::new(),
        pace: Trickle::of(&[]),
    };
    for snapshot in &snapshots {
        snapshot.write_to(&mut drain).unwrap();
    }
    assert!(drain.bytes == stream, "written otherwise");
}

#[test]
fn a_stream_that_is_cut_is_noticed_wherever_it_is_cut() {
    let (snapshots, stream) = several();
    let [first, second] = [&snapshots[0], &snapshots[1]].map(|it| it.to_image().len());
    for cut in 0..=first + second {
        let mut left = &stream[..cut];
        let mut next = || Snapshot::read_from(&mut left, LIMIT);
        if cut >= first {
            assert_eq!(next().unwrap().as_ref(), Some(&snapshots[0]));
        }
        let within = if cut >= first { cut - first } else { cut };
        let wanted = if cut >= first { second } else { first };
        match next() {
            Ok(None) => assert_eq!(within, 0, "cut at {cut}"),
            Ok(Some(_)) => assert_eq!(within, wanted, "cut at {cut}"),
            Err(StreamError::Image(ImageError::Truncated { offset, length })) => {
                assert_eq!(offset, within);
                // Until it is known, the least that there can be.
                let known = if within < 20 { 24 } else { wanted };
                assert_eq!(length, known as u64, "cut at {cut}");
            }
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn a_stream_that_fails_is_told_with_the_place() {
    let (snapshots, stream) = several();
    for come in 0..snapshots[0].to_image().len() {
        match Snapshot::read_from(&mut Broken(&stream[..come]), LIMIT) {
            Err(StreamError::Read { offset, source, .. }) => {
                assert_eq!(offset, come as u64);
                assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
            }
            other => panic!("{come}: {other:?}"),
        }
    }
    let error = Snapshot::read_from(&mut Broken(&stream[..30]), LIMIT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading an image from a stream: at offset 30: connection reset (the image is lost with its stream: transfer it \
         again)"
    );
}

/// Whatever is behind its header is not asked for.
#[test]
fn an_image_that_is_longer_than_it_may_be_is_refused_by_its_header() {
    let image = with(&[]);
    let length = image.len() as u64;
    assert!(
        Snapshot::read_from(&mut &image[..], length)
            .unwrap()
            .is_some()
    );
    for (claimed, limit) in [
        (length, length - 1),
        (length, 0),
        (LIMIT + 1, LIMIT),
        (1 << 63, LIMIT),
        (u64::MAX, u64::MAX - 1),
    ] {
        let mut header = image[..20].to_vec();
        header[12..].copy_from_slice(&claimed.to_le_bytes());
        match Snapshot::read_from(&mut Broken(&header), limit) {
            Err(StreamError::TooLong {
                length, limit: by, ..
            }) => {
                assert_eq!((length, by), (claimed, limit));
            }
            other => panic!("{claimed}: {other:?}"),
        }
    }
    assert_eq!(
        refused(&image, 100).to_string(),
        "reading an image from a stream: its length, at offset 12, is 169 bytes, and it may have 100 (allow more, if its \
         writer can be trusted with that much memory)"
    );
}

#[test]
fn a_length_that_no_image_has_is_refused() {
    let mut image = with(&[]);
    for claimed in 0..24_u8 {
        image[12..20].copy_from_slice(&u64::from(claimed).to_le_bytes());
        let (offset, length) = (claimed.into(), 24);
        match refused(&image, LIMIT) {
            StreamError::Image(error) => {
                assert_eq!(error, ImageError::TrailingBytes { offset, length });
            }
            other => panic!("{claimed}: {other}"),
        }
    }
    // Right in all but its length, which nothing can bring.
    image[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    match refused(&image, u64::MAX) {
        StreamError::Image(ImageError::Truncated { offset, length }) => {
            assert_eq!((offset, length), (image.len(), u64::MAX));
        }
        other => panic!("{other}"),
    }
}

/// Whether an error is the one that has to be.
type IsIt = fn(&ImageError) -> bool;

#[test]
fn what_is_not_an_image_is_refused_with_what_is_wrong_with_it() {
    let (_, stream) = several();
    let mut other_version = with(&[]);
    other_version[10] = 2;
    let mut damaged = with(&[]);
    damaged[30] ^= 1;
    let wanted: [(&[u8], IsIt); 4] = [
        (b"{\"state\":\"Established\"}", |it| {
            matches!(it, ImageError::NotAnImage { .. })
        }),
        (&stream[1..], |it| {
            matches!(it, ImageError::NotAnImage { .. })
        }),
        (&other_version, |it| *it == ImageError::Version { found: 2 }),
        (&damaged, |it| matches!(it, ImageError::Checksum { .. })),
    ];
    for (stream, is_it) in wanted {
        match refused(stream, LIMIT) {
            StreamError::Image(error) => {
                assert!(is_it(&error), "{error}");
                assert_eq!(
                    StreamError::from(error.clone()).to_string(),
                    error.to_string()
                );
                assert_eq!(StreamError::from(error.clone()).hint(), error.hint());
            }
            other => panic!("{other}"),
        }
    }
}
