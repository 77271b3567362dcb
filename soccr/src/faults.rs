//! System calls that fail on purpose, for tests of what the library does then.
//!
//! Every system call of a save or a restore has a number: its place among those that the thread makes while a
//! plan is in force. `record` tells their names, so that a test can let each of them fail in turn.
//!
//! A defect of the library, for a suite that has to find it, is an `Interceptor`: it stands between the library and the
//! kernel, on all threads, and may change what passes. Only with the feature `faults`; without it nothing of this is
//! compiled into the calls.

#[cfg(feature = "faults")]
mod interceptor;

#[cfg(feature = "faults")]
pub use enabled::{Fault, Lack, lacking, meanwhile_at, record, strike_at};
#[cfg(feature = "faults")]
pub use interceptor::{AlreadyIntercepted, Call, Interceptor, intercept};

#[cfg(feature = "faults")]
pub(crate) use enabled::{missing, shorten, strike};
#[cfg(feature = "faults")]
pub(crate) use interceptor::{by_hand, fill, give, imaged, refused, released, resumed, saved};

#[cfg(not(feature = "faults"))]
pub(crate) use disabled::{by_hand, fill, give, imaged, refused, released, resumed, saved};

/// Without the feature no call ever fails on purpose.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) fn strike(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// Without the feature nothing is cut short on purpose.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) fn shorten(length: usize) -> usize {
    length
}

/// Without the feature nobody stands between.
#[cfg(not(feature = "faults"))]
mod disabled {
    use crate::error::Error;
    use crate::snapshot::Snapshot;
    use std::io;
    use std::os::fd::BorrowedFd;

    #[inline]
    pub(crate) fn give(
        _name: &'static str,
        _socket: BorrowedFd<'_>,
        bytes: &[u8],
        mut make: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        make(bytes)
    }

    #[inline]
    pub(crate) fn fill(
        _name: &'static str,
        _socket: BorrowedFd<'_>,
        room: &mut [u8],
        mut make: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        make(room)
    }

    #[inline]
    pub(crate) fn by_hand<T>(f: impl FnOnce() -> T) -> T {
        f()
    }

    #[inline]
    pub(crate) fn saved(_socket: BorrowedFd<'_>, _snapshot: &mut Snapshot) {}

    #[inline]
    pub(crate) fn released(_socket: BorrowedFd<'_>) {}

    #[inline]
    pub(crate) fn resumed(_socket: BorrowedFd<'_>) {}

    #[inline]
    pub(crate) fn imaged(_image: &mut Vec<u8>) {}

    #[inline]
    pub(crate) fn refused(error: Error) -> Result<(), Error> {
        Err(error)
    }
}

#[cfg(feature = "faults")]
mod enabled {
    use std::cell::RefCell;
    use std::io;

    /// What happens to a system call instead of itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Fault {
        /// It fails with this `errno`, and does nothing.
        Errno(i32),
        /// It is given half of its bytes. Calls that neither send nor receive are made as usual.
        Short,
        /// The process is killed before it (`SIGKILL`).
        Kill,
    }

    #[derive(Default)]
    struct Plan {
        /// The number of the call, from 0, and what happens to it.
        strike: Option<(usize, Fault)>,
        seen: Vec<&'static str>,
        /// Whether the next transfer is cut short.
        short: bool,
        /// What happens before the call with this number.
        meanwhile: Option<(usize, Meanwhile)>,
        /// What the kernel does not have.
        lack: Option<Lack>,
        /// How many calls were about that.
        lacked: usize,
    }

    type Meanwhile = Box<dyn FnOnce()>;

    /// Something that a kernel does not have: the `errno` of a call that is about it, by its name and the bytes that the
    /// kernel is given.
    pub type Lack = fn(&'static str, &[u8]) -> Option<i32>;

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// Ends the plan also where the code under test panics.
    struct Reset;

    impl Drop for Reset {
        fn drop(&mut self) {
            PLAN.set(None);
        }
    }

    /// Runs `f` and tells the names of the system calls that it has made on this thread, in their order.
    pub fn record<T>(f: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        let (result, plan) = run(Plan::default(), f);
        (result, plan.seen)
    }

    /// Runs `f` with a fault in the place of its system call number `number`, counted from 0; tells the names of the
    /// calls that were made or struck.
    pub fn strike_at<T>(
        number: usize,
        fault: Fault,
        f: impl FnOnce() -> T,
    ) -> (T, Vec<&'static str>) {
        let plan = Plan {
            strike: Some((number, fault)),
            ..Plan::default()
        };
        let (result, plan) = run(plan, f);
        (result, plan.seen)
    }

    /// Runs `f`, and `meanwhile` just before its system call number `number`, counted from 0: something that the world
    /// does while the library is at work. The calls of `meanwhile` have no numbers.
    pub fn meanwhile_at<T>(
        number: usize,
        meanwhile: impl FnOnce() + 'static,
        f: impl FnOnce() -> T,
    ) -> T {
        let plan = Plan {
            meanwhile: Some((number, Box::new(meanwhile))),
            ..Plan::default()
        };
        run(plan, f).0
    }

    /// Runs `f` as on a kernel that does not have something: every call that is about it fails. Returns how many did, too.
    pub fn lacking<T>(lack: Lack, f: impl FnOnce() -> T) -> (T, usize) {
        let plan = Plan {
            lack: Some(lack),
            ..Plan::default()
        };
        let (result, plan) = run(plan, f);
        (result, plan.lacked)
    }

    /// Runs `f` by a plan; what is left of the plan.
    fn run<T>(plan: Plan, f: impl FnOnce() -> T) -> (T, Plan) {
        PLAN.set(Some(plan));
        let reset = Reset;
        let result = f();
        let plan = PLAN.take().unwrap_or_default();
        drop(reset);
        (result, plan)
    }

    /// What becomes of the call that is about to be made.
    pub(crate) fn strike(name: &'static str) -> io::Result<()> {
        pass_meanwhile();
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            let number = plan.seen.len();
            plan.seen.push(name);
            plan.short = false;
            match plan.strike {
                Some((at, fault)) if at == number => match fault {
                    Fault::Errno(errno) => Err(io::Error::from_raw_os_error(errno)),
                    Fault::Short => {
                        plan.short = true;
                        Ok(())
                    }
                    Fault::Kill => {
                        crate::sys::kill_self();
                        Ok(())
                    }
                },
                _ => Ok(()),
            }
        })
    }

    /// Does what is to happen before the next call, with no plan in force.
    fn pass_meanwhile() {
        let due = PLAN.with_borrow_mut(|plan| {
            let plan = plan.as_mut()?;
            let seen = plan.seen.len();
            plan.meanwhile.take_if(|(number, _)| *number == seen)
        });
        if let Some((_, meanwhile)) = due {
            let plan = PLAN.take();
            meanwhile();
            PLAN.set(plan);
        }
    }

    /// Fails for a call that is about something that the kernel does not have.
    pub(crate) fn missing(name: &'static str, bytes: &[u8]) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            match plan.lack.and_then(|lack| lack(name, bytes)) {
                Some(errno) => {
                    plan.lacked += 1;
                    Err(io::Error::from_raw_os_error(errno))
                }
                None => Ok(()),
            }
        })
    }

    /// How many bytes the call that is being made is given.
    pub(crate) fn shorten(length: usize) -> usize {
        let short = PLAN.with_borrow(|plan| plan.as_ref().is_some_and(|plan| plan.short));
        match short && length > 1 {
            true => length / 2,
            false => length,
        }
    }
}
