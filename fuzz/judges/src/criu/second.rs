//! The second decoder: rust-protobuf reads the wire, [`schema`](super::schema) says what is on it, and CRIU's rules are
//! applied: fields of another type and groups are refused (protobuf-c refuses them), unknown fields are skipped, numbers are
//! cut to their width, of a field that comes twice the last counts, and a message in pieces is merged.

use super::schema::{Field, Kind, Message, TCP_STREAM};
use protobuf::CodedInputStream;

/// How a field is encoded; 3 and 4 are groups.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// The numbers of the kinds of files, and what all begin with since version 1.1 (`criu/include/magic.h`).
const COMMON: u32 = 0x5456_4319;
pub(super) const FILES: u32 = 0x5630_3138;
pub(super) const INETSK: u32 = 0x5644_3851;
const STREAM: u32 = 0x5146_5506;

/// A message that was read: a value for each field of its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read(pub(super) Vec<Value>);

/// What is in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The field is not there.
    None,
    /// A number, or a yes or no.
    Number(u64),
    Bytes(Vec<u8>),
    Numbers(Vec<u64>),
    Message(Read),
}

/// A `tcp-stream` image: its message and both queues.
pub(super) fn stream(bytes: &[u8]) -> Option<(Read, Vec<u8>, Vec<u8>)> {
    let rest = opened(bytes, STREAM)?;
    let (message, rest) = framed(rest)?;
    let message = decode(message, &TCP_STREAM)?;
    let length = |at: usize| match message.0[at] {
        Value::Number(length) => length as usize,
        _ => 0,
    };
    let (received, sent) = (length(0), length(2));
    let (receive, rest) = rest.split_at_checked(received)?;
    let (send, rest) = rest.split_at_checked(sent)?;
    rest.is_empty()
        .then(|| (message, receive.to_vec(), send.to_vec()))
}

/// A file of messages.
pub(super) fn messages(bytes: &[u8], magic: u32, schema: &Message) -> Option<Vec<Read>> {
    let mut rest = opened(bytes, magic)?;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (message, behind) = framed(rest)?;
        messages.push(decode(message, schema)?);
        rest = behind;
    }
    Some(messages)
}

/// What is behind the numbers that a file of a kind begins with.
fn opened(bytes: &[u8], magic: u32) -> Option<&[u8]> {
    let (first, rest) = number(bytes)?;
    let (kind, rest) = match first {
        COMMON => number(rest)?,
        kind => (kind, rest),
    };
    (kind == magic).then_some(rest)
}

/// A message behind its length, and what is behind that.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(length as usize)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// Decodes a message; `None` where CRIU would refuse it.
fn decode(bytes: &[u8], schema: &Message) -> Option<Read> {
    let mut read = Read::of(schema);
    merge(bytes, schema, &mut read)?;
    read.is_complete(schema).then_some(read)
}

/// Decodes a message, or a piece of one, into what is there of it.
fn merge(bytes: &[u8], schema: &Message, into: &mut Read) -> Option<()> {
    let mut input = CodedInputStream::from_bytes(bytes);
    while !input.eof().ok()? {
        let (number, wire) = key(&mut input)?;
        let at = schema.fields.iter().position(|it| it.number == number);
        match at {
            None => skip(&mut input, wire)?,
            Some(at) => read(&mut input, wire, schema.fields[at].kind, &mut into.0[at])?,
        }
    }
    Some(())
}

impl Read {
    /// Of which nothing was read.
    fn of(schema: &Message) -> Self {
        let unset = |field: &Field| match field.kind {
            // A row has no numbers, where it is not there.
            Kind::Uint32s | Kind::Fixed64s => Value::Numbers(Vec::new()),
            _ => Value::None,
        };
        Self(schema.fields.iter().map(unset).collect())
    }

    /// Whether nothing is missing without which CRIU refuses it.
    fn is_complete(&self, schema: &Message) -> bool {
        let fields = schema.fields.iter().zip(&self.0);
        fields
            .into_iter()
            .all(|(field, value)| match (field.kind, value) {
                (_, Value::None) => !field.required,
                (Kind::Message(schema), Value::Message(read)) => read.is_complete(schema),
                _ => true,
            })
    }
}

/// Number and encoding of the field that comes next.
fn key(input: &mut CodedInputStream<'_>) -> Option<(u32, u8)> {
    let key = u32::try_from(varint(input, VARINT)?).ok()?;
    let number = key >> 3;
    (number > 0).then_some((number, (key & 7) as u8))
}

/// Reads one occurrence of a field.
fn read(input: &mut CodedInputStream<'_>, wire: u8, kind: Kind, value: &mut Value) -> Option<()> {
    match kind {
        Kind::Bool => *value = Value::Number(u64::from(varint(input, wire)? != 0)),
        Kind::Uint64 => *value = Value::Number(varint(input, wire)?),
        // A negative number has all ten bytes; its width is cut all the same.
        Kind::Int32 | Kind::Uint32 => *value = Value::Number(cut(varint(input, wire)?)),
        Kind::Bytes => *value = Value::Bytes(bytes_of(input, wire)?),
        Kind::Uint32s | Kind::Fixed64s => {
            if let Value::Numbers(numbers) = value {
                several(input, wire, kind, numbers)?;
            }
        }
        Kind::Message(schema) => {
            let piece = bytes_of(input, wire)?;
            let mut read = match std::mem::replace(value, Value::None) {
                Value::Message(read) => read,
                _ => Read::of(schema),
            };
            merge(&piece, schema, &mut read)?;
            *value = Value::Message(read);
        }
    }
    Some(())
}

/// One of a row of numbers, or many of them, packed.
fn several(
    input: &mut CodedInputStream<'_>,
    wire: u8,
    kind: Kind,
    numbers: &mut Vec<u64>,
) -> Option<()> {
    if wire != DELIMITED {
        numbers.push(one(input, wire, kind)?);
        return Some(());
    }
    let packed = bytes_of(input, wire)?;
    let mut packed = CodedInputStream::from_bytes(&packed);
    let wire = match kind {
        Kind::Fixed64s => FIXED64,
        _ => VARINT,
    };
    while !packed.eof().ok()? {
        numbers.push(one(&mut packed, wire, kind)?);
    }
    Some(())
}

fn one(input: &mut CodedInputStream<'_>, wire: u8, kind: Kind) -> Option<u64> {
    match (kind, wire) {
        (Kind::Fixed64s, FIXED64) => input.read_fixed64().ok(),
        (Kind::Fixed64s, _) => None,
        _ => varint(input, wire).map(cut),
    }
}

fn cut(number: u64) -> u64 {
    u64::from(number as u32)
}

fn varint(input: &mut CodedInputStream<'_>, wire: u8) -> Option<u64> {
    match wire {
        VARINT => input.read_raw_varint64().ok(),
        _ => None,
    }
}

fn bytes_of(input: &mut CodedInputStream<'_>, wire: u8) -> Option<Vec<u8>> {
    let length = varint(input, VARINT).filter(|_| wire == DELIMITED)?;
    input.read_raw_bytes(u32::try_from(length).ok()?).ok()
}

fn skip(input: &mut CodedInputStream<'_>, wire: u8) -> Option<()> {
    match wire {
        VARINT => varint(input, wire).map(drop),
        FIXED64 => input.read_fixed64().ok().map(drop),
        FIXED32 => input.read_fixed32().ok().map(drop),
        DELIMITED => bytes_of(input, wire).map(drop),
        _ => None,
    }
}
