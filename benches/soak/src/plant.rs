//! Something that is done wrong on purpose: what nobody has seen fail may not be able to.

use crate::Kind;
use crate::error::{Error, While as _};
use clap::ValueEnum;
use lab::{Host, Trio};
use soccr::{Snapshot, raw};
use std::fs::File;
use std::net::{IpAddr, TcpStream, UdpSocket};

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plant {
    /// Each cycle keeps a descriptor.
    Descriptor,
    /// Each cycle keeps memory.
    Memory,
    /// Each cycle keeps a socket.
    Socket,
    /// Each network stays.
    Network,
    /// A byte of a snapshot is changed before it is restored.
    Byte,
    /// A host sends a reset.
    Reset,
    /// The socket stays in repair mode.
    Stuck,
}

impl Plant {
    /// Whether it is done in runs of this kind.
    pub(crate) fn is_for(self, kind: Kind) -> bool {
        match self {
            Self::Reset => true,
            Self::Network => kind == Kind::Moves,
            Self::Descriptor | Self::Socket | Self::Byte => kind != Kind::Moves,
            Self::Memory | Self::Stuck => kind == Kind::Cycles,
        }
    }
}

/// Bytes that a cycle keeps.
const KEPT: usize = 64 << 10;

/// Sockets that a cycle keeps.
const SOCKETS: usize = 8;

/// What was done wrong so far.
#[derive(Debug)]
pub(crate) struct Planted {
    what: Option<Plant>,
    descriptors: Vec<File>,
    sockets: Vec<UdpSocket>,
    memory: Vec<Vec<u8>>,
    networks: Vec<Trio>,
}

impl Planted {
    /// Does this, or nothing.
    pub(crate) fn new(what: Option<Plant>) -> Self {
        Self {
            what,
            descriptors: Vec::new(),
            sockets: Vec::new(),
            memory: Vec::new(),
            networks: Vec::new(),
        }
    }

    /// In every cycle, and in every round.
    pub(crate) fn in_a_cycle(&mut self) -> Result<(), Error> {
        match self.what {
            Some(Plant::Descriptor) => {
                let file = File::open("/dev/null");
                let file = file.doing(|| "opening /dev/null".to_owned())?;
                self.descriptors.push(file);
            }
            Some(Plant::Socket) => {
                for _ in 0..SOCKETS {
                    let socket = UdpSocket::bind("0.0.0.0:0");
                    self.sockets.push(socket.doing(|| "binding".to_owned())?);
                }
            }
            Some(Plant::Memory) => self.memory.push(vec![1; KEPT]),
            _ => {}
        }
        Ok(())
    }

    /// In every cycle, to its socket.
    pub(crate) fn to_a_socket(&self, socket: &TcpStream) -> Result<(), Error> {
        if self.what == Some(Plant::Stuck) {
            let stuck = raw::set_int(socket, raw::Opt::TCP_REPAIR, raw::TCP_REPAIR_ON);
            stuck.doing(|| "entering repair mode".to_owned())?;
        }
        Ok(())
    }

    /// Before a snapshot is restored.
    pub(crate) fn in_a_snapshot(&self, snapshot: &mut Snapshot) {
        let unsent = snapshot.send.unsent > 0;
        // One that nobody has heard yet: what was sent may have arrived.
        let byte = match snapshot.receive.bytes.last_mut() {
            None if unsent => snapshot.send.bytes.last_mut(),
            received => received,
        };
        if let (Some(Plant::Byte), Some(byte)) = (self.what, byte) {
            *byte ^= 1;
        }
    }

    /// What is restored instead of these, which nobody has changed; `None`: these.
    pub(crate) fn in_snapshots(&self, snapshots: &[Snapshot]) -> Option<Vec<Snapshot>> {
        (self.what == Some(Plant::Byte)).then(|| {
            let mut changed = snapshots.to_vec();
            changed.iter_mut().for_each(|it| self.in_a_snapshot(it));
            changed
        })
    }

    /// When a network is not needed any more.
    pub(crate) fn done_with(&mut self, network: Trio) {
        if self.what == Some(Plant::Network) {
            self.networks.push(network);
        }
    }

    /// Before resets are looked for: `from` knocks where nobody is.
    pub(crate) fn knock(&self, from: &Host, at: IpAddr) -> Result<(), Error> {
        if self.what == Some(Plant::Reset) {
            // Nobody is there, and the answer is a reset.
            from.enter(|| TcpStream::connect((at, 9)).err())?;
        }
        Ok(())
    }
}
