//! The functions of both interfaces, as `soccr.h` declares them.

use super::failed::NotOpened;
use super::open::Object;
use crate::Address;
use crate::SkData;
use libc::{c_char, c_int, c_uint, c_void};

type Sk = *mut c_void;
type Data = *mut SkData;

type Log = unsafe extern "C" fn(c_uint, *const c_char, ...);

type SetLog = unsafe extern "C" fn(c_uint, Option<Log>);
type Pause = unsafe extern "C" fn(c_int) -> Sk;
type End = unsafe extern "C" fn(Sk);
type WithData = unsafe extern "C" fn(Sk, Data, c_uint) -> c_int;
type GetBytes = unsafe extern "C" fn(Sk, c_int, c_uint) -> *mut c_char;
type SetBytes = unsafe extern "C" fn(Sk, c_int, *mut c_char, c_uint) -> c_int;
type SetAddr = unsafe extern "C" fn(Sk, c_int, *mut Address, c_uint) -> c_int;
type StagedGetBytes = unsafe extern "C" fn(Sk, c_int, c_int) -> *mut c_char;
type StagedSetBytes = unsafe extern "C" fn(Sk, Data, c_uint, c_int, *mut c_char) -> c_int;

/// The symbols of this crate, by the names that a program has for them.
mod ours {
    use super::{Address, Data, Log, Sk};
    use libc::{c_char, c_int, c_uint};

    unsafe extern "C" {
        pub(super) fn libsoccr_set_log(level: c_uint, log: Option<Log>);
        pub(super) fn libsoccr_pause(fd: c_int) -> Sk;
        pub(super) fn libsoccr_resume(sk: Sk);
        pub(super) fn libsoccr_release(sk: Sk);

        pub(super) fn libsoccr_save(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_restore(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_get_queue_bytes(sk: Sk, queue: c_int, flags: c_uint) -> *mut c_char;
        pub(super) fn libsoccr_set_queue_bytes(
            sk: Sk,
            queue: c_int,
            bytes: *mut c_char,
            flags: c_uint,
        ) -> c_int;
        pub(super) fn libsoccr_set_addr(
            sk: Sk,
            itself: c_int,
            addr: *mut Address,
            flags: c_uint,
        ) -> c_int;

        pub(super) fn libsoccr_get_sk_data(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_set_sk_data_unbound(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_set_sk_data_noq(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_set_sk_data(sk: Sk, data: Data, size: c_uint) -> c_int;
        pub(super) fn libsoccr_staged_get_queue_bytes(
            sk: Sk,
            queue: c_int,
            steal: c_int,
        ) -> *mut c_char;
        pub(super) fn libsoccr_staged_set_queue_bytes(
            sk: Sk,
            data: Data,
            size: c_uint,
            queue: c_int,
            bytes: *mut c_char,
        ) -> c_int;
    }
}

unsafe extern "C" {
    /// Of the C library. It is declared there with an `int`, which is 1 or 2 here, and returns a number, which nobody looks
    /// at: no calling convention of Linux tells that from what a log is.
    fn dprintf(descriptor: c_uint, format: *const c_char, ...);
}

/// The address of a symbol as a function of this type.
macro_rules! function {
    ($object:expr, $name:literal, $type:ty) => {{
        let symbol = $object.symbol($name)?;
        // SAFETY: it is not NULL; that it is a function of this type is what its name says.
        unsafe { std::mem::transmute::<*mut c_void, $type>(symbol) }
    }};
}

/// What both interfaces have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    set_log: SetLog,
    pause: Pause,
    resume: End,
    release: End,
}

impl Common {
    pub(super) fn linked() -> Self {
        Self {
            set_log: ours::libsoccr_set_log,
            pause: ours::libsoccr_pause,
            resume: ours::libsoccr_resume,
            release: ours::libsoccr_release,
        }
    }

    pub(super) fn of(object: &Object) -> Result<Self, NotOpened> {
        Ok(Self {
            set_log: function!(object, c"libsoccr_set_log", SetLog),
            pause: function!(object, c"libsoccr_pause", Pause),
            resume: function!(object, c"libsoccr_resume", End),
            release: function!(object, c"libsoccr_release", End),
        })
    }

    pub(super) fn log_errors(&self) {
        const ERRORS: c_uint = 1;
        // SAFETY: a function that takes what the library gives it, and lives as long as the process.
        unsafe { (self.set_log)(ERRORS, Some(dprintf)) };
    }

    pub(super) fn pause(&self, fd: c_int) -> Sk {
        // SAFETY: any number may be given.
        unsafe { (self.pause)(fd) }
    }

    pub(super) fn resume(&self, sk: Sk) {
        // SAFETY: a handle of this library that has not ended; its owner forgets it with this call.
        unsafe { (self.resume)(sk) };
    }

    pub(super) fn release(&self, sk: Sk) {
        // SAFETY: as for `resume`.
        unsafe { (self.release)(sk) };
    }
}

/// What today's interface has besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Today {
    pub(super) save: WithData,
    pub(super) restore: WithData,
    pub(super) get_queue_bytes: GetBytes,
    pub(super) set_queue_bytes: SetBytes,
    pub(super) set_addr: SetAddr,
}

impl Today {
    pub(super) fn linked() -> Self {
        Self {
            save: ours::libsoccr_save,
            restore: ours::libsoccr_restore,
            get_queue_bytes: ours::libsoccr_get_queue_bytes,
            set_queue_bytes: ours::libsoccr_set_queue_bytes,
            set_addr: ours::libsoccr_set_addr,
        }
    }

    pub(super) fn of(object: &Object) -> Result<Self, NotOpened> {
        Ok(Self {
            save: function!(object, c"libsoccr_save", WithData),
            restore: function!(object, c"libsoccr_restore", WithData),
            get_queue_bytes: function!(object, c"libsoccr_get_queue_bytes", GetBytes),
            set_queue_bytes: function!(object, c"libsoccr_set_queue_bytes", SetBytes),
            set_addr: function!(object, c"libsoccr_set_addr", SetAddr),
        })
    }
}

/// What the staged interface has besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staged {
    pub(super) get_sk_data: WithData,
    pub(super) set_sk_data_unbound: WithData,
    pub(super) set_sk_data_noq: WithData,
    pub(super) set_sk_data: WithData,
    pub(super) get_queue_bytes: StagedGetBytes,
    pub(super) set_queue_bytes: StagedSetBytes,
}

impl Staged {
    pub(super) fn linked() -> Self {
        Self {
            get_sk_data: ours::libsoccr_get_sk_data,
            set_sk_data_unbound: ours::libsoccr_set_sk_data_unbound,
            set_sk_data_noq: ours::libsoccr_set_sk_data_noq,
            set_sk_data: ours::libsoccr_set_sk_data,
            get_queue_bytes: ours::libsoccr_staged_get_queue_bytes,
            set_queue_bytes: ours::libsoccr_staged_set_queue_bytes,
        }
    }
}
