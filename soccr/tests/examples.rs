//! Every example shows what it says, and ends well.

fn main() -> std::process::ExitCode {
    lab::harness::examples(env!("CARGO_MANIFEST_DIR"), &[])
}
