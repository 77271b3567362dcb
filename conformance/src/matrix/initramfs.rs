//! What a guest boots into: this program as its `/init`, what it is linked with, the modules, and what it is asked to do.

use super::error::{Doing, Error};
use super::guest::{MODULES, ORDERS, Orders};
use super::modules::Module;
use cpio::newc;
use object::{Object, ObjectSection};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive that is being written (Documentation/driver-api/early-userspace/buffer-format.rst).
struct Archive<W> {
    out: W,
    folders: BTreeSet<PathBuf>,
    inode: u32,
}

impl<W: Write> Archive<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            folders: BTreeSet::new(),
            inode: 1,
        }
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if path.parent().is_none() || !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.folder(above)?;
        }
        self.entry(path, FOLDER, b"")
    }

    /// A file, and the folders above it.
    fn file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Some(above) = path.parent() {
            self.folder(above)?;
        }
        self.entry(path, PROGRAM, bytes)
    }

    fn entry(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let name = path.to_string_lossy();
        let name = name.trim_start_matches('/');
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.inode += 1;
        let mut entry = newc::Builder::new(name)
            .ino(self.inode)
            .nlink(1)
            .mode(mode)
            .write(&mut self.out, size);
        entry.write_all(bytes)?;
        entry.finish().map(drop)
    }

    fn finish(self) -> io::Result<()> {
        newc::trailer(self.out).map(drop)
    }
}

/// Writes the archive for a kernel with these modules, whose guest has these orders.
pub(super) fn write(
    path: &Path,
    program: &Program,
    modules: &[Module],
    orders: &Orders,
) -> Result<(), Error> {
    let doing = || format!("write {}", path.display());
    let file = fs::File::create(path).doing(doing)?;
    let write = || {
        let mut archive = Archive::new(io::BufWriter::new(file));
        for folder in ["/dev", "/proc", "/sys", "/tmp", "/run"] {
            archive.folder(Path::new(folder))?;
        }
        for (path, bytes) in program {
            archive.file(path, bytes)?;
        }
        for (at, module) in modules.iter().enumerate() {
            let name = format!("{at:02}-{}.ko", module.name);
            archive.file(&Path::new(MODULES).join(name), &module.bytes)?;
        }
        let orders = serde_json::to_vec(orders)?;
        archive.file(Path::new(ORDERS), &orders)?;
        archive.finish()
    };
    write().doing(doing)
}

/// Files, and what is in them.
pub(super) type Program = Vec<(PathBuf, Vec<u8>)>;

/// This program, and the libraries that it has loaded: what runs here is what runs there.
pub(super) fn own_program() -> io::Result<Program> {
    let program = fs::read("/proc/self/exe")?;
    let mut files = Vec::new();
    if let Some(loader) = loader(&program) {
        files.push((loader.clone(), fs::read(&loader)?));
        for library in loaded(&fs::read_to_string("/proc/self/maps")?) {
            let bytes = fs::read(&library)?;
            for name in names(&library)? {
                files.push((Path::new("/lib").join(name), bytes.clone()));
            }
        }
    }
    files.push((PathBuf::from("/init"), program));
    Ok(files)
}

/// What loads the libraries of a program; none where it is static.
fn loader(program: &[u8]) -> Option<PathBuf> {
    let file = object::File::parse(program).ok()?;
    let section = file.section_by_name(".interp")?;
    let path = section.data().ok()?.split(|&byte| byte == 0).next()?;
    Some(PathBuf::from(String::from_utf8(path.to_vec()).ok()?))
}

/// The libraries among what is mapped.
fn loaded(maps: &str) -> BTreeSet<PathBuf> {
    let paths = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]));
    let libraries = paths.filter(|path| path.contains(".so"));
    libraries.map(PathBuf::from).collect()
}

/// The names that a library has in its folder: those of the links that lead to it, too.
fn names(library: &Path) -> io::Result<BTreeSet<std::ffi::OsString>> {
    let mut names = BTreeSet::from_iter(library.file_name().map(ToOwned::to_owned));
    if let Some(folder) = library.parent() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_string_lossy().contains(".so")
                && fs::canonicalize(entry.path()).is_ok_and(|path| path == library)
            {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_a_list_of_mappings() {
        let maps = "\
55d0-55d1 r-xp 00000000 08:01 7 /usr/bin/conformance
7f00-7f01 r-xp 00000000 08:01 8 /usr/lib/x86_64-linux-gnu/libc.so.6
7f01-7f02 r--p 00000000 08:01 8 /usr/lib/x86_64-linux-gnu/libc.so.6
7f02-7f03 rw-p 00000000 00:00 0
7ffc-7ffd rw-p 00000000 00:00 0 [stack]
";
        let found: Vec<_> = loaded(maps).into_iter().collect();
        assert_eq!(
            found,
            [PathBuf::from("/usr/lib/x86_64-linux-gnu/libc.so.6")]
        );
    }

    #[test]
    fn an_archive_has_each_folder_once_and_before_what_is_in_it() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file(Path::new("/a/b/one"), b"1").unwrap();
        archive.file(Path::new("/a/b/two"), b"22").unwrap();
        archive.finish().unwrap();
        let mut rest = &bytes[..];
        let mut entries = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            let entry = reader.entry().clone();
            if entry.is_trailer() {
                break;
            }
            let mut text = String::new();
            io::Read::read_to_string(&mut reader, &mut text).unwrap();
            entries.push((entry.name().to_owned(), entry.mode(), text));
            rest = reader.finish().unwrap();
        }
        let expected = [
            ("a", FOLDER, ""),
            ("a/b", FOLDER, ""),
            ("a/b/one", PROGRAM, "1"),
            ("a/b/two", PROGRAM, "22"),
        ];
        let expected = expected.map(|(name, mode, text)| (name.to_owned(), mode, text.to_owned()));
        assert_eq!(entries, expected);
    }
}
