//! The C interface under calls that no caller should make, on real sockets: each is refused with an `errno`, or does what it
//! says; no panic, no memory but what was given, no descriptor kept, and a connection that was only looked at runs on.
//!
//! An input is decoded by `arbitrary` into a list of calls. What is undefined in C, too, is left out
//! (`soccr_capi::client::careless`). Under libFuzzer the library has AddressSanitizer in it, and what it is given has not one
//! byte more than is said.

mod sockets;

use crate::world;
use arbitrary::{Arbitrary, Unstructured};
use soccr_capi::client::careless::{Answer, Careless, WithData};
use sockets::{Kind, Sockets};

/// More calls say nothing new.
const MOST: usize = 60;
/// The size of the structure, bytes.
const SIZE: usize = 68;

/// A call. Handles are meant by their places, and a place where there is none means null.
#[derive(Arbitrary, Debug)]
enum Call {
    Pause(Kind),
    Resume(u8),
    Release(u8),
    /// With room for so many bytes.
    Save(u8, bool, Option<u8>),
    WithData(u8, Which, Data),
    GetQueueBytes(u8, bool, i8, Flags),
    SetQueueBytes(u8, i8, Option<Vec<u8>>, Flags),
    StagedSetQueueBytes(u8, i8, Data, Option<Vec<u8>>),
    SetAddr(u8, bool, Option<Address>, Flags),
    GetAddr(u8, bool, Flags),
    /// What the caller of the staged interface does himself.
    Bind,
    Connect,
    CloseFresh,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Which {
    Restore,
    Unbound,
    NoQueue,
    All,
}

/// Mostly those that there are.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Flags {
    None,
    Exclusive,
    Any(u32),
}

/// The structure: one that can be restored, with changes, of any length; or null.
#[derive(Arbitrary, Debug)]
struct Data {
    null: bool,
    /// Numbers at their places.
    changes: Vec<(u8, Number)>,
    /// How much longer or shorter it is.
    longer: i8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Small(u8),
    Any(u32),
    Near(i8),
}

/// An address: of the lab, with changes.
#[derive(Arbitrary, Debug)]
struct Address {
    which: u8,
    changes: Vec<(u8, u8)>,
}

/// The calls that an input is.
fn calls(input: &[u8]) -> Vec<Call> {
    let mut input = Unstructured::new(input);
    let calls = input.arbitrary_iter().into_iter().flatten();
    calls.take(MOST).map_while(Result::ok).collect()
}

/// Says what an input is.
pub fn describe(input: &[u8]) -> String {
    format!("{:#?}", calls(input))
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    let calls = calls(input);
    let host = world::hosts().a();
    let before = world::descriptors();
    let mut trial = Trial::default();
    let run = || {
        calls.iter().for_each(|call| trial.make(call));
        trial.end();
    };
    host.enter(run).expect("a host");
    assert_eq!(world::descriptors(), before, "descriptors are left");
}

#[derive(Default)]
struct Trial {
    sockets: Sockets,
    caller: Careless,
}

impl Trial {
    fn make(&mut self, call: &Call) {
        let Self { sockets, caller } = self;
        match call {
            Call::Pause(kind) => {
                let answer = caller.pause(sockets.descriptor(*kind));
                typed(answer);
                let can_be = matches!(kind, Kind::Connected | Kind::Fresh | Kind::Fresh6);
                assert_eq!(answer.returned == 0, can_be, "{kind:?}: {answer:?}");
            }
            Call::Resume(at) => caller.end((*at).into(), true),
            Call::Release(at) => caller.end((*at).into(), false),
            Call::Save(at, staged, room) => {
                let (answer, written) = caller.save((*at).into(), *staged, room.map(Into::into));
                typed(answer);
                saved(answer, &written);
            }
            Call::WithData(at, which, data) => {
                let which = match which {
                    Which::Restore => WithData::Restore,
                    Which::Unbound => WithData::SetSkDataUnbound,
                    Which::NoQueue => WithData::SetSkDataNoq,
                    Which::All => WithData::SetSkData,
                };
                let bytes = data.bytes();
                let (answer, same) = caller.with_data((*at).into(), which, bytes.as_deref());
                typed(answer);
                assert!(same, "the numbers of the caller were changed");
                let whole = bytes.is_some_and(|bytes| bytes.len() >= SIZE);
                assert!(whole || answer.returned == -1, "{answer:?}");
            }
            Call::GetQueueBytes(at, staged, queue, flags) => {
                let (queue, flags) = ((*queue).into(), flags.number());
                let got = caller.get_queue_bytes((*at).into(), *staged, queue, flags);
                assert!(got.returned == 0 || got.errno != libc::EIO);
            }
            Call::SetQueueBytes(at, queue, bytes, flags) => {
                let (queue, flags) = ((*queue).into(), flags.number());
                typed(caller.set_queue_bytes((*at).into(), queue, bytes.as_deref(), flags));
            }
            Call::StagedSetQueueBytes(at, queue, data, bytes) => {
                let (at, queue) = ((*at).into(), (*queue).into());
                let data = data.bytes();
                typed(caller.staged_set_queue_bytes(at, queue, data.as_deref(), bytes.as_deref()));
            }
            Call::SetAddr(at, local, address, flags) => {
                let address = address.as_ref().map(Address::bytes);
                let local = (*local).into();
                typed(caller.set_addr((*at).into(), local, address.as_ref(), flags.number()));
            }
            Call::GetAddr(at, local, flags) => {
                let got = caller.get_addr((*at).into(), (*local).into(), flags.number());
                assert!(got.returned == 0 || got.errno != libc::EIO);
            }
            Call::Bind => sockets.bind(),
            Call::Connect => sockets.connect(),
            Call::CloseFresh => sockets.close_fresh(),
        }
    }

    /// Every handle ends, half of them by a resume; what was a connection all the time still is one.
    fn end(mut self) {
        while self.caller.handles() > 1 {
            self.caller.end(1, false);
        }
        self.caller.end(0, true);
        drop(self.caller);
        self.sockets.judge();
    }
}

/// A failure says why, and a panic of the library would say `EIO`.
fn typed(answer: Answer) {
    assert!(answer.returned >= 0 || answer.errno != 0, "{answer:?}");
    assert!(answer.errno != libc::EIO, "{answer:?}: a panic");
}

/// What is beyond the structure is zeroed, and nothing at all is written where the size is wrong or there is no handle.
fn saved(answer: Answer, written: &[u8]) {
    match answer.returned {
        returned if returned > 0 => {
            assert_eq!(returned, SIZE as i32);
            assert!(written[SIZE..].iter().all(|&byte| byte == 0));
        }
        -1 => assert!(written.iter().all(|&byte| byte == 0x55)),
        -6..=-2 => assert!(written.iter().all(|&byte| byte == 0)),
        other => panic!("a save does not return {other}"),
    }
}

impl Flags {
    fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Exclusive => soccr_capi::SOCCR_MEM_EXCL,
            Self::Any(flags) => flags,
        }
    }
}

impl Data {
    fn bytes(&self) -> Option<Vec<u8>> {
        if self.null {
            return None;
        }
        // Established, ten bytes received, twenty written, five of them not sent, windows.
        let mut numbers = [
            1, 10, 1000, 20, 500, 5, 7, 1460, 7, 9, 4000, 1, 900, 4000, 6000, 6000, 1000,
        ];
        for (at, number) in &self.changes {
            let place = &mut numbers[usize::from(*at) % 17];
            *place = match *number {
                Number::Small(number) => number.into(),
                Number::Any(number) => number,
                Number::Near(by) => place.wrapping_add_signed(by.into()),
            };
        }
        let mut bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|it| u32::to_ne_bytes(*it))
            .collect();
        bytes.resize(SIZE.saturating_add_signed(self.longer.into()), 0xff);
        Some(bytes)
    }
}

impl Address {
    fn bytes(&self) -> [u8; 28] {
        let mut bytes = sockets::address(self.which);
        for (at, byte) in &self.changes {
            bytes[usize::from(*at) % 28] = *byte;
        }
        bytes
    }
}
