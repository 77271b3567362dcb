//! The border between C and Rust: no panic crosses it, and what has failed is in `errno` and in the log.

use crate::fault::Fault;
use crate::log;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call that has failed: what it returns, and why.
pub(crate) struct Failed<T> {
    pub(crate) returns: T,
    pub(crate) fault: Fault,
}

impl<T> Failed<T> {
    pub(crate) fn new(returns: T, fault: impl Into<Fault>) -> Self {
        Self {
            returns,
            fault: fault.into(),
        }
    }
}

/// Does the work of the function `name`; after a panic it returns `panicked`.
pub(crate) fn enter<T>(name: &str, panicked: T, work: impl FnOnce() -> Result<T, Failed<T>>) -> T {
    // What a panic leaves half done is a handle that is good for nothing but to be released.
    let failed = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return value,
        Ok(Err(failed)) => failed,
        Err(_) => {
            let message = "panicked, which is a defect of the library: please report it";
            Failed::new(panicked, Fault::new(libc::EIO, message))
        }
    };
    log::error(&format!("{name}: {}", failed.fault));
    // After the log, which may change it.
    set_errno(failed.fault.errno);
    failed.returns
}

fn set_errno(errno: i32) {
    // SAFETY: the C library gives the address of this thread's `errno`, which is there as long as the thread.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it is an `int` that only this thread uses.
    unsafe { *place = errno };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno() -> i32 {
        std::io::Error::last_os_error().raw_os_error().unwrap()
    }

    #[test]
    fn what_has_failed_is_returned_with_its_errno() {
        let failed = || Err(Failed::new(-3, Fault::new(libc::ENODEV, "no such thing")));
        assert_eq!(enter("f", -1, failed), -3);
        assert_eq!(errno(), libc::ENODEV);
        assert_eq!(enter("f", -1, || Ok(7)), 7);
    }

    #[test]
    fn a_panic_is_an_error_to_the_caller() {
        assert_eq!(enter("f", -1, || panic!("on purpose")), -1);
        assert_eq!(errno(), libc::EIO);
    }
}
