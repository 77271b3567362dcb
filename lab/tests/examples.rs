//! Every example, run to its end as whoever runs the tests.

use std::process::ExitCode;

const NOT_RUN: [(&str, &str); 2] = [
    (
        "lab_cost",
        "it measures, and wants a release build and a quiet machine",
    ),
    ("many_labs", "it takes minutes"),
];

fn main() -> ExitCode {
    lab::harness::examples(env!("CARGO_MANIFEST_DIR"), &NOT_RUN)
}
