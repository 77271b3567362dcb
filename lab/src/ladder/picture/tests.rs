//! What is in a picture.

use crate::Flags;
use crate::ladder::End::{Left, Right};
use crate::ladder::story::{Story, ack, data};
use crate::segment::Segment;
use svg::node::element::tag::Type;
use svg::parser::Event;

#[test]
fn a_picture_holds_what_the_text_does_and_needs_nothing_from_elsewhere() {
    let reset = Segment {
        flags: Flags::RST,
        ..data(101, 0)
    };
    let ladder = Story::default()
        .segment(Left, &data(1, 100), 0, None)
        .segment(Left, &data(1, 100), 10, 30)
        .segment(Right, &ack(101), 20, 40)
        .mark(Right, "<&\"\u{0}>", 50)
        .segment(Left, &reset, 60, 70)
        .segment(Left, &reset, None, 80)
        .ladder();
    let picture = ladder.svg();
    let (mut open, mut groups, mut texts, mut outside) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for event in svg::read(&picture).unwrap() {
        match event {
            Event::Tag(name, Type::Start, attributes) => {
                open.push(name);
                let class = attributes.get("class").map(ToString::to_string);
                groups.extend(class.filter(|_| name == "g"));
                outside += usize::from(attributes.contains_key("href"));
            }
            Event::Tag(name, Type::End, _) => assert_eq!(open.pop(), Some(name)),
            Event::Text(text) if open.last() == Some(&"text") => texts.push(text.trim()),
            Event::Error(error) => panic!("{error}"),
            _ => {}
        }
    }
    assert!(open.is_empty() && outside == 0, "{open:?} {outside}");
    assert_eq!(picture.matches("://").count(), 1, "the name of SVG itself");
    // The line of an arrow comes with its end, its words with its beginning.
    let (lines, words) = groups.split_at(groups.len() / 2);
    let (first, again, last) = ("segment lost", "segment again", "segment reset");
    assert_eq!(lines, [first, "segment", again, "mark", last, last]);
    assert_eq!(words, [first, again, "segment", "mark", last, last]);
    for text in [
        "10.0.0.1:1 &gt; 10.0.0.2:2",
        "a/veth0",
        "b/veth0",
        "1 . 0:100(100) ack 0 win 502",
        "retransmission of packet 1",
        "3 . 0:0(0) ack 100 win 502",
        "&lt;&amp;\"\u{fffd}&gt;",
        "0.000080",
    ] {
        assert!(texts.contains(&text), "{text} is not among {texts:?}");
    }
    assert!(
        picture.contains("5 TCP segments: 1 sent again, 1 not seen to arrive, 2 resets."),
        "{picture}"
    );
}
