//! Ladder diagrams: two hosts side by side, time running down, an arrow for each segment.

mod drawing;
mod layout;
mod matching;
mod picture;
mod text;

use crate::address::Flow;
use crate::error::{Doing, Error};
use crate::trace::Trace;
use drawing::Drawing;
use layout::Row;
use std::fs;
use std::path::Path;

/// A diagram of the TCP segments between two hosts and of what became of them, with the marks.
///
/// `Display` draws it in characters, at most 100 to a line; [`Ladder::svg`] draws a picture. Each end has its own order
/// of events, and keeps it: an arrow goes straight across where the orders of both ends allow that; otherwise its
/// beginning and its end stand in rows of their own. Sequence numbers are relative; timestamps and padding are left
/// out, and so are packets other than TCP.
#[derive(Clone, Debug)]
pub struct Ladder {
    left: String,
    /// `None` when only the left end was captured.
    right: Option<String>,
    connections: Vec<Flow>,
    /// When the first of it happened, in nanoseconds since the Unix epoch.
    start: u64,
    arrows: Vec<Arrow>,
    rows: Vec<Row>,
}

/// One of the two hosts of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Left,
    Right,
}

/// A segment on its way.
#[derive(Clone, Debug)]
struct Arrow {
    from: End,
    /// The number by which notes speak of it.
    number: usize,
    /// Which of the diagram's connections it belongs to, counted from 1.
    connection: usize,
    /// What it is: flags, numbers, window.
    label: String,
    notes: Vec<String>,
    kind: Kind,
    /// When it left, in nanoseconds since the Unix epoch; `None` when nobody saw it leave.
    sent: Option<u64>,
    /// When it arrived; `None` when nobody saw it arrive.
    arrived: Option<u64>,
}

/// What deserves a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Retransmission,
    Reset,
}

impl Trace {
    /// Draws its segments as a ladder diagram: the host whose link it is at the left, everybody else at the right.
    ///
    /// What becomes of a segment that has left is unknown to one capture; [`Trace::ladder_to`] takes two. Segments have
    /// the numbers that their packets have in this trace.
    #[must_use]
    pub fn ladder(&self) -> Ladder {
        Drawing::of_one(self)
    }

    /// Draws the segments between two hosts as a ladder diagram, from a capture of each: this one at the left.
    ///
    /// Two sightings are of one segment when both show the same, or all but what may change on the way; then a note
    /// says so. A segment that the other capture did not see arrive ends in an `x`, one that it did not see leave
    /// begins with a `*`. Segments are counted from 1 in the order in which they left, and notes are judged in that
    /// order, whether a segment arrived or not.
    ///
    /// Both captures have to cover the same time: begin both before the first segment that is wanted, and take both
    /// traces when all is quiet ([`Wire::until_quiet`](crate::wire::Wire::until_quiet)).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), lab::Error> {
    /// # let pair = lab::Pair::with_wire()?;
    /// let (left, right) = (pair.a().capture()?, pair.b().capture()?);
    /// // ... something happens ...
    /// pair.wire().until_quiet()?;
    /// print!("{}", left.trace()?.ladder_to(&right.trace()?));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn ladder_to(&self, other: &Self) -> Ladder {
        Drawing::of_two(self, other)
    }
}

impl Ladder {
    /// How many segments left one host and were not seen to arrive at the other.
    ///
    /// Always zero for a ladder of one capture, which cannot know.
    #[must_use]
    pub fn lost(&self) -> usize {
        let lost = |row: &&Row| matches!(row, Row::Lost(_));
        self.rows.iter().filter(lost).count()
    }

    /// Draws it as a picture: a whole SVG 1.1 file that needs nothing from elsewhere, in light or dark as the reader
    /// prefers.
    #[must_use]
    pub fn svg(&self) -> String {
        picture::draw(self)
    }

    /// Draws it as a picture into a new file; one that is there already is replaced.
    ///
    /// # Errors
    /// [`Error::Os`] naming `path`, when it cannot be written.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        fs::write(path, self.svg())
            .doing(|| format!("write the ladder of {} to {}", self.left, path.display()))
    }

    /// The name of the host at the right.
    fn right(&self) -> &str {
        self.right.as_deref().unwrap_or("(not captured)")
    }

    /// The connections, with their numbers if there are several.
    fn legend(&self) -> impl Iterator<Item = String> {
        let several = self.connections.len() > 1;
        let numbered = (1..).zip(&self.connections);
        numbered.map(move |(number, flow)| match several {
            true => format!("[{number}] is {flow}"),
            false => flow.to_string(),
        })
    }

    /// When something happened in a row, at the left and at the right end, in nanoseconds since the first event.
    fn times(&self, row: &Row) -> [Option<u64>; 2] {
        let (sender, sent, arrived) = match row {
            Row::Mark(end, mark) => (*end, Some(mark.time), None),
            Row::Across(at)
            | Row::Departs(at)
            | Row::Lost(at)
            | Row::Arrives(at)
            | Row::Appears(at) => match self.arrows.get(*at) {
                Some(arrow) => (arrow.from, arrow.sent, arrow.arrived),
                None => return [None, None],
            },
        };
        let since = |time: u64| time.saturating_sub(self.start);
        let sent = sent.filter(|_| !matches!(row, Row::Arrives(_)));
        let arrived = arrived.filter(|_| !matches!(row, Row::Departs(_)));
        match sender {
            End::Left => [sent, arrived].map(|it| it.map(since)),
            End::Right => [arrived, sent].map(|it| it.map(since)),
        }
    }

    /// What stands on an arrow: its number, its connection if there are several, and what it is.
    fn title(&self, arrow: &Arrow) -> String {
        match self.connections.len() {
            0 | 1 => format!("{} {}", arrow.number, arrow.label),
            _ => format!("{} [{}] {}", arrow.number, arrow.connection, arrow.label),
        }
    }
}

/// A text in which nothing begins a new line or does anything else but stand there.
fn one_line(text: &str) -> String {
    let visible = |it: char| match it.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => it,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
