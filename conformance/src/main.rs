//! The program; everything is in the library, where it is tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    conformance::matrix::obey()
        .or_else(conformance::victim::obey)
        .unwrap_or_else(conformance::cli::main)
}
