//! Whether the processor itself can run machines (KVM): only where one has come to its end so.
//!
//! That `/dev/kvm` can be opened says little: inside of virtual machines it may be there and stop at the first instruction
//! that nobody taught it, for ever.

use super::error::{Doing, Error};
use super::guest::Orders;
use super::initramfs::{self, Program};
use super::judged::Judged;
use super::kernel::Kernel;
use super::machine::{self, Accelerator, End, Files, Hardware};
use super::modules::Module;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the kernel has it.
const DEVICE: &str = "/dev/kvm";
/// How long a trial boot may take. The processor needs a second or two for it.
const LIMIT: Duration = Duration::from_secs(20);

/// What trial boots have shown so far.
#[derive(Debug)]
pub(super) struct Kvm {
    /// Whether the next machine may have it.
    hoped_for: Mutex<bool>,
}

/// With what a machine runs, and why not with KVM where that was tried.
pub(super) struct Chosen {
    pub(super) accelerator: Accelerator,
    pub(super) why_not: Option<String>,
}

impl Kvm {
    /// It is tried where it is wanted, and this process may use it.
    pub(super) fn new(hardware: &Hardware) -> Self {
        let wanted = hardware.kvm && !hardware.deterministic;
        let usable = || access(DEVICE, AccessFlags::R_OK | AccessFlags::W_OK).is_ok();
        Self {
            hoped_for: Mutex::new(wanted && usable()),
        }
    }

    /// Boots a kernel to its first process and no further; where that fails, no other is tried.
    pub(super) fn choose(
        &self,
        kernel: &Kernel,
        program: &Program,
        modules: &[Module],
        hardware: &Hardware,
        folder: &Path,
    ) -> Result<Chosen, Error> {
        // One after the other: the first may spare the others the time.
        let mut hoped_for = self
            .hoped_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*hoped_for || hardware.is_to_end() {
            return Ok(Chosen {
                accelerator: Accelerator::Tcg,
                why_not: None,
            });
        }
        let folder = folder.join("trial");
        fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
        let files = Files::in_folder(&folder);
        initramfs::write(&files.initramfs, program, modules, &Orders::default())?;
        let hardware = Hardware {
            limit: Some(LIMIT),
            ..hardware.clone()
        };
        let end = machine::run(kernel, &files, &hardware, Accelerator::Kvm)?;
        let events = fs::read_to_string(&files.events).unwrap_or_default();
        let end = Judged::new(end, 1, &events, folder).end;
        *hoped_for = end == End::Exit(Some(0));
        Ok(match *hoped_for {
            true => Chosen {
                accelerator: Accelerator::Kvm,
                why_not: None,
            },
            false => Chosen {
                accelerator: Accelerator::Tcg,
                why_not: Some(end.to_string()),
            },
        })
    }
}
