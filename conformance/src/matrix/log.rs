//! What the kernel of a guest says: the records of its log, from warnings on.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

/// Where the records are (Documentation/ABI/testing/dev-kmsg).
const KMSG: &str = "/dev/kmsg";
/// No record is longer (`CONSOLE_EXT_LOG_MAX`); a read that has less room for one fails.
const LONGEST: usize = 8192;
/// The highest level of a record that is told about: `KERN_WARNING`.
const WARNING: u8 = 4;

/// The log, read up to some record; from its beginning at first.
pub(super) struct Log<R> {
    records: R,
}

impl Log<File> {
    /// Opens the log, and what tells that it goes on.
    pub(super) fn open() -> io::Result<(Self, File)> {
        let mut options = OpenOptions::new();
        let records = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(KMSG)?;
        let more = records.try_clone()?;
        Ok((Self { records }, more))
    }
}

/// Waits until there are records that were not read.
pub(super) fn wait_for_more(log: &File) -> io::Result<()> {
    let mut wanted = [PollFd::new(log.as_fd(), PollFlags::POLLIN)];
    match poll(&mut wanted, PollTimeout::NONE) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl<R: Read> Log<R> {
    /// Gives level and text of every record that was not read yet, where it is grave enough.
    pub(super) fn rest(&mut self, mut each: impl FnMut(u8, &str)) -> io::Result<()> {
        let mut record = [0; LONGEST];
        loop {
            match self.records.read(&mut record) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    let lines = text.lines().filter_map(grave);
                    lines.for_each(|(level, text)| each(level, text));
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    // What came next has been overwritten: the log goes on with the oldest that is left.
                    ErrorKind::BrokenPipe | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Level and text of a line, if it is grave enough; the lines behind the first of a record have neither.
fn grave(line: &str) -> Option<(u8, &str)> {
    let (prefix, text) = line.split_once(';')?;
    let number: u64 = prefix.split(',').next()?.parse().ok()?;
    let level = (number & 7) as u8;
    (level <= WARNING).then_some((level, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn lines_are_told_from_their_level_on() {
        assert_eq!(grave("4,339,5140900,-;WARNING: x"), Some((4, "WARNING: x")));
        assert_eq!(
            grave("12,1,1,-;from a process; told"),
            Some((4, "from a process; told"))
        );
        for silent in ["6,1,2,-;hello", " SUBSYSTEM=acpi", "", "x,1;y"] {
            assert_eq!(grave(silent), None, "{silent}");
        }
    }

    /// A record a read, as the kernel gives them.
    struct Kernel(VecDeque<io::Result<&'static str>>);

    impl Read for Kernel {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let next = self.0.pop_front();
            let text = next.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))?;
            to[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }

    #[test]
    fn the_rest_is_told_to_its_end_though_some_of_it_was_overwritten() {
        let overwritten = || Err(io::Error::from_raw_os_error(libc::EPIPE));
        let records = [
            Ok("4,1,1,-;one\n SUBSYSTEM=x\n"),
            overwritten(),
            Ok("6,2,1,-;no\n"),
            Ok("3,3,1,-;two\n"),
        ];
        let mut log = Log {
            records: Kernel(records.into()),
        };
        let mut told = Vec::new();
        log.rest(|level, text| told.push((level, text.to_owned())))
            .unwrap();
        assert_eq!(told, [(4, "one".to_owned()), (3, "two".to_owned())]);
        log.records.0.push_back(Ok("4,4,1,-;three\n"));
        let mut told = Vec::new();
        log.rest(|_, text| told.push(text.to_owned())).unwrap();
        assert_eq!(told, ["three"]);
        log.records
            .0
            .push_back(Err(io::Error::from_raw_os_error(libc::EIO)));
        assert!(log.rest(|_, _| {}).is_err());
    }
}
