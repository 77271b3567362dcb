//! A connection is saved into the image files that CRIU keeps of one, its socket closed, and restored from these files,
//! as another program would that knows nothing but them. `crit decode -i FILE` shows what is in them.
//!
//! Runs as root and as an ordinary user, in a network of its own.

use soccr::Snapshot;
use soccr::criu::{FilesImage, Images, SocketId, TcpStreamImage};
use std::error::Error;
use std::io::{Read, Write};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    lab::Sandbox::enter()?;
    let pair = lab::Pair::new()?;
    let connection = pair.connection(lab::Family::V4).open()?;
    let flow = connection.flow();
    let (client, mut server) = (connection.client, connection.server);
    server.write_all(b"kept in a file")?;

    // Dump: two files, as `criu dump` writes them.
    let inbound = lab::Match::tcp().flow(flow.reversed());
    let lock = pair.a().blackhole(lab::Direction::Ingress, inbound)?;
    let snapshot = pair.a().enter(|| soccr::save_and_close(client))??;
    let (images, losses) = snapshot.to_criu(SocketId::default())?;
    losses
        .iter()
        .for_each(|loss| println!("CRIU has no place for it: {loss}"));
    let folder = env::temp_dir().join(format!("dump-to-criu-image-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (files, stream) = (folder.join("files.img"), folder.join(images.stream_name()));
    fs::write(&files, images.files().to_bytes())?;
    fs::write(&stream, images.stream.ok_or("no stream")?.to_bytes())?;

    // Restore, from the files alone.
    let socket = FilesImage::from_bytes(&fs::read(&files)?)?.sockets().next();
    let images = Images {
        socket: socket.ok_or("no socket")?,
        stream: Some(TcpStreamImage::from_bytes(&fs::read(&stream)?)?),
    };
    fs::remove_dir_all(&folder)?;
    let snapshot = Snapshot::from_criu(&images)?;
    let restored = pair.a().enter(|| snapshot.restore())??;
    drop(lock);
    let mut said = [0; 14];
    restored.resume()?.read_exact(&mut said)?;
    assert_eq!(&said, b"kept in a file");
    println!(
        "{} and {} held the whole connection",
        files.display(),
        stream.display()
    );
    Ok(())
}
