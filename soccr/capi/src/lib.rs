//! libsoccr: the C interface of [soccr](https://docs.rs/soccr), in both of its generations.
//!
//! `include/soccr.h` is its documentation. From Rust use [`soccr`] itself; what is public here is for those who drive a
//! library with this interface, ours or another one.
#![allow(unsafe_code)]

mod abi;
mod address;
mod arguments;
mod border;
pub mod client;
mod data;
mod fault;
mod handle;
mod log;
mod memory;
mod staged;

pub use abi::{
    libsoccr_get_addr, libsoccr_get_queue_bytes, libsoccr_pause, libsoccr_release,
    libsoccr_restore, libsoccr_resume, libsoccr_save, libsoccr_set_addr, libsoccr_set_log,
    libsoccr_set_queue_bytes,
};
pub(crate) use abi::{queue_bytes, save};
pub use address::Address;
pub use arguments::SOCCR_MEM_EXCL;
pub use data::{SOCCR_FLAGS_WINDOW, SkData};
pub use fault::Fault;
pub use handle::Handle;
pub use log::{LogFn, SOCCR_LOG_DBG, SOCCR_LOG_ERR};
pub use staged::{
    libsoccr_get_sk_data, libsoccr_set_sk_data, libsoccr_set_sk_data_noq,
    libsoccr_set_sk_data_unbound, libsoccr_staged_get_queue_bytes, libsoccr_staged_set_queue_bytes,
};
