//! A kernel of paper: it takes every call, remembers what it was given, and does nothing.
//!
//! It stands between the library and the kernel on the threads that [`record`] on it. What is asked of a socket is answered by
//! what was set on it before.

use soccr::faults::{Call, Interceptor, intercept};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Once;

/// A call that was made: its name, and what the kernel was given.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// What was made so far, and what each option of each socket was set to.
#[derive(Default)]
struct Paper {
    made: Vec<Made>,
    set: HashMap<(i32, String), Vec<u8>>,
}

thread_local! {
    static PAPER: RefCell<Option<Paper>> = const { RefCell::new(None) };
}

/// Runs `work`, none of whose calls on sockets reaches the kernel; returns them.
pub(super) fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<Made>) {
    static BETWEEN: Once = Once::new();
    BETWEEN.call_once(|| intercept(Between).expect("nobody else stands there"));
    PAPER.set(Some(Paper::default()));
    let result = work();
    let paper = PAPER.take().unwrap_or_default();
    (result, paper.made)
}

/// How many calls were made so far.
pub(super) fn made() -> usize {
    PAPER.with_borrow(|paper| paper.as_ref().map_or(0, |paper| paper.made.len()))
}

struct Between;

impl Interceptor for Between {
    fn call(&self, call: &mut Call<'_>) -> io::Result<usize> {
        let answer = PAPER.with_borrow_mut(|paper| paper.as_mut().map(|paper| paper.call(call)));
        answer.unwrap_or_else(|| call.make())
    }
}

impl Paper {
    fn call(&mut self, call: &mut Call<'_>) -> io::Result<usize> {
        let (name, socket) = (call.name(), call.socket().as_raw_fd());
        if let Some(option) = inside(name, "getsockopt") {
            return Ok(self.get(socket, option, call.bytes()));
        }
        let bytes = call.bytes().to_vec();
        if let Some(option) = inside(name, "setsockopt") {
            self.set(socket, option, &bytes);
        }
        let length = bytes.len();
        self.made.push(Made { name, bytes });
        Ok(length)
    }

    fn set(&mut self, socket: i32, option: &str, value: &[u8]) {
        // The kernel doubles what it is given for the size of a buffer, and answers by another name.
        let (option, value) = match option.strip_suffix("FORCE").unwrap_or(option) {
            size @ ("SO_SNDBUF" | "SO_RCVBUF") => {
                let doubled = number(value).wrapping_mul(2);
                (size, doubled.to_ne_bytes().to_vec())
            }
            other => (other, value.to_vec()),
        };
        self.set.insert((socket, option.to_owned()), value);
    }

    fn get(&self, socket: i32, option: &str, room: &mut [u8]) -> usize {
        if option == "TCP_INFO" {
            return self.info(socket, room);
        }
        let key = (socket, option.to_owned());
        let unset = vec![0; room.len()];
        let value = self.set.get(&key).unwrap_or(&unset);
        let length = value.len().min(room.len());
        room[..length].copy_from_slice(&value[..length]);
        length
    }

    /// The structure of a kernel that knows its first eight bytes: ESTABLISHED, and which clock was set.
    fn info(&self, socket: i32, room: &mut [u8]) -> usize {
        const ESTABLISHED: u8 = 1;
        const MICROSECONDS: u8 = 64;
        let clock = self.set.get(&(socket, "TCP_TIMESTAMP".to_owned()));
        let counts = clock.is_some_and(|value| number(value) & 1 != 0);
        let info = [
            ESTABLISHED,
            0,
            0,
            0,
            0,
            u8::from(counts) * MICROSECONDS,
            0,
            0,
        ];
        let length = info.len().min(room.len());
        room[..length].copy_from_slice(&info[..length]);
        length
    }
}

/// The option of a call by this name.
fn inside<'a>(name: &'a str, call: &str) -> Option<&'a str> {
    let option = name.strip_prefix(call)?;
    option.strip_prefix('(')?.strip_suffix(')')
}

/// The number that an option was set to.
pub(super) fn number(value: &[u8]) -> u32 {
    let word = value.first_chunk::<4>();
    word.map_or(0, |word| u32::from_ne_bytes(*word))
}
