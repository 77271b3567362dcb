//! Target `sk_data`: what it asks is in `judges/src/sk_data.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::sk_data::judge(input));
