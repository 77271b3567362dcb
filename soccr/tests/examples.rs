//! Every example shows what it says, and ends well.

const NOT_RUN: &[(&str, &str)] = &[
    #[cfg(not(feature = "criu"))]
    ("dump_to_criu_image", "it needs the feature criu"),
];

fn main() -> std::process::ExitCode {
    lab::harness::examples(env!("CARGO_MANIFEST_DIR"), NOT_RUN)
}
