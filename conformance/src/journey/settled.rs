//! What has to be true of every snapshot, and of every socket that was resumed.

use crate::verdict::{Failure, Stop, Verdict, expect_eq};
use soccr::{Lost, Snapshot, raw};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// The snapshot as its image has it, which has to be the same.
pub(crate) fn by_image(snapshot: Snapshot) -> Result<Snapshot, Stop> {
    let valid = snapshot.validate().map_err(|error| error.to_string());
    expect_eq("what was saved is valid", valid, Ok(()))?;
    match Snapshot::from_image(&snapshot.to_image()) {
        Ok(read) => {
            expect_eq("the image of the snapshot", &read, &snapshot)?;
            Ok(read)
        }
        Err(error) => Err(Failure::new("the image of the snapshot", "is read", error).into()),
    }
}

/// Of a connection to which nothing has happened nothing is lost but what no restore brings back; `overtaken` is whether segments
/// have come beyond a hole, as they do where another processor takes over from the one that sends them.
pub(super) fn expect_usual_losses(snapshot: &Snapshot, overtaken: bool) -> Verdict {
    let losses = snapshot.losses();
    let unusual = losses.iter().filter(|loss| match loss.what {
        Lost::Path | Lost::PeerTimestamp => false,
        Lost::OutOfOrder => !overtaken,
        _ => true,
    });
    expect_eq(
        "losses of a save that nothing has caused",
        unusual.map(|loss| &loss.detail).collect(),
        Vec::<&String>::new(),
    )
}

/// What a resumed socket must be, besides what its peer sees.
pub(super) fn expect_settled(stream: &TcpStream, snapshot: &Snapshot) -> Verdict {
    let option = |option: raw::Opt| raw::get_int(&stream.as_fd(), option);
    expect_eq(
        "TCP_REPAIR after the resume",
        option(raw::Opt::TCP_REPAIR)?,
        0,
    )?;
    let reuse = option(raw::Opt::SO_REUSEADDR)?;
    expect_eq(
        "SO_REUSEADDR after the resume",
        reuse,
        snapshot.reuse_address.into(),
    )?;
    let nodelay = option(raw::Opt::TCP_NODELAY)?;
    expect_eq("TCP_NODELAY after the resume", nodelay, 0)?;
    expect_buffers(stream, snapshot)
}

/// The buffers are as large as the application has fixed them: of a size that the kernel had tuned, an ordinary user gets
/// what it can.
///
/// That holds before the resume, too: what comes in by then is answered with a window from the buffer as it is.
pub(super) fn expect_buffers(socket: &impl AsFd, snapshot: &Snapshot) -> Verdict {
    let locks = snapshot.buffers.locks.unwrap_or(0);
    for (name, size, lock, wanted) in [
        ("SO_SNDBUF", raw::Opt::SO_SNDBUF, 1, snapshot.buffers.send),
        (
            "SO_RCVBUF",
            raw::Opt::SO_RCVBUF,
            2,
            snapshot.buffers.receive,
        ),
    ] {
        if locks & lock != 0 {
            let now = raw::get_int(socket, size)?.unsigned_abs();
            expect_eq(name, now, wanted)?;
        }
    }
    Ok(())
}
