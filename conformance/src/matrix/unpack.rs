//! Compressed files, by the ends of their names.

use std::io::{self, Read};

/// Reads what is in a file of this name.
///
/// # Errors
/// `Unsupported` for an end that is none of `.xz`, `.zst`, `.tar` and `.ko`; what reading returns.
pub(super) fn unpacked<'a>(name: &str, bytes: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let end = name.rsplit('.').next().unwrap_or_default();
    Ok(match end {
        "xz" => Box::new(lzma_rust2::XzReader::new(bytes, true)),
        "zst" => {
            Box::new(ruzstd::decoding::StreamingDecoder::new(bytes).map_err(io::Error::other)?)
        }
        "tar" | "ko" => Box::new(bytes),
        _ => {
            let what = format!("{name}: only .xz and .zst can be unpacked");
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
    })
}
