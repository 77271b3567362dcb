//! Drawing diagrams as pictures.

use super::layout::Row;
use super::{Arrow, End, Kind, Ladder, one_line};
use crate::print::Seconds;
use std::collections::HashMap;
use svg::Document;
use svg::node::Text as Content;
use svg::node::element::{
    Circle, Description, Group, Line, Polygon, Rectangle, Style, Text, Title,
};

// In pixels, at the size that the picture asks for.
const WIDTH: i32 = 960;
const LEFT: i32 = 110;
const RIGHT: i32 = WIDTH - LEFT;
/// How far an arrow goes whose other end nobody saw.
const HALF: i32 = (RIGHT - LEFT) * 3 / 4;
/// How high a row is.
const ROW: i32 = 30;
/// How much higher if it has notes.
const NOTES: i32 = 14;
/// From the line of one text to the next.
const LINE: i32 = 18;
const MARGIN: i32 = 16;
/// The length of an arrow's head.
const HEAD: f64 = 9.0;

/// Names begin with the class of the whole, so that a page which the picture is put into keeps its own style.
const STYLE: &str = "
.ladder { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #646464; --again: #a34a07; --bad: #be123c }
@media (prefers-color-scheme: dark) {
  .ladder { --paper: #16181d; --ink: #e6e6e6; --faint: #a0a0a0; --again: #f5a94a; --bad: #fb7185 }
}
.ladder text { font: 12px ui-monospace, monospace; fill: var(--ink); stroke: var(--paper); stroke-width: 4px;
  paint-order: stroke }
.ladder .host { font-weight: bold }
.ladder .time, .ladder .note { font-size: 11px; fill: var(--faint) }
.ladder .paper { fill: var(--paper) }
.ladder line { stroke: var(--ink); stroke-width: 1.4 }
.ladder polygon, .ladder circle { fill: var(--ink) }
.ladder .host-line { stroke: var(--faint); stroke-width: 1 }
.ladder .mark line { stroke: var(--faint); stroke-dasharray: 2 4 }
.ladder .again line { stroke: var(--again) }
.ladder .again .note, .ladder .again polygon { fill: var(--again) }
.ladder .reset line, .ladder .lost line { stroke: var(--bad) }
.ladder .reset .note, .ladder .reset polygon { fill: var(--bad) }
.ladder .lost .stroke { stroke-dasharray: 6 4 }
";

/// A place in the picture.
type Point = (i32, i32);

pub(super) fn draw(ladder: &Ladder) -> String {
    let legend: Vec<_> = ladder.legend().collect();
    let top = MARGIN + LINE * i32::try_from(legend.len()).unwrap_or(0) + 2 * LINE;
    let (mut rows, mut y) = (Vec::new(), top);
    for row in &ladder.rows {
        y += ROW;
        rows.push((y, row));
        if has_notes(ladder, row) {
            y += NOTES;
        }
    }
    let bottom = y + ROW;
    let height = bottom + MARGIN;
    let mut picture = Document::new()
        .set("class", "ladder")
        .set("role", "img")
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .add(Title::new(format!(
            "{} and {}",
            ladder.left,
            ladder.right()
        )))
        .add(Description::new().add(Content::new(summary(ladder))))
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "paper")
                .set("width", "100%")
                .set("height", "100%"),
        );
    for (number, connection) in (1..).zip(legend) {
        picture = picture.add(text("note", "start", (MARGIN, number * LINE), &connection));
    }
    for (x, host) in [(LEFT, &*ladder.left), (RIGHT, ladder.right())] {
        picture = picture
            .add(text("host", "middle", (x, top - LINE), host))
            .add(line((x, top - LINE / 2), (x, bottom)).set("class", "host-line"));
    }
    // Words stand before all lines, with a border of paper around them.
    let (mut lines, mut words) = (Group::new(), Group::new());
    // Where arrows began that end in a later row.
    let mut begun = HashMap::new();
    for (y, row) in rows {
        let [left, right] = ladder.times(row);
        for (x, anchor, time) in [(LEFT - 10, "end", left), (RIGHT + 10, "start", right)] {
            if let Some(time) = time {
                let time = Seconds(time).to_string();
                words = words.add(text("time", anchor, (x, y + 4), &time));
            }
        }
        let [line, word] = draw_row(ladder, row, y, &mut begun);
        lines = lines.add(line);
        words = words.add(word);
    }
    format!("{}\n", picture.add(lines).add(words))
}

/// What those get to know who cannot see it; those who want each arrow find a text there.
fn summary(ladder: &Ladder) -> String {
    let of = |kind| ladder.arrows.iter().filter(|it| it.kind == kind).count();
    format!(
        "{} TCP segments: {} sent again, {} not seen to arrive, {} resets.",
        ladder.arrows.len(),
        of(Kind::Retransmission),
        ladder.lost(),
        of(Kind::Reset),
    )
}

fn has_notes(ladder: &Ladder, row: &Row) -> bool {
    match row {
        Row::Across(at) | Row::Departs(at) | Row::Lost(at) | Row::Appears(at) => {
            let arrow = ladder.arrows.get(*at);
            arrow.is_some_and(|arrow| !arrow.notes.is_empty())
        }
        Row::Arrives(_) | Row::Mark(..) => false,
    }
}

/// The lines and the words of a row.
fn draw_row(ladder: &Ladder, row: &Row, y: i32, begun: &mut HashMap<usize, i32>) -> [Group; 2] {
    let group = |class: &str| Group::new().set("class", class);
    let at = match row {
        Row::Mark(end, mark) => {
            let (x, anchor) = match end {
                End::Left => (LEFT + 14, "start"),
                End::Right => (RIGHT - 14, "end"),
            };
            let remark = text("", anchor, (x, y + 4), &one_line(&mark.text));
            let across = line((LEFT, y), (RIGHT, y));
            return [group("mark").add(across), group("mark").add(remark)];
        }
        Row::Across(at)
        | Row::Departs(at)
        | Row::Lost(at)
        | Row::Arrives(at)
        | Row::Appears(at) => *at,
    };
    let Some(arrow) = ladder.arrows.get(at) else {
        return [Group::new(), Group::new()];
    };
    let (near, far, forth) = match arrow.from {
        End::Left => (LEFT, RIGHT, 1),
        End::Right => (RIGHT, LEFT, -1),
    };
    let class = match (arrow.kind, row) {
        (_, Row::Lost(_)) => "segment lost",
        (Kind::Ordinary, _) => "segment",
        (Kind::Retransmission, _) => "segment again",
        (Kind::Reset, _) => "segment reset",
    };
    let lines = group(class).add(Title::new(ladder.title(arrow)));
    let words = |anchor, x| said(group(class), ladder, arrow, anchor, (x, y - 5));
    match row {
        Row::Across(_) => [
            stroke(lines, (near, y), (far, y)),
            words("middle", (LEFT + RIGHT) / 2),
        ],
        // Its line is drawn when it arrives; its words belong where it began.
        Row::Departs(_) => {
            begun.insert(at, y);
            let anchor = match arrow.from {
                End::Left => "start",
                End::Right => "end",
            };
            [Group::new(), words(anchor, near + 14 * forth)]
        }
        Row::Arrives(_) => {
            let began = begun.get(&at).copied().unwrap_or(y);
            [stroke(lines, (near, began), (far, y)), Group::new()]
        }
        Row::Lost(_) => {
            let (x, r) = (near + HALF * forth, 5);
            let cross = lines
                .add(line((near, y), (x, y)).set("class", "stroke"))
                .add(line((x - r, y - r), (x + r, y + r)))
                .add(line((x - r, y + r), (x + r, y - r)));
            [cross, words("middle", near + HALF / 2 * forth)]
        }
        Row::Appears(_) => {
            let x = far - HALF * forth;
            let begins = Circle::new().set("cx", x).set("cy", y).set("r", 3);
            [
                stroke(lines.add(begins), (x, y), (far, y)),
                words("middle", far - HALF / 2 * forth),
            ]
        }
        Row::Mark(..) => [Group::new(), Group::new()],
    }
}

/// With what stands on an arrow, and its notes below it.
fn said(group: Group, ladder: &Ladder, arrow: &Arrow, anchor: &str, (x, y): Point) -> Group {
    let group = group.add(text("", anchor, (x, y), &ladder.title(arrow)));
    match arrow.notes.is_empty() {
        true => group,
        false => group.add(text("note", anchor, (x, y + LINE), &arrow.notes.join(", "))),
    }
}

/// With an arrow from one place to another.
fn stroke(group: Group, from: Point, to: Point) -> Group {
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy);
    let (dx, dy) = (dx / length * HEAD, dy / length * HEAD);
    let (x, y) = (f64::from(to.0), f64::from(to.1));
    let corner = |side: f64| {
        let (x, y) = (x - dx + side * dy * 0.4, y - dy - side * dx * 0.4);
        format!("{x:.1},{y:.1}")
    };
    let head = format!("{x},{y} {} {}", corner(1.0), corner(-1.0));
    group
        .add(line(from, to).set("class", "stroke"))
        .add(Polygon::new().set("points", head))
}

fn line((x1, y1): Point, (x2, y2): Point) -> Line {
    Line::new()
        .set("x1", x1)
        .set("y1", y1)
        .set("x2", x2)
        .set("y2", y2)
}

fn text(class: &str, anchor: &str, (x, y): Point, content: &str) -> Text {
    let text = Text::new(content)
        .set("x", x)
        .set("y", y)
        .set("text-anchor", anchor);
    match class {
        "" => text,
        _ => text.set("class", class),
    }
}

#[cfg(test)]
mod tests;
