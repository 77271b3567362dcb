//! How much memory images take: to be read, in proportion to the image, or to what of it has come from a stream, whatever it
//! claims; to be written, its length.
//!
//! One test, alone in its process: every allocation of the process is counted.

use peak_alloc::PeakAlloc;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use soccr::Snapshot;
use soccr::image::{ImageError, StreamError};
use std::cell::Cell;
use std::path::Path;
use std::{fs, io};

#[global_allocator]
static COUNTER: PeakAlloc = PeakAlloc;

/// What the documentation of `soccr::image` promises.
const TIMES: usize = 16;
/// What an image of a few bytes takes, such as an error's text.
const CONSTANT: usize = 512;

/// The result, and how many bytes were allocated at most while it came about.
fn measured(image: &[u8]) -> (Result<Snapshot, ImageError>, usize) {
    let before = COUNTER.current_usage();
    COUNTER.reset_peak_usage();
    let result = Snapshot::from_image(image);
    (result, COUNTER.peak_usage() - before)
}

/// The same of a stream of images: all that is read of it.
fn measured_stream(mut stream: &[u8], limit: u64) -> (Result<usize, StreamError>, usize) {
    let before = COUNTER.current_usage();
    COUNTER.reset_peak_usage();
    let mut read = 0;
    let result = loop {
        match Snapshot::read_from(&mut stream, limit) {
            Ok(Some(_)) => read += 1,
            Ok(None) => break Ok(read),
            Err(error) => break Err(error),
        }
    };
    (result, COUNTER.peak_usage() - before)
}

/// The right length and checksum for an image that was changed.
fn seal(image: &mut [u8]) {
    let length = image.len();
    image[12..20].copy_from_slice(&(length as u64).to_le_bytes());
    let checksum = crc32fast::hash(&image[..length - 4]);
    image[length - 4..].copy_from_slice(&checksum.to_le_bytes());
}

/// An image of the records that every image has, and this one.
fn with(nobody: &[u8], tag: u16, value: &[u8]) -> Vec<u8> {
    let mut image = nobody[..nobody.len() - 4].to_vec();
    image.extend(tag.to_le_bytes());
    image.extend([0, 0]);
    image.extend((value.len() as u64).to_le_bytes());
    image.extend(value);
    image.extend([0; 4]);
    seal(&mut image);
    image
}

fn list(count: usize, element: &[u8]) -> Vec<u8> {
    let mut value = (count as u64).to_le_bytes().to_vec();
    value.extend(element.repeat(count));
    value
}

fn goldens() -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read_dir(folder)?
        .map(|entry| fs::read(entry?.path()))
        .collect()
}

#[test]
fn images_take_memory_in_proportion_to_their_length() {
    let goldens = goldens().unwrap();
    assert!(goldens.len() > 20);
    let nobody = goldens.iter().find(|image| image.len() == 169).unwrap();

    // The most that can be had for a byte: elements that are as short as can be, known or not.
    let empty = [0; 8];
    let unknown_option = [&empty[..], &[1], &empty].concat();
    let name = [&[6, 0, 0, 0, 0, 0, 0, 0][..], b"IP_TOS"].concat();
    let known_option = [&name[..], &[1], &empty].concat();
    let loss = [&[1, 0][..], &empty].concat();
    let unknown_loss = [&[0xff, 0xff][..], &empty].concat();
    // One more than a vector has room for before it grows again.
    let count = (1 << 14) + 1;
    let worst = [
        (10, list(count, &unknown_option)),
        (10, list(count, &known_option)),
        (11, [&[0][..], &list(count, &[0; 8])].concat()),
        (13, list(count, &loss)),
        (13, list(count, &unknown_loss)),
        (10, list(count, &[0xff])),
        (13, list(count, &[0xff])),
    ];
    let mut most = 0.0_f64;
    for (tag, value) in &worst {
        let image = with(nobody, *tag, value);
        let (result, peak) = measured(&image);
        let read = result
            .map(|read| read.socket_options.len() + read.unsaved.len() + read.filter.program.len());
        match read {
            Ok(read) => assert_eq!(read, count),
            Err(error) => assert!(matches!(error, ImageError::CutField { .. }), "{error}"),
        }
        let times = peak as f64 / image.len() as f64;
        println!(
            "record {tag}, {} bytes: {peak} bytes allocated, {times:.1} times",
            image.len()
        );
        assert!(
            peak <= TIMES * image.len() + CONSTANT,
            "{peak} for {}",
            image.len()
        );
        most = most.max(times);
    }
    assert!(most > 1.0, "nothing was counted");

    // Nearly as many unknown records as there can be, and again one more than there is room for.
    let mut records = nobody[..nobody.len() - 4].to_vec();
    for tag in 100..100 + (1 << 15) + 1_u16 {
        records.extend(tag.to_le_bytes());
        records.extend([0; 10]);
    }
    records.extend([0; 4]);
    seal(&mut records);
    let (result, peak) = measured(&records);
    assert_eq!(result.unwrap().unsaved.len(), (1 << 15) + 1);
    println!(
        "unknown records, {} bytes: {peak} bytes allocated",
        records.len()
    );
    assert!(
        peak <= TIMES * records.len() + CONSTANT,
        "{peak} for {}",
        records.len()
    );

    let mut snapshot = Snapshot::from_image(nobody).unwrap();
    snapshot.receive.bytes = vec![0; 1 << 20];
    let before = COUNTER.current_usage();
    COUNTER.reset_peak_usage();
    let image = snapshot.to_image();
    let peak = COUNTER.peak_usage() - before;
    println!("writing {} bytes: {peak} bytes allocated", image.len());
    assert!(peak <= image.len() + 1024, "{peak} for {}", image.len());

    // As much as an image and a half, whose second half does not come; many, one of which is in memory at a time.
    let cut = [&image[..], &image[..image.len() / 2]].concat();
    let (result, peak) = measured_stream(&cut, u64::MAX);
    assert!(matches!(result, Err(StreamError::Image(_))), "{result:?}");
    println!("a stream of {} bytes: {peak} bytes allocated", cut.len());
    assert!(peak <= 4 * image.len() + CONSTANT, "{peak}");
    let (result, peak) = measured_stream(&image.repeat(16), image.len() as u64);
    assert_eq!(result.unwrap(), 16);
    assert!(peak <= 4 * image.len() + CONSTANT, "{peak} for 16 images");
    // The first bytes of an image that is said to be as long as can be, or a little longer than may be.
    let limit = 1 << 40;
    for (claimed, refused) in [(limit, false), (limit + 1, true), (u64::MAX, true)] {
        for come in [20, 24, 1 << 10, 1 << 16] {
            let mut start = image[..come].to_vec();
            start[12..20].copy_from_slice(&claimed.to_le_bytes());
            let (result, peak) = measured_stream(&start, limit);
            match result.unwrap_err() {
                StreamError::TooLong { .. } => assert!(refused, "{claimed}"),
                StreamError::Image(_) => assert!(!refused, "{claimed}"),
                other => panic!("{other}"),
            }
            let most = if refused {
                CONSTANT
            } else {
                4 * come + CONSTANT
            };
            assert!(peak <= most, "{peak} for {come} bytes of {claimed}");
        }
    }

    // Lengths that the image has not got, wherever a length can be.
    for image in &goldens {
        for at in 20..image.len() - 12 {
            for claimed in [1 << 20, 1 << 32, 1 << 60, u64::MAX] {
                let mut image = image.clone();
                image[at..at + 8].copy_from_slice(&u64::to_le_bytes(claimed));
                seal(&mut image);
                let (_, peak) = measured(&image);
                assert!(peak <= TIMES * image.len() + CONSTANT, "{peak} at {at}");
            }
        }
    }

    let most = Cell::new(0);
    let any = (
        prop::sample::select(goldens),
        vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    );
    let config = ProptestConfig {
        failure_persistence: None,
        cases: 2_000,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&any, |(mut image, changes)| {
            for (at, byte) in changes {
                let at = at.index(image.len());
                image[at] = byte;
            }
            seal(&mut image);
            let (_, peak) = measured(&image);
            most.set(most.get().max(peak));
            prop_assert!(
                peak <= TIMES * image.len() + CONSTANT,
                "{} for {}",
                peak,
                image.len()
            );
            Ok(())
        })
        .unwrap();
    println!("changed images: at most {} bytes allocated", most.get());
}
