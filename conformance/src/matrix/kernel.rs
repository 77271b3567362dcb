//! A kernel that can be booted: its image, and where its modules are.

use super::error::{Doing, Error};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the boot protocol of x86 says what an image is (Documentation/arch/x86/boot.rst): the magic `HdrS`, and the place
/// of the version, less 0x200.
const MAGIC: usize = 0x202;
const VERSION: usize = 0x20e;
/// How much of an image is looked at for its release.
const LOOKED_AT: u64 = 64 << 20;
/// What stands before the release in the first line that a kernel prints.
const BANNER: &[u8] = b"Linux version ";

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` will print it.
    pub release: String,
    /// `bzImage`, or `vmlinux`.
    pub image: PathBuf,
    /// A folder with its modules somewhere below; without one, all that it needs is built in.
    pub modules: Option<PathBuf>,
}

impl Kernel {
    /// A kernel that was built, or that was unpacked.
    ///
    /// # Errors
    /// [`Error::Io`] when the image cannot be read; [`Error::Unfit`] when it is none.
    pub fn new(image: &Path, modules: Option<&Path>) -> Result<Self, Error> {
        let doing = || format!("read the kernel {}", image.display());
        let mut bytes = Vec::new();
        File::open(image)
            .and_then(|file| file.take(LOOKED_AT).read_to_end(&mut bytes))
            .doing(doing)?;
        let release = release(&bytes).ok_or_else(|| Error::Unfit {
            doing: doing(),
            what: "it is neither a bzImage nor a vmlinux with its banner".to_owned(),
            help: "give arch/x86/boot/bzImage or vmlinux of a build, or a .deb",
        })?;
        if let Some(modules) = modules {
            fs::read_dir(modules).doing(|| format!("read the modules in {}", modules.display()))?;
        }
        Ok(Self {
            release,
            image: image.to_owned(),
            modules: modules.map(Path::to_owned),
        })
    }
}

/// The first word behind the banner of an image.
fn release(image: &[u8]) -> Option<String> {
    let version = match image.get(MAGIC..MAGIC + 4) {
        Some(b"HdrS") => {
            let place = image.get(VERSION..VERSION + 2)?;
            let place = usize::from(u16::from_le_bytes([place[0], place[1]])) + 0x200;
            image.get(place..)?
        }
        _ if image.starts_with(b"\x7fELF") => {
            let place = image.windows(BANNER.len()).position(|it| it == BANNER)?;
            image.get(place + BANNER.len()..)?
        }
        _ => return None,
    };
    let end = version.iter().position(|byte| !byte.is_ascii_graphic())?;
    let release = String::from_utf8(version[..end].to_vec()).ok()?;
    (!release.is_empty()).then_some(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_found_in_both_kinds_of_image() {
        let mut image = vec![0; 0x400];
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[VERSION..VERSION + 2].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x30b].copy_from_slice(b"6.1.0-50 (d");
        assert_eq!(release(&image).as_deref(), Some("6.1.0-50"));
        image[VERSION] = 0xff;
        image[VERSION + 1] = 0xff;
        assert_eq!(release(&image), None);
        let elf = b"\x7fELF....Linux version 7.3.4+deb13 (x@y)\0";
        assert_eq!(release(elf).as_deref(), Some("7.3.4+deb13"));
        assert_eq!(release(b"\x7fELF"), None);
        assert_eq!(release(b"#!/bin/sh"), None);
    }
}
