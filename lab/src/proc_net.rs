//! Files of `/proc/net` that are asked again and again: to open one takes the kernel longer than to write what it says.

use crate::error::{Doing, Error};
use crate::ns::Namespace;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Longer than what most of them say: what is longer takes another read.
const ENOUGH: usize = 16 * 1024;

/// Those of one namespace that were asked before.
#[derive(Debug, Default)]
pub(crate) struct ProcNet(Mutex<BTreeMap<&'static str, File>>);

impl ProcNet {
    /// What the file of this name says now; `None` where the kernel does not have it, so far.
    pub(crate) fn read(
        &self,
        namespace: &Namespace,
        name: &'static str,
    ) -> Result<Option<String>, Error> {
        let doing = || format!("read /proc/net/{name} of {}", namespace.name());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return whole(file).map(Some).doing(doing);
        }
        // Without the name of the thread it would be that of the process.
        let path = format!("/proc/thread-self/net/{name}");
        match namespace.enter(|| File::open(path))? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => {
                let file = file.doing(doing)?;
                let text = whole(&file).map(Some).doing(doing);
                open.insert(name, file);
                text
            }
        }
    }
}

/// All that a file says, from its beginning: the kernel writes it anew then.
fn whole(file: &File) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let start = text.len();
        text.resize(start + ENOUGH, 0);
        let read = file.read_at(&mut text[start..], start as u64)?;
        text.truncate(start + read);
        if read == 0 {
            return String::from_utf8(text).map_err(io::Error::other);
        }
    }
}
