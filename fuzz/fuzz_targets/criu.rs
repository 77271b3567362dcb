//! Images of CRIU from anywhere: refused, or written again as the same bytes; and what a snapshot is made of is a
//! connection, and goes to CRIU's images and back.
//!
//! An input is the length of a `tcp-stream` image, 16 bits, little-endian; that image; and a `files` image or an
//! `inetsk` image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soccr::Snapshot;
use soccr::criu::{Entry, FilesImage, Images, InetSkEntry, InetSkImage, SocketId, TcpStreamImage};

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_at_checked(2) else {
        return;
    };
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let (stream, sockets) = rest.split_at(length.min(rest.len()));
    let stream = TcpStreamImage::from_bytes(stream)
        .inspect(|it| assert_eq!(it.to_bytes(), stream))
        .ok();
    for socket in read_sockets(sockets) {
        judge(&Images {
            socket,
            stream: stream.clone(),
        });
    }
});

fn read_sockets(bytes: &[u8]) -> Vec<Entry<InetSkEntry>> {
    if let Ok(files) = FilesImage::from_bytes(bytes) {
        assert_eq!(files.to_bytes(), bytes);
        return files.sockets().collect();
    }
    let Ok(sockets) = InetSkImage::from_bytes(bytes) else {
        return Vec::new();
    };
    assert_eq!(sockets.to_bytes(), bytes);
    sockets.entries
}

fn judge(images: &Images) {
    let Ok(snapshot) = Snapshot::from_criu(images) else {
        return;
    };
    if snapshot.validate().is_err() {
        // What is wrong is told, and it is not written again.
        assert!(!snapshot.lint().is_empty());
        assert!(snapshot.to_criu(SocketId::default()).is_err());
        return;
    }
    let (written, _) = snapshot
        .to_criu(SocketId::default())
        .expect("a connection can be written");
    let again = Snapshot::from_criu(&written).expect("what was written can be read");
    // What only newer or other images hold is not written, and the clock may be one unit ahead.
    let mut expected = snapshot.clone();
    expected.unsaved.clone_from(&again.unsaved);
    if let (Some(clock), Some(read)) = (&mut expected.options.timestamps, again.options.timestamps)
    {
        assert!(read.value.wrapping_sub(clock.value) <= 1);
        clock.value = read.value;
    }
    if written.stream.is_none() {
        // Of a socket that was never connected, there are no numbers.
        expected.options = again.options;
        expected.receive.clone_from(&again.receive);
        expected.send.clone_from(&again.send);
    }
    assert_eq!(again, expected);
}
