//! Images of CRIU from anywhere: refused, or written again as the same bytes; and what a snapshot is made of is a
//! connection, and goes to CRIU's images and back. A second decoder, which shares nothing with the first, refuses the same
//! and reads the same.
//!
//! An input is the length of a `tcp-stream` image, 16 bits, little-endian; that image; and a `files` image or an
//! `inetsk` image.

mod fields;
mod schema;
mod second;

use crate::memory::measured;
use schema::{FILE, INET_SK};
use soccr::Snapshot;
use soccr::criu::{Entry, FilesImage, Images, InetSkEntry, InetSkImage, SocketId, TcpStreamImage};

/// The most memory that images take, for each of their bytes: in a field of two bytes that is not known, all is overhead.
const TIMES: usize = 128;
/// What a refusal takes.
const CONSTANT: usize = 4096;

/// Judges an input.
pub fn judge(input: &[u8]) {
    let Some((length, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length));
    let (stream, sockets) = rest.split_at(length.min(rest.len()));
    let stream = read_stream(stream);
    for socket in read_sockets(sockets) {
        judge_images(&Images {
            socket,
            stream: stream.clone(),
        });
    }
}

fn read_stream(bytes: &[u8]) -> Option<TcpStreamImage> {
    let image = bounded(bytes, TcpStreamImage::from_bytes).ok();
    let second = second::stream(bytes);
    let read = |image: &TcpStreamImage| {
        assert_eq!(image.to_bytes(), bytes);
        let message = fields::tcp_stream(image.entry().message());
        (message, image.receive().to_vec(), image.send().to_vec())
    };
    assert_eq!(image.as_ref().map(read), second);
    image
}

fn read_sockets(bytes: &[u8]) -> Vec<Entry<InetSkEntry>> {
    let files = bounded(bytes, FilesImage::from_bytes).ok();
    let read = |files: &FilesImage| {
        assert_eq!(files.to_bytes(), bytes);
        let messages = files.entries.iter().map(Entry::message);
        messages.map(fields::file).collect::<Vec<_>>()
    };
    let second = second::messages(bytes, second::FILES, &FILE);
    assert_eq!(files.as_ref().map(read), second);
    if let Some(files) = files {
        return files.sockets().collect();
    }
    let sockets = bounded(bytes, InetSkImage::from_bytes).ok();
    let read = |sockets: &InetSkImage| {
        assert_eq!(sockets.to_bytes(), bytes);
        let messages = sockets.entries.iter().map(Entry::message);
        messages.map(fields::inet_sk).collect::<Vec<_>>()
    };
    let second = second::messages(bytes, second::INETSK, &INET_SK);
    assert_eq!(sockets.as_ref().map(read), second);
    sockets.map_or(Vec::new(), |sockets| sockets.entries)
}

/// Reads an image, in memory that is bounded by its length.
fn bounded<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    let (result, peak) = measured(|| read(bytes));
    let most = TIMES * bytes.len() + CONSTANT;
    assert!(peak <= most, "{peak} bytes for {} bytes", bytes.len());
    result
}

/// Judges what is made of the two images of a connection.
pub(crate) fn judge_images(images: &Images) {
    let snapshot = match Snapshot::from_criu(images) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            assert!(error.to_string().starts_with("an image of CRIU: "));
            return;
        }
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
    read_again(&written);
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

/// What this version writes, the second decoder reads.
fn read_again(images: &Images) {
    let file = second::messages(&images.files().to_bytes(), second::FILES, &FILE);
    assert!(file.is_some_and(|messages| messages.len() == 1));
    let socket = second::messages(&images.inetsk().to_bytes(), second::INETSK, &INET_SK);
    let message = fields::inet_sk(images.socket.message());
    assert_eq!(socket, Some(vec![message]));
    if let Some(stream) = &images.stream {
        let (message, receive, send) = second::stream(&stream.to_bytes()).expect("a stream");
        assert_eq!(message, fields::tcp_stream(stream.entry().message()));
        assert_eq!((&receive[..], &send[..]), (stream.receive(), stream.send()));
    }
}
