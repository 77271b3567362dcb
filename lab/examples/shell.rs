//! A shell on a host of a pair, to look around and to try things; the other host is there to talk to.
//!
//! `cargo run -p lab --example shell [a|b]` (no root needed)

use lab::{Pair, Sandbox};
use std::error::Error;
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    Sandbox::enter()?;
    let pair = Pair::new()?;
    let (host, other) = match std::env::args().nth(1).as_deref() {
        None | Some("a") => (pair.a(), pair.b()),
        Some("b") => (pair.b(), pair.a()),
        Some(name) => return Err(format!("there is no host {name}, only a and b").into()),
    };
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    println!(
        "host {}: {} and {} on {}; host {} is {} and {}. `exit` ends it all.",
        host.name(),
        host.v4(),
        host.v6(),
        host.link(),
        other.name(),
        other.v4(),
        other.v6()
    );
    let status = host.enter(|| Command::new(shell).env("LAB_HOST", host.name()).status())??;
    // What the shell says is what this says, as with any shell; a signal has no number of its own here.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
