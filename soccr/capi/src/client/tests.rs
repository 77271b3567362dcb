//! The driver itself: what it says of files and of handles that are none.

use super::*;
use crate::SkData;

#[test]
fn a_file_that_is_no_library_is_named_with_what_the_linker_says() {
    let error = Library::open("/nowhere/libsoccr.so".as_ref()).unwrap_err();
    assert_eq!(error.symbol, None);
    assert!(
        error.to_string().contains("/nowhere/libsoccr.so"),
        "{error}"
    );
    assert!(error.reason.contains("cannot open"), "{error}");
}

#[test]
fn a_library_without_the_interface_is_named_with_what_it_lacks() {
    let error = Library::open("libc.so.6".as_ref()).unwrap_err();
    assert_eq!(error.symbol, Some("libsoccr_set_log"), "{error}");
}

#[test]
fn what_is_no_socket_is_not_paused() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let failed = Library::linked().pause(file.into()).unwrap_err();
    assert_eq!((failed.call, &*failed.returned), ("libsoccr_pause", "NULL"));
    assert_ne!(failed.errno, 0);
}

#[test]
fn numbers_are_those_of_the_structure_and_back() {
    let data = SkData {
        state: 1,
        mss_clamp: 8,
        rcv_wup: 17,
        ..SkData::default()
    };
    let all = numbers(&data);
    assert_eq!((all[0], all[7], all[16]), (1, 8, 17));
    assert_eq!(from_numbers(all), data);
    let counted = std::array::from_fn(|at| at as u32);
    assert_eq!(numbers(&from_numbers(counted)), counted);
}

#[test]
fn what_was_edited_is_named() {
    let after = SkData {
        inq_seq: 4,
        ..SkData::default()
    };
    assert_eq!(
        super::numbers::edits(&SkData::default(), &after),
        ["inq_seq was 0, and is 4"]
    );
}
