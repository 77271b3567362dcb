//! A server replaces itself by its next version while a client downloads from it: the client gets every byte once. The
//! next client, who waits to be accepted meanwhile, is served by the next version.

use std::net::{TcpListener, TcpStream};
use std::os::{fd::AsFd, fd::OwnedFd, unix::process::CommandExt};
use std::{env, error::Error, ffi::OsString, fs, io, io::Write, process::Command, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let file: String = (0..6_000).map(|line| format!("line {line}\n")).collect();
    if let Some(image) = env::args_os().nth(1) {
        return serve(file.split_at(file.len() / 2), image);
    }
    lab::Sandbox::enter()?;
    let pair = lab::Pair::new()?;
    pair.a().sysctl("net.ipv4.tcp_rmem", "4096 16384 16384")?; // much has to wait at the server
    // While no socket has the connection, the server's host must not say so: no RST leaves it.
    let resets = lab::Match::tcp().flags(lab::Flags::RST);
    let _firewall = pair.b().blackhole(lab::Direction::Egress, resets)?;
    let address = (pair.b().v4(), 80);
    let listener = pair.b().enter(|| TcpListener::bind(address))??;
    let client = pair.a().enter(|| TcpStream::connect(address))??;
    let next = pair.a().enter(|| TcpStream::connect(address))??;
    next.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut server = Command::new(env::current_exe()?);
    let image = env::temp_dir().join(format!("download-{}", std::process::id()));
    server.arg(image).stdin(OwnedFd::from(listener));
    let _server = pair.b().spawn(server)?;
    let (greeting, received) = (io::read_to_string(next)?, io::read_to_string(client)?);
    assert!(received == file && greeting == "version 2");
    println!("version 1 began the download and {greeting} ended it: every byte arrived once");
    Ok(())
}

/// Both versions. Their standard input is the listener. The rest `exec` closes: what is paused, without a packet.
fn serve(file: (&str, &str), image: OsString) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    if let Ok(saved) = fs::read(&image) {
        fs::remove_file(image)?;
        let locked = soccr::Settings::new().ingress_lock(true);
        let restored = soccr::Snapshot::from_image(&saved)?.restore_with(locked)?;
        listener.accept()?.0.write_all(b"version 2")?;
        return Ok(restored.resume()?.write_all(file.1.as_bytes())?);
    }
    let (mut client, _) = listener.accept()?;
    client.write_all(file.0.as_bytes())?;
    let locked = soccr::SaveSettings::new().ingress_lock(true);
    let paused = soccr::pause_with(&client, locked)?.read_data()?;
    fs::write(&image, paused.queue_bytes()?.release().to_image())?;
    Err(Command::new(env::current_exe()?).arg(image).exec().into())
}
