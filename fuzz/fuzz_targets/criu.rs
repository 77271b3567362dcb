//! Target `criu`: what it asks is in `judges/src/criu.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::criu::judge(input));
