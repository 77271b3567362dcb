//! libsoccr: the C interface of [soccr](https://docs.rs/soccr), in both of its generations.
//!
//! `include/soccr.h` is its documentation. From Rust use [`soccr`] itself; what is public here is for those who drive a
//! library with this interface, ours or another one.
#![allow(unsafe_code)]

mod data;
mod fault;

pub use data::{SOCCR_FLAGS_WINDOW, SkData};
pub use fault::Fault;
