//! Target `segment`: what it asks is in `judges/src/segment.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::segment::judge(input));
