//! Target `plan`: what it asks is in `judges/src/plan.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::plan::judge(input));
