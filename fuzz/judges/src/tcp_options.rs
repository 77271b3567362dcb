//! The walker of TCP options against another one (etherparse): the same options, or a refusal from both.
//!
//! An input is what follows the first twenty bytes of a TCP header. Two differences are allowed:
//!
//! - Options of other kinds than those of RFC 9293, RFC 7323 and RFC 2018 are kept by the lab and unknown to etherparse.
//!   They are stepped over here, by the length that they state.
//! - The lab says which of two things is wrong with an option, the length that it states or that there is not as much; the
//!   other one may name the other. It is only compared that both refuse.

use etherparse::{TcpOptionElement, TcpOptionReadError, TcpOptionsIterator};
use lab::{OptionError, TcpOption};

/// Judges an input.
pub fn judge(input: &[u8]) {
    let ours = TcpOption::decode(input);
    assert_eq!(ours.as_ref().ok(), theirs(input).as_ref(), "{ours:?}");
    match ours {
        Ok(options) => encoded(&options, input),
        Err(error) => refused(error, input),
    }
}

/// The options as etherparse walks over them; `None` where it refuses.
pub(crate) fn theirs(mut bytes: &[u8]) -> Option<Vec<TcpOption>> {
    let mut options = Vec::new();
    loop {
        let mut walker = TcpOptionsIterator::from_slice(bytes);
        let Some(element) = walker.next() else {
            return Some(options);
        };
        match element {
            Ok(element) => {
                options.extend(translated(element));
                bytes = walker.rest();
            }
            Err(TcpOptionReadError::UnknownId(kind)) => {
                let length = usize::from(*bytes.get(1)?);
                let data = bytes.get(2..length)?.to_vec();
                options.push(TcpOption::Unknown { kind, data });
                bytes = &bytes[length..];
            }
            Err(_) => return None,
        }
    }
}

fn translated(element: TcpOptionElement) -> Option<TcpOption> {
    Some(match element {
        TcpOptionElement::Noop => return None,
        TcpOptionElement::MaximumSegmentSize(bytes) => TcpOption::Mss(bytes),
        TcpOptionElement::WindowScale(shift) => TcpOption::WindowScale(shift),
        TcpOptionElement::SelectiveAcknowledgementPermitted => TcpOption::SackPermitted,
        TcpOptionElement::SelectiveAcknowledgement(first, others) => {
            let blocks = [first].into_iter().chain(others.into_iter().flatten());
            TcpOption::Sack(blocks.collect())
        }
        TcpOptionElement::Timestamp(value, echo_reply) => {
            TcpOption::Timestamps { value, echo_reply }
        }
    })
}

/// What was read is written as bytes that are read as the same, and are among those that it was read from.
fn encoded(options: &[TcpOption], input: &[u8]) {
    let mut all = Vec::new();
    for option in options {
        let bytes = option.encode();
        assert!(input.windows(bytes.len()).any(|place| place == bytes));
        assert!(!option.to_string().is_empty());
        all.extend(bytes);
    }
    assert_eq!(TcpOption::decode(&all).as_deref(), Ok(options));
}

/// The error is about a byte that is there, and about its kind.
fn refused(error: OptionError, input: &[u8]) {
    let (OptionError::TooShort { kind, at, .. }
    | OptionError::PastEnd { kind, at }
    | OptionError::WrongLength { kind, at, .. }) = error;
    assert_eq!(input[at], kind, "{error}");
    if let OptionError::TooShort { length, .. } | OptionError::WrongLength { length, .. } = error {
        assert_eq!(input[at + 1], length, "{error}");
    }
    // What stands before it is in order.
    assert!(TcpOption::decode(&input[..at]).is_ok());
}
