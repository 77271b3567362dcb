//! Segments that no kernel has sent.

use crate::Case;
use lab::{
    Capture, Checksum, Craft, DecodeError, Error, Family, Flags, Flow, OptionError, Pair, Peer,
    Segment, TcpOption,
};
use libtest_mimic::Failed;

pub(crate) const CASES: &[Case] = &[
    (
        "craft/a_segment_is_as_it_was_asked_for",
        a_segment_is_as_it_was_asked_for,
    ),
    ("craft/what_cannot_be_is_refused", what_cannot_be_is_refused),
    (
        "craft/a_reset_at_the_right_place_kills",
        a_reset_at_the_right_place_kills,
    ),
    (
        "craft/a_reset_elsewhere_in_the_window_is_challenged",
        a_reset_elsewhere_in_the_window_is_challenged,
    ),
    (
        "craft/an_old_acknowledgment_is_challenged",
        an_old_acknowledgment_is_challenged,
    ),
    (
        "craft/old_data_are_acknowledged_again",
        old_data_are_acknowledged_again,
    ),
    (
        "craft/a_wrong_checksum_is_ignored",
        a_wrong_checksum_is_ignored,
    ),
    ("craft/data_are_data", data_are_data),
];

/// A connection over which ten bytes have gone from the client to the server.
struct Live {
    pair: Pair,
    capture: Capture,
    client: Peer,
    server: Peer,
    flow: Flow,
    /// The client's last segment: what it would send next begins at its end.
    last: Segment,
}

impl Live {
    fn new(family: Family) -> Result<Self, Failed> {
        let pair = Pair::builder().offload(false).build()?;
        let capture = pair.b().capture()?;
        let connection = pair.connection(family).open()?;
        let flow = connection.flow();
        let (mut client, mut server) = connection.into_peers();
        client.transfer(&mut server, 10)?;
        client.acknowledged()?;
        let trace = capture.trace()?;
        let last = trace.along(&flow).segments().last().cloned();
        let last = last.ok_or("the data")?;
        assert_eq!(last.payload_len, 10, "{trace}");
        capture.mark("live")?;
        Ok(Self {
            pair,
            capture,
            client,
            server,
            flow,
            last,
        })
    }

    /// The client's last segment, without its data, as if the client sent it next.
    fn next(&self) -> Craft {
        let (a, b) = (self.pair.a(), self.pair.b());
        let next = Craft::like(a, b, &self.last).seq(self.last.end_seq());
        next.flags(Flags::ACK).payload(&[])
    }

    fn inject(&self, craft: &Craft) -> Result<(), Failed> {
        Ok(self.pair.a().inject(&craft.frame()?)?)
    }

    /// What the server has said to the client since the connection was live.
    fn answers(&self) -> Result<Vec<Segment>, Failed> {
        let trace = self
            .capture
            .trace()?
            .after("live")?
            .along(&self.flow.reversed());
        Ok(trace.segments().cloned().collect())
    }

    /// The connection is as well as ever.
    fn goes_on(mut self) -> Result<(), Failed> {
        self.client.transfer(&mut self.server, 100_000)?;
        self.server.transfer(&mut self.client, 100_000)?;
        Ok(())
    }
}

fn a_segment_is_as_it_was_asked_for() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.b().capture()?;
    for (source, destination) in [
        ("10.77.0.1:4000", "10.77.0.2:80"),
        // Addresses of nobody.
        ("[fd77::99]:4000", "[fd77::98]:80"),
    ] {
        for length in [0, 1, 2, 1000] {
            let wanted = Segment {
                flow: Flow::new(source.parse()?, destination.parse()?),
                seq: u32::MAX,
                ack: 7,
                flags: Flags::PSH.and(Flags::URG),
                window: 9,
                options: vec![TcpOption::SackPermitted, TcpOption::WindowScale(3)],
                payload_len: length,
                payload: vec![0xa5; length as usize],
            };
            let craft = Craft::like(pair.a(), pair.b(), &wanted);
            assert_eq!(Segment::decode(&craft.frame()?)?.as_ref(), Some(&wanted));
            for (craft, checksum) in [
                (craft.clone(), Checksum::Valid),
                (craft.wrong_checksum(), Checksum::Invalid),
            ] {
                pair.a().inject(&craft.frame()?)?;
                // The host speaks of multicast groups meanwhile.
                let trace = capture.trace()?.along(&wanted.flow);
                let seen = trace.packets().last().ok_or("the frame")?;
                assert_eq!(
                    (seen.segment(), seen.checksum),
                    (Some(&wanted), checksum),
                    "{trace}"
                );
            }
        }
    }
    // Cut short by the capture: the rest of the data is not made up.
    let mut cut = Live::new(Family::V4)?.last;
    cut.payload.truncate(3);
    let frame = Craft::like(pair.a(), pair.b(), &cut).frame()?;
    assert_eq!(Segment::decode(&frame)?.map(|it| it.payload_len), Some(0));
    Ok(())
}

fn what_cannot_be_is_refused() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let (a, b) = (pair.a(), pair.b());
    let flow = |source: &str, destination: &str| -> Result<_, Failed> {
        Ok(Flow::new(source.parse()?, destination.parse()?))
    };
    let v4 = flow("10.77.0.1:1", "10.77.0.2:2")?;
    for (craft, reason) in [
        (
            Craft::new(a, b, flow("10.77.0.1:1", "[fd77::2]:2")?),
            "both IPv6",
        ),
        (Craft::new(a, b, v4).raw_options(&[1; 41]), "44 bytes long"),
        (
            Craft::new(a, b, v4).payload(&[0; 65_536]),
            "65536 bytes long",
        ),
    ] {
        let error = craft.frame().err().ok_or(reason)?;
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let nonsense = Craft::new(a, b, v4).raw_options(&[8, 0]).frame()?;
    let too_short = OptionError::TooShort {
        kind: 8,
        at: 0,
        length: 0,
    };
    assert_eq!(
        Segment::decode(&nonsense),
        Err(DecodeError::Options(too_short))
    );
    Ok(())
}

fn a_reset_at_the_right_place_kills() -> Result<(), Failed> {
    for family in Family::ALL {
        let mut live = Live::new(family)?;
        live.inject(&live.next().flags(Flags::RST))?;
        live.server.receive_reset()?;
        assert_eq!(live.answers()?, []);
    }
    Ok(())
}

/// RFC 5961, section 3.2.
fn a_reset_elsewhere_in_the_window_is_challenged() -> Result<(), Failed> {
    for family in Family::ALL {
        let live = Live::new(family)?;
        live.inject(&live.next().seq(live.last.end_seq() + 1).flags(Flags::RST))?;
        expect_acknowledgment(&live)?;
        live.goes_on()?;
    }
    Ok(())
}

/// RFC 5961, section 5.2.
fn an_old_acknowledgment_is_challenged() -> Result<(), Failed> {
    for family in Family::ALL {
        let live = Live::new(family)?;
        live.inject(&live.next().ack(live.last.ack.wrapping_sub(1 << 30)))?;
        expect_acknowledgment(&live)?;
        live.goes_on()?;
    }
    Ok(())
}

/// RFC 9293, section 3.10.7.4.
fn old_data_are_acknowledged_again() -> Result<(), Failed> {
    for family in Family::ALL {
        let live = Live::new(family)?;
        live.inject(&Craft::like(live.pair.a(), live.pair.b(), &live.last))?;
        expect_acknowledgment(&live)?;
        live.goes_on()?;
    }
    Ok(())
}

/// The server says where the connection is, once.
fn expect_acknowledgment(live: &Live) -> Result<(), Failed> {
    let answers = live.answers()?;
    let [answer] = &answers[..] else {
        return Err(format!("{answers:?}").into());
    };
    assert_eq!(
        (answer.flags, answer.ack),
        (Flags::ACK, live.last.end_seq())
    );
    Ok(())
}

fn a_wrong_checksum_is_ignored() -> Result<(), Failed> {
    for family in Family::ALL {
        let live = Live::new(family)?;
        live.inject(&live.next().flags(Flags::RST).wrong_checksum())?;
        assert_eq!(live.answers()?, []);
        live.goes_on()?;
    }
    Ok(())
}

fn data_are_data() -> Result<(), Failed> {
    for family in Family::ALL {
        let mut live = Live::new(family)?;
        let data = lab::Stream::CLIENT.bytes(10, 33);
        live.inject(&live.next().flags(Flags::PSH.and(Flags::ACK)).payload(&data))?;
        live.server.receive(33)?;
    }
    Ok(())
}
