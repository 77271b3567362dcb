//! The clients of the load: a process of their own. One process may not have descriptors enough for both ends.

use crate::crowd::Crowd;
use crate::driven::{Driven, Told};
use crate::error::{Error, While as _};
use crate::limits;
use crate::talk::{Counts, Talk};
use lab::{Host, Process};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The first word of its command line; not for people.
pub(crate) const ORDER: &str = "__clients";

/// How long it may take to end, once it has told all: a bound.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process, as the server sees it.
#[derive(Debug)]
pub(crate) struct Clients {
    process: Process,
    /// They talk until it is closed.
    stdin: Option<ChildStdin>,
    /// What they tell when they have ended.
    told: Driven<String>,
}

impl Clients {
    /// Starts so many of them on a host.
    pub(crate) fn start(
        host: &Host,
        server: SocketAddr,
        connections: usize,
    ) -> Result<Self, Error> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args([ORDER, &server.to_string(), &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = host.spawn(command)?;
        let (stdin, stdout) = (process.stdin(), process.stdout());
        let told = Driven::start(move |_| {
            let mut text = String::new();
            if let Some(mut stdout) = stdout {
                let read = stdout.read_to_string(&mut text);
                read.doing(|| "reading what the clients tell".to_owned())?;
            }
            Ok(text)
        })?;
        Ok(Self {
            process,
            stdin,
            told,
        })
    }

    /// Whether they have ended, which they do of themselves only where they have failed.
    pub(crate) fn are_gone(&self) -> bool {
        self.told.has_ended()
    }

    /// Tells them to fall silent, and to hear the server to its end.
    pub(crate) fn tell_to_end(&mut self) {
        self.stdin = None;
    }

    /// How much each has said and heard; once they have ended.
    pub(crate) fn counts(mut self) -> Result<Vec<Counts>, Error> {
        let text = self.told.join()?;
        self.process.wait(PATIENCE)?;
        let gone = || Error::Stalled("the clients".to_owned());
        let counts = text.lines().map(|line| {
            let (written, read) = line.split_once(' ')?;
            let (written, read) = (written.parse().ok()?, read.parse().ok()?);
            Some(Counts { written, read })
        });
        counts.collect::<Option<_>>().ok_or_else(gone)
    }
}

/// What that process does: connects, talks until its standard input ends, and tells how much each has said and heard.
pub(crate) fn run(server: SocketAddr, connections: usize) -> Result<(), Error> {
    limits::allow(connections)?;
    let connect = || -> io::Result<TcpStream> {
        let client = TcpStream::connect(server)?;
        client.set_nonblocking(true)?;
        Ok(client)
    };
    let sockets: io::Result<Vec<_>> = (0..connections).map(|_| connect()).collect();
    let sockets = sockets.doing(|| format!("connecting to {server}"))?;
    let numbers = 0..connections as u64;
    let talks = numbers.map(|number| {
        let [_, client] = Talk::pair(number);
        client
    });
    let mut crowd = Crowd::new("the clients", sockets, talks.collect());
    let told = Told::default();
    let theirs = told.clone();
    thread::spawn(move || {
        // Its end is all that is of interest, and an error is an end.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        theirs.end();
    });
    crowd.sweep_until(|_| told.to_end())?;
    crowd.end()?;
    let mut stdout = io::stdout().lock();
    for talk in crowd.talks() {
        let Counts { written, read } = talk.counts();
        writeln!(stdout, "{written} {read}").doing(|| "writing to stdout".to_owned())?;
    }
    Ok(())
}
