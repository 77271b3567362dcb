//! What goes wrong with a library.

use super::errno;
use std::fmt;
use std::io;

/// A call of the interface that has failed, or has done what its contract forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The name of the function.
    pub call: &'static str,
    /// What it has returned.
    pub returned: String,
    /// `errno` afterwards; 0 where it has set none.
    pub errno: i32,
}

impl Failed {
    /// A call that has returned NULL where it should not.
    pub(super) fn null(call: &'static str) -> Self {
        Self::new(call, "NULL")
    }

    /// A call that has returned this, just now.
    pub(super) fn new(call: &'static str, returned: impl fmt::Display) -> Self {
        Self {
            call,
            returned: returned.to_string(),
            errno: errno::last(),
        }
    }

    /// Fails unless a call has returned 0, just now.
    pub(super) fn unless_zero(call: &'static str, returned: i32) -> Result<(), Self> {
        match returned {
            0 => Ok(()),
            other => Err(Self::new(call, other)),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            returned,
            errno,
        } = self;
        write!(f, "{call} returned {returned}, ")?;
        match errno {
            0 => f.write_str("without an errno"),
            errno => write!(f, "errno: {}", io::Error::from_raw_os_error(*errno)),
        }
    }
}

impl std::error::Error for Failed {}

/// A file that is no library with this interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOpened {
    /// The file.
    pub path: std::path::PathBuf,
    /// The function that it does not have, if it is a library at all.
    pub symbol: Option<&'static str>,
    /// What the dynamic linker says.
    pub reason: String,
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.symbol {
            Some(symbol) => write!(f, "{path} has no {symbol}: {}", self.reason),
            None => write!(
                f,
                "{path} is no library that can be opened: {}",
                self.reason
            ),
        }
    }
}

impl std::error::Error for NotOpened {}
