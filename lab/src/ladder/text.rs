//! Drawing diagrams in characters.

use super::layout::Row;
use super::{Arrow, End, Ladder, one_line};
use crate::print::Seconds;
use std::fmt;

/// Between the lines of the two hosts, in characters; with the times at both sides it makes a line of 100.
const INNER: usize = 74;
/// What a time takes, up to ten thousand seconds.
const TIME: usize = 11;
/// How long an arrow is that has one end only in its row.
const HALF: usize = 56;

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for connection in self.legend() {
            writeln!(f, "{connection}")?;
        }
        let (left, right) = (&self.left, self.right());
        let room = (2 * (TIME + 2) + INNER).saturating_sub(left.chars().count());
        writeln!(f, "{left}{right:>room$}")?;
        for row in &self.rows {
            let [left, right] = self.times(row).map(|time| match time {
                Some(time) => Seconds(time).to_string(),
                None => String::new(),
            });
            let (inner, notes) = match row {
                Row::Mark(end, mark) => (remark(*end, &mark.text), Vec::new()),
                Row::Across(it)
                | Row::Departs(it)
                | Row::Lost(it)
                | Row::Arrives(it)
                | Row::Appears(it) => match self.arrows.get(*it) {
                    Some(arrow) => (self.stroke(row, arrow), notes(row, arrow)),
                    None => continue,
                },
            };
            let line = format!("{left:>TIME$} |{inner}| {right:<TIME$}");
            writeln!(f, "{}", line.trim_end())?;
            for note in notes {
                writeln!(f, "{:>TIME$} |{note:^INNER$}|", "")?;
            }
        }
        Ok(())
    }
}

impl Ladder {
    /// An arrow, or the half of it that is in this row.
    fn stroke(&self, row: &Row, arrow: &Arrow) -> String {
        let (length, title, tail, head) = match row {
            Row::Across(_) => (INNER, self.title(arrow), "", ">"),
            Row::Departs(_) => (HALF, self.title(arrow), "", ""),
            Row::Lost(_) => (HALF, self.title(arrow), "", "x"),
            Row::Arrives(_) => (HALF, arrow.number.to_string(), "", ">"),
            Row::Appears(_) => (HALF, self.title(arrow), "*", ">"),
            Row::Mark(..) => (0, String::new(), "", ""),
        };
        let room = length - tail.len() - head.len();
        let title = format!(" {} ", cut(&title, room - 4));
        let begins = matches!(row, Row::Departs(_) | Row::Lost(_));
        match arrow.from {
            End::Left => {
                let stroke = format!("{tail}{title:-^room$}{head}");
                match begins {
                    true => format!("{stroke:<INNER$}"),
                    false => format!("{stroke:>INNER$}"),
                }
            }
            End::Right => {
                let head = if head == ">" { "<" } else { head };
                let stroke = format!("{head}{title:-^room$}{tail}");
                match begins {
                    true => format!("{stroke:>INNER$}"),
                    false => format!("{stroke:<INNER$}"),
                }
            }
        }
    }
}

/// A remark, beside the host where it was made.
fn remark(end: End, text: &str) -> String {
    let text = format!("== {} ==", cut(&one_line(text), INNER - 8));
    match end {
        End::Left => format!("{text:<INNER$}"),
        End::Right => format!("{text:>INNER$}"),
    }
}

/// What stands below an arrow, in lines that fit between the hosts.
fn notes(row: &Row, arrow: &Arrow) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if matches!(row, Row::Arrives(_)) || arrow.notes.is_empty() {
        return lines;
    }
    for word in format!("({})", arrow.notes.join(", ")).split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= INNER - 2 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The beginning of a text that is longer than this.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 2).collect();
    format!("{kept}..")
}
