//! Tells what is wrong with an image: which rule a value breaks, in which step a restore meets it, and with which errno.
//!
//! ```console
//! $ cargo run -p soccr --example lint_image -- FILE
//! $ cargo run -p soccr --features criu --example lint_image -- files.img     # CRIU's, with its tcp-stream-*.img beside it
//! ```
//!
//! Without a file it makes an image of a connection that cannot be, and tells what is wrong with that.

use soccr::{Endpoints, Snapshot, Window, WindowScale};
use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let snapshots = match env::args_os().nth(1) {
        Some(path) => read(path.as_ref())?,
        None => vec![Snapshot::from_image(&impossible()?.to_image())?],
    };
    for snapshot in snapshots {
        let Endpoints { local, remote, .. } = snapshot.endpoints;
        let findings = snapshot.lint();
        println!(
            "{local} > {remote}, {}: {} findings",
            snapshot.state,
            findings.len()
        );
        findings.iter().for_each(|finding| println!("  {finding}"));
    }
    Ok(())
}

/// A window larger than it ever was, a shift that no RFC knows, and more unsent than there is.
fn impossible() -> Result<Snapshot, Box<dyn Error>> {
    let (local, remote) = ("192.0.2.1:80".parse()?, "192.0.2.2:5000".parse()?);
    let mut snapshot = Snapshot::new(Endpoints { local, remote });
    snapshot.options.mss_clamp = 1460;
    snapshot.options.window_scale = Some(WindowScale { snd: 15, rcv: 7 });
    snapshot.window = Some(Window {
        snd_wnd: 2,
        max_window: 1,
        ..Window::default()
    });
    snapshot.send.unsent = 3;
    Ok(snapshot)
}

#[cfg(not(feature = "criu"))]
fn read(path: &std::path::Path) -> Result<Vec<Snapshot>, Box<dyn Error>> {
    Ok(vec![Snapshot::from_image(&fs::read(path)?)?])
}

/// One of ours, or CRIU's.
#[cfg(feature = "criu")]
fn read(path: &std::path::Path) -> Result<Vec<Snapshot>, Box<dyn Error>> {
    use soccr::criu::{FilesImage, Images, TcpStreamImage};
    let bytes = fs::read(path)?;
    if bytes.starts_with(&soccr::image::MAGIC) {
        return Ok(vec![Snapshot::from_image(&bytes)?]);
    }
    let of_socket = |socket| {
        let mut images = Images {
            socket,
            stream: None,
        };
        if let Ok(stream) = fs::read(path.with_file_name(images.stream_name())) {
            images.stream = Some(TcpStreamImage::from_bytes(&stream)?);
        }
        Ok(Snapshot::from_criu(&images)?)
    };
    FilesImage::from_bytes(&bytes)?
        .sockets()
        .map(of_socket)
        .collect()
}
