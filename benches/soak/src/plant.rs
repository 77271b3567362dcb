//! Something that is done wrong on purpose: what nobody has seen fail may not be able to.

use crate::error::{Error, While as _};
use clap::ValueEnum;
use lab::{Host, Trio};
use soccr::Snapshot;
use std::fs::File;
use std::net::TcpStream;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plant {
    /// Each cycle keeps a descriptor.
    Descriptor,
    /// Each cycle keeps memory.
    Memory,
    /// Each network stays.
    Network,
    /// A byte of a snapshot is changed before it is restored.
    Byte,
    /// A host sends a reset.
    Reset,
}

/// Bytes that a cycle keeps.
const KEPT: usize = 64 << 10;

/// What was done wrong so far.
#[derive(Debug)]
pub(crate) struct Planted {
    what: Option<Plant>,
    descriptors: Vec<File>,
    memory: Vec<Vec<u8>>,
    networks: Vec<Trio>,
}

impl Planted {
    /// Does this, or nothing.
    pub(crate) fn new(what: Option<Plant>) -> Self {
        Self {
            what,
            descriptors: Vec::new(),
            memory: Vec::new(),
            networks: Vec::new(),
        }
    }

    /// In every cycle.
    pub(crate) fn in_a_cycle(&mut self) -> Result<(), Error> {
        match self.what {
            Some(Plant::Descriptor) => {
                let file = File::open("/dev/null");
                let file = file.doing(|| "opening /dev/null".to_owned())?;
                self.descriptors.push(file);
            }
            Some(Plant::Memory) => self.memory.push(vec![1; KEPT]),
            _ => {}
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

    /// When a network is not needed any more.
    pub(crate) fn done_with(&mut self, network: Trio) {
        if self.what == Some(Plant::Network) {
            self.networks.push(network);
        }
    }

    /// At the end of the cycles: `from` knocks where nobody is.
    pub(crate) fn at_the_end(&self, from: &Host, to: &Host) -> Result<(), Error> {
        if self.what == Some(Plant::Reset) {
            // Nobody is there, and the answer is a reset.
            from.enter(|| TcpStream::connect((to.v4(), 9)).err())?;
        }
        Ok(())
    }
}
