//! Target `capi`: what it asks is in `judges/src/capi.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: judges::world::enter_or_skip(), |input: &[u8]| {
    judges::capi::judge(input);
});
