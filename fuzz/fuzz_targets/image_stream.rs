//! Target `image_stream`: what it asks is in `judges/src/image_stream.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| judges::image_stream::judge(input));
