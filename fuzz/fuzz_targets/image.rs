//! Target `image`: what it asks is in `judges/src/image.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::image::judge(input));
