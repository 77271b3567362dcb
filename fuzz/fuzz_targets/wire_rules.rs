//! Target `wire_rules`: what it asks is in `judges/src/wire_rules.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::wire_rules::judge(input));
