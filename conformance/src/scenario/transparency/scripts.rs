//! The scenarios that are compared with and without their checkpoints: in each something else would show.

/// Their names, what they show, and the steps.
pub(super) const ALL: &[(&str, &str, &str)] = &[
    (
        "idle",
        "nothing happens but the checkpoint",
        "restore subject",
    ),
    (
        "request-and-response",
        "requests and responses, both ways around",
        "subject writes 100\npeer reads all\npeer writes 5000\nsubject reads all\nrestore subject
         subject writes 200\npeer reads all\npeer writes 7000\nrestore subject\nsubject reads all
         peer writes 300\nsubject reads all\nsubject writes 4000\npeer reads all",
    ),
    (
        "upload",
        "the subject sends much at once",
        "subject writes 30000\nrestore subject\npeer reads all\nsubject writes 40000\npeer reads 10000
         restore subject\nsubject writes 10000\npeer reads all\nsubject writes 60000\npeer reads all",
    ),
    (
        "download",
        "the peer sends much at once",
        "peer writes 30000\nrestore subject\nsubject reads all\npeer writes 40000\nsubject reads 10000
         restore subject\npeer writes 10000\nsubject reads all\npeer writes 60000\nsubject reads all",
    ),
    (
        "half-closed-by-the-subject",
        "the subject has ended its stream, and goes on reading",
        "subject writes 3000\nsubject ends\nrestore subject\npeer reads all\npeer writes 5000
         restore subject\nsubject reads all\npeer writes 100\nsubject reads all\npeer ends",
    ),
    (
        "half-closed-by-the-peer",
        "the peer has ended its stream, and goes on reading",
        "peer writes 3000\npeer ends\nrestore subject\nsubject reads all\nsubject writes 5000
         restore subject\npeer reads all\nsubject writes 100\npeer reads all\nsubject ends",
    ),
    (
        "closed-window-of-the-peer",
        "the peer's window is closed, and opened again",
        "buffer peer 8000\nsubject writes 60000\nrestore subject\npeer reads 3000\npeer reads all\npeer reads all
         restore subject\npeer reads all\nsubject writes 100\npeer reads all",
    ),
    (
        "closed-window-of-the-subject",
        "the subject's window is closed, and opened again",
        "buffer subject 8000\npeer writes 60000\nrestore subject\nsubject reads 3000\nsubject reads all\nsubject reads all
         restore subject\nsubject reads all\npeer writes 100\nsubject reads all",
    ),
    (
        "behind-in-reading",
        "the subject has more to read than the peer knows of room",
        "mtu 1281\noffload off\nsack off\npeer writes 65534\nrestore subject\nrestore both\nsubject writes 1
         subject reads all\npeer writes 30000",
    ),
    (
        "small-segments",
        "many small writes, none of which waits",
        "subject sets nodelay\npeer sets nodelay\nsubject writes 10\nsubject writes 20\nrestore subject
         subject writes 30\nsubject writes 40\npeer writes 50\npeer writes 60\nrestore subject
         peer reads all\nsubject reads all\nsubject writes 70\npeer writes 80",
    ),
    (
        "corked",
        "small writes wait until the cork is drawn, or its timer",
        "subject sets cork on\nsubject writes 100\nrestore subject\nsubject writes 2000\nsubject sets cork off
         restore subject\nsubject writes 5000\npeer reads all",
    ),
    (
        "both",
        "both ends are saved at the same time",
        "subject writes 20000\npeer writes 30000\nrestore both\nsubject reads all\npeer reads all
         subject writes 500\nrestore both\npeer reads all\nsubject ends\nrestore both\npeer writes 700\nsubject reads all",
    ),
    (
        "moved",
        "the subject moves from host to host",
        "network move\nsubject writes 20000\npeer writes 3000\nmove\nsubject reads all\npeer reads all
         peer writes 30000\nmove\nsubject reads all\nsubject writes 9000\npeer reads all",
    ),
    (
        "time-and-again",
        "the subject is saved after every step",
        "subject writes 1000\nrestore subject\npeer writes 1000\nrestore subject\nsubject reads all\nrestore subject
         checkpoint subject\npeer reads all\nrestore subject\nsubject writes 20000\nrestore subject\npeer reads all
         restore subject\nrestore subject\npeer writes 20000\nrestore subject\nsubject reads all\nsubject ends
         restore subject\npeer ends\nrestore subject",
    ),
    (
        "at-the-end-of-its-room",
        "the peer has room for a few bytes more, or for a segment and a few bytes",
        "network move\nmtu 1927\noffload off\ntimestamps off\nsack off\nscaling off\nmss 619\ncongestion bbr
         subject writes 619\nrestore subject\nsubject writes 620\nsubject writes 65537\npeer reads all",
    ),
    (
        "up-to-the-window-of-the-syn",
        "what is sent first ends between the window of the SYN and the one that is announced behind it",
        "mtu 9000\noffload off\nrestore subject\nsubject writes 62700\npeer reads all",
    ),
    (
        "links-as-they-were",
        "the links take smaller packets for a while",
        "timestamps off\nsubject writes 100\nlinks take 1362\nrestore subject\nlinks take 1500\nrestore subject
         subject writes 5000\npeer reads all",
    ),
    (
        "marked",
        "the packets have a class of their own",
        "subject sets tos 4\nrestore subject\nsubject sets tos 184\nsubject writes 100\nrestore subject
         subject writes 200\npeer writes 300\nsubject reads all\npeer reads all",
    ),
];
