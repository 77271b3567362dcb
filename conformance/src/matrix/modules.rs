//! The modules that the suite needs, and those that they need, in the order in which they are loaded.

use super::error::{Doing, Error};
use super::unpack::unpacked;
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What cases use, where the kernel has it as a module; where it has it built in there is nothing to load.
const WANTED: [&str; 18] = [
    "veth",
    "bridge",
    "8021q",
    "tun",
    "af_packet",
    "inet_diag",
    "tcp_diag",
    "sch_ingress",
    "cls_bpf",
    "sch_tbf",
    "sch_netem",
    "tcp_bbr",
    "tcp_cubic",
    "tcp_dctcp",
    "tcp_vegas",
    "tcp_westwood",
    "tcp_htcp",
    "nf_tables",
];

/// What stands before a signature at the end of a module (`MODULE_SIG_STRING`).
const SIGNATURE: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature`; its last four bytes are the length of the signature, in network byte order.
const SIGNATURE_HEADER: usize = 12;

/// A module, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The modules below a folder that the suite needs, each behind those that it needs itself.
pub(super) fn needed(folder: &Path) -> Result<Vec<Module>, Error> {
    let mut files = BTreeMap::new();
    find(folder, &mut files).doing(|| format!("look for modules in {}", folder.display()))?;
    let mut order = Order {
        files,
        seen: BTreeSet::new(),
        modules: Vec::new(),
    };
    WANTED.iter().try_for_each(|name| order.add(name))?;
    Ok(order.modules)
}

/// Modules by their names, in which `-` and `_` are the same.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // A link may lead to a folder above (`build`, `source`).
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = path.file_name().and_then(|it| it.to_str())
            && let Some((name, end)) = name.split_once(".ko")
            && matches!(end, "" | ".xz" | ".zst")
        {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

struct Order {
    files: BTreeMap<String, PathBuf>,
    seen: BTreeSet<String>,
    modules: Vec<Module>,
}

impl Order {
    fn add(&mut self, name: &str) -> Result<(), Error> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.files.get(name).cloned() else {
            return Ok(());
        };
        let doing = || format!("read the module {}", path.display());
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| unpacked(&path.to_string_lossy(), file)?.read_to_end(&mut bytes))
            .doing(doing)?;
        for other in depends(&bytes).map_err(io::Error::other).doing(doing)? {
            self.add(&other)?;
        }
        bytes.truncate(unsigned(&bytes));
        self.modules.push(Module {
            name: name.to_owned(),
            bytes,
        });
        Ok(())
    }
}

/// Which modules a module says that it needs.
fn depends(module: &[u8]) -> object::Result<Vec<String>> {
    let file = object::File::parse(module)?;
    let Some(section) = file.section_by_name(".modinfo") else {
        return Ok(Vec::new());
    };
    let depends = section
        .data()?
        .split(|&byte| byte == 0)
        .filter_map(|line| line.strip_prefix(b"depends="))
        .flat_map(|names| names.split(|&byte| byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"));
    Ok(depends.collect())
}

/// How long a module is without its signature, which takes most of the time that loading takes.
fn unsigned(module: &[u8]) -> usize {
    let whole = module.len();
    let length = module.strip_suffix(SIGNATURE).and_then(|rest| {
        let at = rest.len().checked_sub(4)?;
        let length = u32::from_be_bytes(rest[at..].try_into().ok()?) as usize;
        rest.len()
            .checked_sub(SIGNATURE_HEADER)?
            .checked_sub(length)
    });
    length.unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_cut_off_and_what_is_none_is_kept() {
        let signed = |length: u32| {
            let mut bytes = b"module".to_vec();
            bytes.extend([9; 20]);
            bytes.extend([0; SIGNATURE_HEADER - 4]);
            bytes.extend(length.to_be_bytes());
            bytes.extend(SIGNATURE);
            bytes
        };
        assert_eq!(unsigned(&signed(20)), 6);
        for whole in [signed(2000), b"module".to_vec(), SIGNATURE.to_vec()] {
            assert_eq!(unsigned(&whole), whole.len());
        }
    }

    #[test]
    fn modules_are_found_whatever_they_are_packed_by_and_not_behind_links() {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("kernel/net");
        fs::create_dir_all(&net).unwrap();
        for name in [
            "veth.ko",
            "tcp-diag.ko.xz",
            "a.ko.zst",
            "b.ko.debug",
            "c.mod",
        ] {
            fs::write(net.join(name), b"").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), net.join("build")).unwrap();
        let mut files = BTreeMap::new();
        find(folder.path(), &mut files).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "tcp_diag", "veth"]);
    }
}
