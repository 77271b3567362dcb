//! What the suite and the process of a library say to each other: a head in JSON, two queues, and a socket.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use soccr_capi::client::Failed;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// The lengths of the head and of both queues.
const LENGTHS: usize = 3 * size_of::<u32>();

/// What is asked of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// To use a library: `None` is ours.
    Open { file: Option<PathBuf>, staged: bool },
    /// To pause the socket that comes with it.
    Pause,
    /// To save the paused one.
    Save,
    /// To release the paused one.
    Release,
    /// To restore into the socket that comes with it.
    Restore {
        data: [u32; 17],
        local: SocketAddr,
        remote: SocketAddr,
    },
    /// To resume the paused one.
    Resume,
}

impl Request {
    /// What the library does meanwhile, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Open { .. } => "dlopen",
            Self::Pause => "pause",
            Self::Save => "save",
            Self::Release => "release",
            Self::Restore { .. } => "restore",
            Self::Resume => "resume",
        }
    }
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Saved {
        returned: i32,
        data: [u32; 17],
    },
    /// With what the library has changed of its caller's own.
    Restored {
        edited: Vec<String>,
    },
    Failed {
        failed: Refused,
        edited: Vec<String>,
    },
    /// What was asked made no sense, or the library could not be opened.
    Impossible(String),
}

/// A call that has failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) text: String,
    pub(super) errno: i32,
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Self {
        Self {
            text: failed.to_string(),
            errno: failed.errno,
        }
    }
}

/// The bytes of the receive queue and of the send queue.
pub(super) type Queues = [Vec<u8>; 2];

/// Says something.
pub(super) fn say<T: Serialize>(
    to: &UnixStream,
    head: &T,
    queues: [&[u8]; 2],
    socket: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let parts = [&head, queues[0], queues[1]];
    let mut lengths = Vec::with_capacity(LENGTHS);
    for part in parts {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        lengths.extend(length.to_ne_bytes());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let given = socket.map(|socket| [socket]);
    if let Some(given) = &given {
        ancillary.push(SendAncillaryMessage::ScmRights(given));
    }
    // A stream takes so few bytes at once, or none.
    let sent = sendmsg(
        to,
        &[IoSlice::new(&lengths)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    if sent != LENGTHS {
        return Err(io::ErrorKind::WriteZero.into());
    }
    parts.iter().try_for_each(|part| (&*to).write_all(part))
}

/// Hears something; `None` where the other end is closed.
pub(super) fn hear<T: DeserializeOwned>(
    from: &UnixStream,
) -> io::Result<Option<(T, Queues, Option<OwnedFd>)>> {
    let mut lengths = [0; LENGTHS];
    let (count, socket) = first(from.as_fd(), &mut lengths)?;
    if count == 0 {
        return Ok(None);
    }
    (&*from).read_exact(&mut lengths[count..])?;
    let [head, receive, send] = [0, 4, 8].map(|at| {
        let bytes = [0, 1, 2, 3].map(|offset| lengths[at + offset]);
        u64::from(u32::from_ne_bytes(bytes))
    });
    let part = |length| -> io::Result<Vec<u8>> {
        // What is claimed is not believed before it has come.
        let mut bytes = Vec::new();
        from.take(length).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    let head = serde_json::from_slice(&part(head)?)?;
    Ok(Some((head, [part(receive)?, part(send)?], socket)))
}

fn first(from: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let count = {
        let mut slices = [IoSliceMut::new(bytes)];
        recvmsg(from, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes
    };
    let given = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut given) => given.next(),
        _ => None,
    });
    Ok((count, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_with_its_queues_and_its_socket() {
        let (here, there) = UnixStream::pair().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let request = Request::Restore {
            data: std::array::from_fn(|at| at as u32),
            local: "[fe80::1%3]:80".parse().unwrap(),
            remote: "10.0.0.1:5".parse().unwrap(),
        };
        let long = vec![7; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| say(&here, &request, [b"abc", &long], Some(socket.as_fd())));
            let (heard, queues, given) = hear::<Request>(&there).unwrap().unwrap();
            assert_eq!(format!("{heard:?}"), format!("{request:?}"));
            assert_eq!(queues, [b"abc".to_vec(), long.clone()]);
            assert!(given.is_some());
        });
        drop(here);
        assert!(hear::<Request>(&there).unwrap().is_none());
    }

    #[test]
    fn a_length_that_is_not_kept_is_an_error_and_takes_no_memory() {
        let (here, there) = UnixStream::pair().unwrap();
        (&here).write_all(&[0xff; LENGTHS]).unwrap();
        drop(here);
        assert!(hear::<Reply>(&there).is_err());
    }
}
