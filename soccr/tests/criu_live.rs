//! Live connections through CRIU's images: ours there and back, and sockets made of what CRIU has dumped.

use lab::harness::Result;
use lab::{Direction, Family, Match, Pair};
use soccr::criu::{FilesImage, Images, SocketId, TcpStreamImage};
use soccr::raw::{self, Opt};
use soccr::{Settings, Snapshot, TcpState};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// A bound of what happens at once.
const PATIENCE: Duration = Duration::from_secs(10);

lab::main![a_connection_survives, what_criu_dumped_comes_to_life];

/// There and back, through the bytes of both files.
fn through_files(snapshot: &Snapshot) -> Result<Snapshot> {
    let (images, _) = snapshot.to_criu(SocketId::default())?;
    let files = FilesImage::from_bytes(&images.files().to_bytes())?;
    let stream = images.stream.ok_or("no stream")?.to_bytes();
    Ok(Snapshot::from_criu(&Images {
        socket: files.sockets().next().ok_or("no socket")?,
        stream: Some(TcpStreamImage::from_bytes(&stream)?),
    })?)
}

/// A socket with a loaded receive queue and one whose peer has said the last word.
fn a_connection_survives(lab: Pair) -> Result {
    for (family, ends) in [(Family::V4, false), (Family::V6, false), (Family::V6, true)] {
        let connection = lab.connection(family).open()?;
        let inbound = Match::tcp().flow(connection.flow().reversed());
        let (client, mut server) = (connection.client, connection.server);
        client.set_nodelay(true)?;
        server.write_all(b"before")?;
        if ends {
            server.shutdown(std::net::Shutdown::Write)?;
        }
        let state = match ends {
            true => TcpState::CloseWait,
            false => TcpState::Established,
        };
        lab::wait::until("what the server says", PATIENCE, || {
            let ready =
                raw::siocinq(&client).and_then(|length| Ok((length, raw::tcp_info(&client)?)));
            ready.is_ok_and(|(length, info)| length == 6 && info.state == state as u8)
        })?;
        let lock = lab.a().blackhole(Direction::Ingress, inbound)?;
        let saved = soccr::save_and_close(client)?;
        let snapshot = through_files(&saved)?;
        assert_eq!((saved.state, snapshot.state), (state, state));
        let restored = lab.a().enter(|| snapshot.restore())??;
        drop(lock);
        let mut client = restored.resume()?;
        assert!(client.nodelay()?);
        let mut bytes = [0; 6];
        client.read_exact(&mut bytes)?;
        assert_eq!(&bytes, b"before");
        client.write_all(b"answer")?;
        server.read_exact(&mut bytes)?;
        assert_eq!(&bytes, b"answer");
        if !ends {
            server.write_all(b"behind")?;
            client.read_exact(&mut bytes)?;
            assert_eq!(&bytes, b"behind");
        }
        drop(client);
        assert_eq!(server.read(&mut bytes)?, 0);
    }
    Ok(())
}

/// The dumped connections are of the loopback device, and nobody is at their other end, so that the acknowledgement of a FIN
/// that was put back is answered with a RST: they are locked, and looked at in repair mode, before the kernel asks.
fn what_criu_dumped_comes_to_life(lab: Pair) -> Result {
    let mut dumps = 0;
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/criu/images"))? {
        let folder = folder?.path();
        let name = folder.display();
        let Ok(files) = fs::read(folder.join("files.img")) else {
            continue;
        };
        let files = FilesImage::from_bytes(&files)?;
        let socket = files.sockets().next().ok_or("no socket")?;
        let mut images = Images {
            socket,
            stream: None,
        };
        let stream = fs::read(folder.join(images.stream_name()))?;
        images.stream = Some(TcpStreamImage::from_bytes(&stream)?);
        let snapshot = Snapshot::from_criu(&images)?;
        let locked = Settings::new().ingress_lock(true);
        let restored = lab.a().enter(|| snapshot.restore_with(locked))??;
        assert_eq!(restored.losses(), snapshot.losses(), "{name}");
        dumps += 1;
        match snapshot.state {
            TcpState::Close => {
                let mut read = Vec::new();
                restored.resume()?.read_to_end(&mut read)?;
                assert_eq!(read, snapshot.receive.bytes, "{name}");
            }
            // Its SYN leaves at the resume.
            TcpState::SynSent => assert_eq!(raw::tcp_info(&restored)?.state, TcpState::Close as u8),
            state => {
                assert_eq!(raw::tcp_info(&restored)?.state, state as u8, "{name}");
                raw::set_int(&restored, Opt::TCP_REPAIR_QUEUE, raw::TCP_RECV_QUEUE)?;
                let mut read = vec![0; 100];
                let length = raw::recv(&restored, &mut read, raw::MSG_PEEK | raw::MSG_DONTWAIT)?;
                assert_eq!(read[..length], snapshot.receive.bytes, "{name}");
                let fin = i32::from(state.owes_fin());
                let sent = i32::try_from(snapshot.send.bytes.len())? + fin;
                assert_eq!(raw::siocoutq(&restored)?, sent, "{name}");
            }
        }
    }
    assert_eq!(dumps, 8);
    Ok(())
}
