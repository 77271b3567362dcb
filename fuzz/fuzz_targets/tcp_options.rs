//! Target `tcp_options`: what it asks is in `judges/src/tcp_options.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::tcp_options::judge(input));
