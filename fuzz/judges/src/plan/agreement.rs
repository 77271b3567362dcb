//! What the rules, the images, CRIU's images and the C interface say of one snapshot.

use crate::sk_data::keeps_the_rules;
use soccr::criu::{CriuError, SocketId};
use soccr::{ErrorKind, Fate, Finding, Snapshot};
use soccr_capi::SkData;

pub(super) fn judge(snapshot: &Snapshot) {
    let untouched = snapshot.clone();
    let found = snapshot.lint();
    for finding in &found {
        assert!(!finding.field.is_empty() && !finding.must.is_empty());
        assert!(finding.to_string().starts_with(finding.field), "{finding}");
    }
    let refused: Vec<_> = found.iter().filter(|it| it.fate == Fate::Refused).collect();
    valid(snapshot, &refused);
    imaged(snapshot);
    for loss in snapshot.losses() {
        assert!(!loss.to_string().is_empty());
    }
    let metrics = snapshot.path.route_metrics();
    assert!(!metrics.contains(" 0"), "{metrics}");
    assert!(*snapshot == untouched);
}

/// The first thing that is found is what is refused; and CRIU's images are of what is valid.
fn valid(snapshot: &Snapshot, refused: &[&Finding]) {
    let criu = snapshot.to_criu(SocketId::default());
    match snapshot.validate() {
        Ok(()) => {
            assert!(refused.is_empty() && snapshot.state.is_carried());
            keeps_the_rules(snapshot);
            let (images, _) = criu.expect("a connection can be written");
            crate::criu::judge_images(&images);
            through_c(snapshot);
        }
        Err(error) => {
            match error.kind() {
                ErrorKind::Refused(refusal) => assert_eq!(refusal.field, refused[0].field),
                ErrorKind::Unsupported(_) => assert!(!snapshot.state.is_carried()),
                other => panic!("validation cannot fail with {other}"),
            }
            let Err(CriuError::Snapshot(again)) = criu else {
                panic!("{error}, and CRIU says {criu:?}");
            };
            assert_eq!(again.to_string(), error.to_string());
        }
    }
}

fn imaged(snapshot: &Snapshot) {
    let image = snapshot.to_image();
    let read = Snapshot::from_image(&image).expect("what was written is read");
    assert_eq!(read.receive.bytes, snapshot.receive.bytes);
    assert_eq!(read.send.bytes, snapshot.send.bytes);
    assert_eq!(read, *snapshot);
}

/// The numbers of what is valid make a connection that is valid.
fn through_c(snapshot: &Snapshot) {
    let mask = snapshot.options;
    let bits = u8::from(mask.timestamps.is_some())
        | u8::from(mask.sack) << 1
        | u8::from(mask.window_scale.is_some()) << 2
        | u8::from(mask.timestamps.is_some_and(|it| it.microseconds)) << 6;
    let data = SkData::of(snapshot, bits);
    let (receive, send) = (snapshot.receive.bytes.clone(), snapshot.send.bytes.clone());
    let back = data
        .snapshot(snapshot.endpoints, receive, send)
        .expect("numbers of a connection");
    // The name of a link is no number, and neither is that of the links of its addresses.
    if snapshot.link.is_none() {
        back.validate().expect("still a connection");
    }
    assert_eq!(back.state, snapshot.state);
    assert_eq!(back.rcv_nxt(), snapshot.rcv_nxt());
    assert_eq!(back.write_seq(), snapshot.write_seq());
    assert_eq!(back.snd_una(), snapshot.snd_una());
}
