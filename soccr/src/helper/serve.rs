//! The privileged side: sets `TCP_REPAIR` of the sockets that it is sent.

use crate::raw::{Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Serves one program until it closes its end: sets `TCP_REPAIR` of the sockets that it sends, and nothing else.
///
/// Needs `CAP_NET_ADMIN` over their network namespaces. All descriptors that come are close-on-exec, and are closed
/// before the answer. [The notes](crate::helper#what-to-protect) say whom to serve.
///
/// What the kernel refuses is answered, and what the same request has set before stays set.
///
/// # Errors
/// `InvalidData` for anything that is not a request: another byte, no descriptor, more than there was room for. Else what
/// receiving returns. The stream is closed, and so are all descriptors.
pub fn serve(stream: UnixStream) -> io::Result<()> {
    while let Some(request) = next(&stream)? {
        let mode = i8::from_ne_bytes([request.byte]);
        if ![TCP_REPAIR_ON, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP].contains(&mode.into()) {
            return Err(refused(format!("{mode} is no value of TCP_REPAIR")));
        }
        if request.rights.is_empty() {
            return Err(refused("no descriptor has come".to_owned()));
        }
        if !request.complete {
            return Err(refused("not all descriptors have come".to_owned()));
        }
        let answer = match set(&request.rights, mode.into()) {
            Ok(()) => mode,
            Err(error) => refusal(&error),
        };
        // The answer says that no copy is left here: a socket that its owner closes is gone.
        drop(request.rights);
        // Whoever has not waited for the answer may have asked behind it to undo what it asked.
        let _ = sys::send(stream.as_fd(), &answer.to_ne_bytes(), 0);
    }
    Ok(())
}

fn next(stream: &UnixStream) -> io::Result<Option<sys::Received>> {
    match sys::receive_rights(stream.as_fd()) {
        // Whoever ends without having read an answer has ended all the same.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        received => received,
    }
}

fn set(sockets: &[OwnedFd], mode: i32) -> io::Result<()> {
    for socket in sockets {
        let fd = socket.as_fd();
        // The number of the option means something else to other protocols.
        if sys::get_int(fd, Opt::SO_PROTOCOL)? != libc::IPPROTO_TCP {
            return Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT));
        }
        sys::set_int(fd, Opt::TCP_REPAIR, mode)?;
    }
    Ok(())
}

/// The byte that says what the kernel has said: none of those that are asked.
fn refusal(error: &io::Error) -> i8 {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    i8::try_from(-1 - errno).unwrap_or(i8::MIN)
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Family;
    use crate::raw::{self, MSG_PEEK};
    use std::io::Read;
    use std::net::UdpSocket;
    use std::os::fd::BorrowedFd;

    /// What a new TCP socket says to this thread, as an answer.
    fn expected() -> i8 {
        let socket = raw::tcp_socket(Family::V4).unwrap();
        match raw::set_int(&socket, Opt::TCP_REPAIR, TCP_REPAIR_ON) {
            Ok(()) => 1,
            Err(error) => -1 - i8::try_from(error.raw_os_error().unwrap()).unwrap(),
        }
    }

    fn send(stream: &UnixStream, byte: i8, rights: &[BorrowedFd<'_>]) {
        sys::send_rights(stream.as_fd(), byte as u8, rights).unwrap();
    }

    fn answer(mut stream: &UnixStream) -> i8 {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        i8::from_ne_bytes(byte)
    }

    /// A program's side of a helper that serves, and how that has ended.
    fn served<T>(program: impl FnOnce(UnixStream) -> T) -> (T, io::Result<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || serve(theirs));
        let result = program(ours);
        (result, serving.join().unwrap())
    }

    #[test]
    fn what_the_kernel_says_is_answered_and_the_next_request_is_served() {
        let (answers, ended) = served(|stream| {
            let socket = raw::tcp_socket(Family::V6).unwrap();
            [1, 0, -1, 1].map(|byte| {
                send(&stream, byte, &[socket.as_fd()]);
                answer(&stream)
            })
        });
        let wanted = match expected() {
            1 => [1, 0, -1, 1],
            refused => [refused; 4],
        };
        assert_eq!(answers, wanted);
        ended.unwrap();
    }

    #[test]
    fn one_request_can_have_as_many_sockets_as_the_kernel_carries() {
        let sockets: Vec<_> = (0..sys::MAX_RIGHTS)
            .map(|_| raw::tcp_socket(Family::V4).unwrap())
            .collect();
        let rights: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let (answered, ended) = served(|stream| {
            send(&stream, 1, &rights);
            answer(&stream)
        });
        assert_eq!(answered, expected());
        ended.unwrap();
        let repaired = |socket| raw::get_int(socket, Opt::TCP_REPAIR).unwrap();
        let all: i32 = sockets.iter().map(repaired).sum();
        assert_eq!(all, if answered == 1 { 253 } else { 0 });
    }

    #[test]
    fn more_sockets_than_that_are_not_sent() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let rights = [stream.as_fd(); 2 * sys::MAX_RIGHTS];
        let error = sys::send_rights(stream.as_fd(), 1, &rights).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn whatever_is_no_request_ends_it_with_all_descriptors_closed() {
        let (mut other, given) = UnixStream::pair().unwrap();
        for byte in [2, -2, i8::MAX, i8::MIN] {
            let given = given.try_clone().unwrap();
            let (read, ended) = served(move |mut stream| {
                send(&stream, byte, &[given.as_fd()]);
                stream.read(&mut [0])
            });
            assert_eq!(read.unwrap(), 0, "the stream is closed");
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let ((), ended) = served(|stream| send(&stream, 1, &[]));
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(given);
        assert_eq!(other.read(&mut [0]).unwrap(), 0, "no copy is left");
    }

    #[test]
    fn descriptors_are_closed_before_the_answer() {
        // To close many takes longer than to answer: where the order is another, one of the rounds shows it.
        for _ in 0..20 {
            let (mut other, given) = UnixStream::pair().unwrap();
            other.set_nonblocking(true).unwrap();
            let (read, ended) = served(move |stream| {
                send(&stream, 1, &[given.as_fd(); sys::MAX_RIGHTS]);
                drop(given);
                answer(&stream);
                other.read(&mut [0])
            });
            assert_eq!(read.unwrap(), 0);
            ended.unwrap();
        }
    }

    #[test]
    fn only_tcp_sockets_are_touched() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (answers, ended) = served(|stream| {
            [udp.as_fd(), stream.as_fd(), file.as_fd()].map(|fd| {
                send(&stream, 0, &[fd]);
                i32::from(answer(&stream))
            })
        });
        let refused = [libc::ENOPROTOOPT, libc::ENOPROTOOPT, libc::ENOTSOCK].map(|it| -1 - it);
        assert_eq!(answers, refused);
        ended.unwrap();
    }

    #[test]
    fn what_was_asked_is_done_also_for_whoever_is_gone() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = raw::tcp_socket(Family::V4).unwrap();
        send(&ours, 1, &[socket.as_fd()]);
        send(&ours, -1, &[socket.as_fd()]);
        send(&ours, 1, &[socket.as_fd()]);
        drop(ours);
        serve(theirs).unwrap();
        let repaired = raw::get_int(&socket, Opt::TCP_REPAIR).unwrap();
        assert_eq!(repaired == 1, expected() == 1);
    }

    #[test]
    fn an_answer_that_nobody_reads_is_no_failure() {
        let ((), ended) = served(|stream| {
            let socket = raw::tcp_socket(Family::V4).unwrap();
            send(&stream, 0, &[socket.as_fd()]);
            sys::recv(stream.as_fd(), &mut [0], MSG_PEEK).unwrap();
        });
        ended.unwrap();
    }

    #[test]
    fn what_comes_is_close_on_exec() {
        use std::os::fd::AsRawFd;
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, 1, &[ours.as_fd()]);
        let received = sys::receive_rights(theirs.as_fd()).unwrap().unwrap();
        let path = format!("/proc/self/fdinfo/{}", received.rights[0].as_raw_fd());
        let info = std::fs::read_to_string(path).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0, "{info}");
    }
}
