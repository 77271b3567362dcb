//! Several kernels side by side, for programs.

use super::told::Told;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The report of a matrix for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernels {
    /// [`FORMAT`](super::json::FORMAT).
    pub format: u32,
    /// In the order of their versions.
    pub kernels: Vec<OfKernel>,
    /// The code with which the process ends.
    pub exit: u8,
}

/// What is known of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfKernel {
    /// Its release, as `uname -r` prints it.
    pub release: String,
    /// What is wrong beyond what cases say.
    pub trouble: Vec<String>,
    /// What its run has told.
    pub told: Told,
    /// The code with which the process would end for this kernel alone.
    pub exit: u8,
}

impl Kernels {
    /// Writes the report, to be read by people as well.
    ///
    /// # Errors
    /// What writing returns.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}
