//! What may differ because of a checkpoint, and why: a difference that is not here is a failure.

use super::sighting::Sighting;
use super::way::{BEYOND_THE_WINDOW, RESET_BEHIND_ITS_END};
use crate::oracle::stream::End;

/// Something that may differ.
pub(super) struct Allowed {
    /// Its name, by which its uses are counted.
    pub(super) name: &'static str,
    /// Why it may: the rule, the function of the kernel, or the number of the fact.
    pub(super) why: &'static str,
    /// What it covers.
    pub(super) allows: Allows,
}

/// What an entry covers.
#[derive(Clone, Copy)]
pub(super) enum Allows {
    /// A segment, while something is saved, behind these others.
    Segment(fn(&Sighting, &[&Sighting], &Context) -> bool),
    /// A fact that is another.
    Fact(fn(&Changed<'_>, &Context) -> bool),
}

/// A fact that is another.
pub(super) struct Changed<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What is said without the checkpoints, and with them.
    pub(super) values: [String; 2],
}

/// What is known where something differs; of each end, subject first.
pub(super) struct Context {
    /// Whether this step saves it.
    pub(super) saves: [bool; 2],
    /// Whether it has been saved by now.
    pub(super) saved: [bool; 2],
    /// Whether its stream waits for a window, or has waited.
    pub(super) held_up: [bool; 2],
    /// Whether it did so before this step already.
    pub(super) held_up_before: [bool; 2],
    /// Whether the links have come to take packets of another size.
    pub(super) other_mtu: bool,
    /// The class of its packets that the application has set.
    pub(super) classes: [Option<u8>; 2],
}

impl Context {
    fn saves(&self, end: End) -> bool {
        self.saves[end as usize]
    }

    fn held_up(&self, end: End) -> bool {
        self.held_up[end as usize]
    }

    /// Whether a fact is of an end that has been saved.
    fn of_a_saved_end(&self, changed: &Changed<'_>, fact: &str) -> bool {
        [End::Subject, End::Peer]
            .into_iter()
            .any(|end| self.saved[end as usize] && changed.name == format!("{end}: {fact}"))
    }
}

/// All that may differ.
pub(super) const ALLOWED: &[Allowed] = &[
    Allowed {
        name: "one window probe",
        why: "a resume asks for the peer's window by one segment of no bytes before what is acknowledged \
              (A4, tcp_send_window_probe)",
        allows: Allows::Segment(|segment, so_far, context| {
            let again = so_far
                .iter()
                .any(|it| it.is_probe() && it.from == segment.from);
            segment.is_probe() && context.saves(segment.from) && !again
        }),
    },
    Allowed {
        name: "its answer",
        why: "a segment before the window is answered by an acknowledgement (RFC 9293, section 3.10.7.4), which may be \
              left out if there was one within half a second (net.ipv4.tcp_invalid_ratelimit)",
        allows: Allows::Segment(|segment, so_far, _| {
            let probe = |it: &&&Sighting| it.from != segment.from && it.is_probe();
            let answer = |it: &&&Sighting| it.from == segment.from && it.only_acknowledges();
            let asked = so_far.iter().filter(probe).count();
            let since = so_far.iter().skip_while(|it| !probe(it));
            let answered = since.filter(answer).count();
            segment.only_acknowledges()
                && segment.acknowledges == Some(segment.acknowledged)
                && answered < asked
        }),
    },
    Allowed {
        name: "an answer left out",
        why: "the peer counts that it has left one out (net.ipv4.tcp_invalid_ratelimit, tcp_oow_rate_limited)",
        allows: Allows::Fact(|changed, context| {
            context.saves != [false; 2] && changed.name == "counter TcpExt.TCPACKSkippedSeq"
        }),
    },
    Allowed {
        name: "an acknowledgement of what came before",
        why: "one that is due leaves before the pause, and a FIN that is put back is acknowledged again (A9, E4, E6): it \
              says what was said before, or what was to be said",
        allows: Allows::Segment(|segment, so_far, context| {
            let again = |it: &&Sighting| it.from == segment.from && it.only_acknowledges();
            segment.only_acknowledges()
                && context.saves(segment.from)
                && segment.at == segment.sent
                && segment.acknowledges >= Some(segment.acknowledged)
                && !so_far.iter().any(again)
        }),
    },
    Allowed {
        name: "a window that opens",
        why: "a receive queue that is filled anew takes less memory than segments did that came one by one: what waited \
              for room may go on (B24, tcp_select_window), and is acknowledged",
        allows: Allows::Segment(|segment, _, context| match segment.is_empty() {
            true => context.held_up(segment.from.other()) && context.saves(segment.from),
            false => context.held_up(segment.from) && segment.at == segment.sent,
        }),
    },
    Allowed {
        name: "probes of a closed window",
        why: "who waits for a window asks for it, at times of his own (RFC 9293, section 3.8.6.1), and is answered",
        allows: Allows::Segment(|segment, _, context| {
            segment.is_empty()
                && (context.held_up(segment.from) || context.held_up(segment.from.other()))
        }),
    },
    Allowed {
        name: "what a closed window has cut off",
        why: "what was sent into a window that was closed over it is sent again by a timer, which starts anew (B24, H8)",
        allows: Allows::Segment(|segment, _, context| {
            !segment.is_empty() && segment.at < segment.sent && context.held_up(segment.from)
        }),
    },
    Allowed {
        name: "a reset behind the end",
        why: "what a closed window has cut off is sent again by a timer, and the end of the stream with it, which had come: who \
              answers that finds a connection that is over by now (RFC 9293, section 3.10.7.1)",
        allows: Allows::Fact(|changed, context| {
            [End::Subject, End::Peer].into_iter().any(|end| {
                context.held_up(end)
                    && context.saved != [false; 2]
                    && changed.name == format!("{end}: SYN and RST")
                    && changed.values == ["none", RESET_BEHIND_ITS_END]
            })
        }),
    },
    Allowed {
        name: "a wider window",
        why: "a receiver that is restored, or that answers a probe, announces what there is room for by now; without a \
              checkpoint it would have done so with its next segment (tcp_select_window), and a receive queue that is filled \
              anew takes less memory",
        allows: Allows::Fact(|changed, context| {
            context.saved != [false; 2]
                && changed.name.ends_with(": window")
                && changed.values[1] == "open"
        }),
    },
    Allowed {
        name: "another cut at the edge of a window",
        why: "what does not fit is cut at the edge of the window (tcp_write_xmit), and where a window has become wider \
              that is elsewhere (see there)",
        allows: Allows::Fact(|changed, context| {
            [End::Subject, End::Peer].into_iter().any(|end| {
                context.saved[end.other() as usize]
                    && changed.name == format!("{end}: segments end at")
                    && changed.values[0].ends_with(BEYOND_THE_WINDOW)
            })
        }),
    },
    Allowed {
        name: "no waiting for a window",
        why: "where a window has become wider there is less to wait for (see there)",
        allows: Allows::Fact(|changed, context| {
            context.saved != [false; 2]
                && changed.name.ends_with(": waits for a window")
                && changed.values[1] == "no"
        }),
    },
    Allowed {
        name: "a window update that comes later",
        why: "a read makes room when all bytes have been read that stand together, and in a receive queue that is filled anew \
              more do (tcp_eat_recv_skb); and where something waits to be sent, the probe of a resume announces room in a \
              segment from which the peer takes none, of which the kernel does not tell it again (tcp_cleanup_rbuf): what waited \
              goes on with the next read, or with the peer's next probe",
        allows: Allows::Fact(|changed, context| {
            [End::Subject, End::Peer].into_iter().any(|end| {
                context.held_up_before[end as usize]
                    && context.saved[end.other() as usize]
                    && changed.name == format!("{end}: waits for a window")
                    && changed.values[1] == "yes"
            })
        }),
    },
    Allowed {
        name: "an end that is cut off",
        why: "who waits for a window that was closed over what is in flight is heard by nobody, and is not waited for: what the \
              other end has said last may not be acknowledged yet (B24)",
        allows: Allows::Fact(|changed, context| {
            [End::Subject, End::Peer].into_iter().any(|end| {
                context.held_up(end.other())
                    && context.saved != [false; 2]
                    && changed.name == format!("{end}: waits for a window")
                    && changed.values[1] == "yes"
            })
        }),
    },
    Allowed {
        name: "another flow label",
        why: "it is a hash that every socket draws for itself (net.ipv6.auto_flowlabels, sk_set_txhash); routers may \
              not take it for more (RFC 6437, section 2)",
        allows: Allows::Fact(|changed, context| context.of_a_saved_end(changed, "flow label")),
    },
    Allowed {
        name: "an echo of nothing",
        why: "the last timestamp of the other end cannot be restored; the first segments echo 0, until something of it \
              comes (RFC 7323, section 4.3: the echo is for measuring only)",
        allows: Allows::Fact(|changed, context| context.of_a_saved_end(changed, "echoes nothing")),
    },
    Allowed {
        name: "a packet size that is noticed at another time",
        why: "a new socket asks the route how large its packets may be; another one does when it sends, and has not where it \
              has not sent anything since (tcp_sync_mss, tcp_current_mss), which follows from when a window lets it",
        allows: Allows::Fact(|changed, context| {
            context.other_mtu
                && context.saved != [false; 2]
                && changed.name.ends_with(": tcpi_snd_mss")
        }),
    },
];
