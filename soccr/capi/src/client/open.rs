//! Shared libraries, and the symbols in them.

use super::failed::NotOpened;
use libc::c_void;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A shared library. It is never closed: its functions may be called as long as the process lives.
pub(super) struct Object {
    path: PathBuf,
    handle: *mut c_void,
}

impl Object {
    pub(super) fn open(path: &Path) -> Result<Self, NotOpened> {
        let not_opened = |reason| NotOpened {
            path: path.to_owned(),
            symbol: None,
            reason,
        };
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| not_opened("there is a NUL in its name".to_owned()))?;
        // SAFETY: a C string. What the library does when it is loaded is its own affair.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(not_opened(reason()));
        }
        Ok(Self {
            path: path.to_owned(),
            handle,
        })
    }

    /// The address of a function.
    pub(super) fn symbol(&self, name: &'static CStr) -> Result<*mut c_void, NotOpened> {
        // SAFETY: the handle is open, the name a C string.
        let symbol = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        if symbol.is_null() {
            return Err(NotOpened {
                path: self.path.clone(),
                symbol: name.to_str().ok(),
                reason: reason(),
            });
        }
        Ok(symbol)
    }
}

/// What the dynamic linker has to say.
fn reason() -> String {
    // SAFETY: takes no arguments.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "without a reason".to_owned();
    }
    // SAFETY: a C string, which lives until the next call of the dynamic linker on this thread.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}
