//! Every example runs to its end: the programs that `conformance repro` has written.

fn main() -> std::process::ExitCode {
    lab::harness::examples(env!("CARGO_MANIFEST_DIR"), &[])
}
