//! A helper that has no room for the descriptors that it is sent.
//!
//! The bound is the whole process's: the test runs a second time in one of its own.

use soccr::{Family, Helper, raw};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

const BOUNDED: &str = "HELPER_WITHOUT_ROOM";

#[test]
fn a_request_that_does_not_arrive_whole_is_refused_and_nothing_of_it_stays() {
    if std::env::var_os(BOUNDED).is_none() {
        let mut bounded = Command::new("sh");
        bounded.args(["-c", "ulimit -n 32 && exec \"$0\" --nocapture"]);
        bounded.arg(std::env::current_exe().unwrap());
        let status = bounded.env(BOUNDED, "").status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let helper = Helper::new(ours).unwrap();
    let serving = std::thread::spawn(move || soccr::helper::serve(theirs));
    let sockets: Vec<_> = (0..20)
        .map(|_| raw::tcp_socket(Family::V4).unwrap())
        .collect();
    let rights: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();

    helper.switch(&rights, raw::TCP_REPAIR_ON).unwrap_err();

    drop(helper);
    let refused = serving.join().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidData, "{refused}");
    // Both ends of the stream are gone, and nothing else.
    assert_eq!(open(), before - 2);
    let repaired = |socket| raw::get_int(socket, raw::Opt::TCP_REPAIR).unwrap();
    assert!(sockets.iter().all(|socket| repaired(socket) == 0));
}
