//! The record of the socket options: by their names in the kernel's headers, as their numbers differ between
//! architectures, and with their values in little-endian words, as `getsockopt` gives them in those of the host.

use super::error::ImageError;
use super::fields::{Fields, Writer};
use super::records::Record;
use crate::losses::{Loss, Lost};
use crate::raw::Opt;
use crate::sockopts::SocketOption;

/// What the application has set on its socket.
#[derive(Default)]
pub(super) struct SocketOptions {
    pub(super) known: Vec<SocketOption>,
    /// Those in an image that this version does not carry. Never written.
    pub(super) unknown: Vec<Loss>,
}

/// The longest name that is read: what is not known is named in a loss, and is no place for megabytes.
const LONGEST_NAME: usize = 64;

impl SocketOptions {
    pub(super) fn of(options: &[SocketOption]) -> Self {
        Self {
            known: options.to_vec(),
            unknown: Vec::new(),
        }
    }
}

impl Record for SocketOptions {
    const TAG: u16 = 10;
    const NAME: &'static str = "socket_options";

    fn write(&self, to: &mut Writer) {
        to.list(&self.known, |to, SocketOption { option, value }| {
            let width = width(*option, value);
            to.bytes(option.label().as_bytes());
            to.u8(width);
            to.bytes(&swapped(value, width, cfg!(target_endian = "big")));
        });
    }

    fn read(from: &mut Fields<'_>) -> Result<Self, ImageError> {
        // A name, a width and a value, name and value without a byte.
        const LEAST: usize = 2 * size_of::<u64>() + 1;
        let count = from.count("socket_options", LEAST)?;
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let name = read_name(from)?;
            let value = read_value(from)?;
            match SocketOption::named(name) {
                Some(option) => known.push(SocketOption { option, value }),
                None => {
                    let detail =
                        format!("{name:?} of the image is not one that this version carries");
                    unknown.push(Loss::new(Lost::SocketOption, detail));
                }
            }
        }
        Ok(Self { known, unknown })
    }
}

fn read_name<'a>(from: &mut Fields<'a>) -> Result<&'a str, ImageError> {
    let offset = from.offset();
    let name = from.text("socket_options.option")?;
    if name.len() > LONGEST_NAME {
        return Err(ImageError::Value {
            field: "socket_options.option",
            offset,
            value: format!("{} bytes", name.len()),
            rule: "must be at most 64 bytes long",
        });
    }
    Ok(name)
}

fn read_value(from: &mut Fields<'_>) -> Result<Vec<u8>, ImageError> {
    let known = |width| [1, 4, 8].contains(&width).then_some(width);
    let rule = "must be a width of 1, 4 or 8 bytes";
    let width = from.checked("socket_options.width", rule, Fields::u8, known)?;
    let offset = from.offset();
    let value = from.bytes("socket_options.value")?;
    if value.len() % usize::from(width) != 0 {
        return Err(ImageError::Value {
            field: "socket_options.value",
            offset,
            value: format!("{} bytes", value.len()),
            rule: "must be a multiple of socket_options.width",
        });
    }
    Ok(swapped(value, width, cfg!(target_endian = "big")))
}

/// The width of the words that a value is made of, bytes.
fn width(option: Opt, value: &[u8]) -> u8 {
    let width = match option {
        Opt::TCP_CONGESTION | Opt::SO_BINDTODEVICE | Opt::IP_OPTIONS => 1,
        // Two `long`s, and one.
        Opt::SO_RCVTIMEO | Opt::SO_SNDTIMEO | Opt::SO_MAX_PACING_RATE => size_of::<libc::c_long>(),
        _ => size_of::<libc::c_int>(),
    };
    match value.len() % width {
        0 => width as u8,
        // No kernel has such a value: it is kept as it is.
        _ => 1,
    }
}

/// A value whose words have their bytes in the other order, where `swap` asks for it.
fn swapped(value: &[u8], width: u8, swap: bool) -> Vec<u8> {
    let mut value = value.to_vec();
    if swap {
        for word in value.chunks_mut(width.into()) {
            word.reverse();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockopts::carried;

    fn round_trip(option: Opt, value: &[u8]) -> (Vec<SocketOption>, Vec<u8>) {
        let mut writer = Writer { bytes: Vec::new() };
        let value = value.to_vec();
        SocketOptions::of(&[SocketOption { option, value }]).write(&mut writer);
        let mut fields = Fields::new(&writer.bytes, 0);
        let read = SocketOptions::read(&mut fields).unwrap();
        assert_eq!((fields.left(), read.unknown), (0, Vec::new()));
        (read.known, writer.bytes)
    }

    #[test]
    fn every_carried_option_comes_back_whatever_the_length_of_its_value() {
        for option in carried() {
            for length in 0..17 {
                let value: Vec<u8> = (1..=length).collect();
                let (read, _) = round_trip(option, &value);
                assert_eq!(read, [SocketOption { option, value }]);
            }
        }
    }

    #[test]
    fn numbers_are_words_and_names_are_not() {
        let width = |option: Opt, value: &[u8]| {
            let name = size_of::<u64>() + option.label().len();
            round_trip(option, value).1[size_of::<u64>() + name]
        };
        assert_eq!(width(Opt::SO_LINGER, &[0; 8]), 4);
        assert_eq!(width(Opt::SO_LINGER, &[0; 7]), 1);
        assert_eq!(width(Opt::TCP_CONGESTION, b"cubic\0\0\0"), 1);
        assert_eq!(width(Opt::SO_BINDTODEVICE, b"eth0"), 1);
        assert_eq!(width(Opt::IP_OPTIONS, &[1; 4]), 1);
        let long = size_of::<libc::c_long>();
        assert_eq!(usize::from(width(Opt::SO_RCVTIMEO, &[0; 16])), long);
        assert_eq!(usize::from(width(Opt::SO_MAX_PACING_RATE, &[0; 8])), long);
    }

    #[test]
    fn the_bytes_of_every_word_are_swapped_on_a_big_endian_host_and_on_no_other() {
        let value = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(swapped(&value, 4, false), value);
        assert_eq!(swapped(&value, 1, true), value);
        assert_eq!(swapped(&value, 4, true), [4, 3, 2, 1, 8, 7, 6, 5]);
        assert_eq!(swapped(&value, 8, true), [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
