//! A blocking rtnetlink socket in one network namespace.
//!
//! rtnetlink is asynchronous; the runtime that it needs is here and nowhere else. It has no thread of its own: it
//! runs while a request is waited for.

use crate::error::{Doing, Error};
use crate::ns::Namespace;
use rtnetlink::Handle;
use std::fmt;
use std::io;
use tokio::runtime::{Builder, Runtime};

/// A netlink socket that belongs to one namespace and can be used from any thread in any other.
pub(crate) struct Netlink {
    /// `None` only while it is being dropped: a runtime is shut down by value.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Netlink {
    /// Opens a socket in `namespace`.
    pub(crate) fn open(namespace: &Namespace) -> Result<Self, Error> {
        let doing = || "open a netlink socket".to_owned();
        outside_of_a_runtime(doing)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build()
            .doing(doing)?;
        let handle = namespace
            .enter(|| {
                // The socket registers with the runtime that it is made in.
                let _inside = runtime.enter();
                let (connection, handle, _multicast) = rtnetlink::new_connection()?;
                runtime.spawn(connection);
                io::Result::Ok(handle)
            })?
            .doing(doing)?;
        Ok(Self {
            runtime: Some(runtime),
            handle,
        })
    }

    /// Sends the requests that `requests` makes from the handle, and waits for the answers.
    pub(crate) fn run<T, F>(
        &self,
        doing: impl Fn() -> String,
        requests: impl FnOnce(Handle) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, rtnetlink::Error>>,
    {
        outside_of_a_runtime(&doing)?;
        let runtime = self
            .runtime
            .as_ref()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
            .doing(&doing)?;
        runtime
            .block_on(requests(self.handle.clone()))
            .map_err(|error| as_io(&error))
            .doing(doing)
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropped as it is it would wait, and so panic when the lab goes inside of another runtime.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Netlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}

/// Blocking inside a runtime would panic in tokio; an error says what to do instead.
fn outside_of_a_runtime(doing: impl Fn() -> String) -> Result<(), Error> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Err(Error::InsideRuntime { doing: doing() }),
        Err(_) => Ok(()),
    }
}

/// The error number alone: rtnetlink's text repeats the whole request.
fn as_io(error: &rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => match message.code {
            Some(code) => io::Error::from_raw_os_error(code.get().saturating_neg()),
            None => io::Error::other("the kernel acknowledged instead of answering"),
        },
        other => io::Error::other(other.to_string()),
    }
}
