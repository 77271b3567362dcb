//! Target `scenario`: what it asks is in `judges/src/scenario.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::scenario::judge(input));
