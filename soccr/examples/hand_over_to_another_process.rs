//! A process saves a connection into a file and closes it. Another one, which gets the file and no descriptor, opens it
//! again and goes on talking; the peer notices nothing. Runs as root and as an ordinary user, in a network of its own.

use std::error::Error;
use std::io::{Read, Write};
use std::{env, fs, io, path::PathBuf, process, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    match env::args_os().nth(1) {
        None => hand_over(),
        Some(image) => take_over(image.into()),
    }
}

fn hand_over() -> Result<(), Box<dyn Error>> {
    lab::Sandbox::enter()?;
    let pair = lab::Pair::new()?;
    let connection = pair.connection(lab::Family::V4).open()?;
    let inbound = lab::Match::tcp().flow(connection.flow().reversed());
    let (client, mut peer) = (connection.client, connection.server);
    peer.write_all(b"six times ")?;

    // Block the connection's packets, save it into a file, close its socket without a packet.
    let lock = pair.a().blackhole(lab::Direction::Ingress, inbound)?;
    let snapshot = soccr::save_and_close(client)?;
    let image = env::temp_dir().join(format!("connection-{}", process::id()));
    fs::File::create_new(&image)?.write_all(&snapshot.to_image())?;
    peer.write_all(b"seven?")?;

    // The other process deletes the file once there is a socket again that packets find.
    let mut command = process::Command::new(env::current_exe()?);
    command.arg(&image);
    let other = pair.a().spawn(command)?;
    let restored = || !image.exists();
    lab::wait::until("the file is gone", Duration::from_secs(10), restored)?;
    drop(lock);
    let answer = io::read_to_string(peer)?;
    assert_eq!(answer, "six times seven? 42");
    let (this, other) = (process::id(), other.id());
    println!("saved by process {this}, restored by process {other}: {answer}");
    Ok(())
}

fn take_over(image: PathBuf) -> Result<(), Box<dyn Error>> {
    let restored = soccr::Snapshot::from_image(&fs::read(&image)?)?.restore()?;
    fs::remove_file(image)?;
    let (mut client, mut question) = (restored.resume()?, [0; 16]);
    client.read_exact(&mut question)?;
    Ok(client.write_all(&[&question[..], b" 42"].concat())?)
}
