//! How a report looks: its colours, and text side by side.

use crate::outcome::Outcome;
use anstyle::{AnsiColor, Color, Style};
use std::fmt::{self, Display};

/// The styles of a report, by meaning.
#[derive(Clone, Copy, Debug)]
pub struct Styles {
    /// Kept.
    pub good: Style,
    /// Not kept, or broken.
    pub bad: Style,
    /// Not judged.
    pub weak: Style,
    /// Worth a look.
    pub notable: Style,
    /// The most important word.
    pub strong: Style,
}

impl Styles {
    /// No styles at all.
    pub const PLAIN: Self = Self {
        good: Style::new(),
        bad: Style::new(),
        weak: Style::new(),
        notable: Style::new(),
        strong: Style::new(),
    };

    /// Colours that can be read on dark and on light terminals.
    pub const COLOURED: Self = Self {
        good: coloured(AnsiColor::Green),
        bad: coloured(AnsiColor::Red).bold(),
        weak: Style::new().dimmed(),
        notable: coloured(AnsiColor::Yellow),
        strong: Style::new().bold(),
    };

    /// The style of an outcome, by the word for it.
    #[must_use]
    pub fn of_word(&self, word: &str) -> Style {
        match word {
            "pass" => self.good,
            "fail" | "broken" | "crash" => self.bad,
            "skip" => self.weak,
            "unexpected" => self.strong,
            _ => self.notable,
        }
    }

    /// The style of an outcome.
    #[must_use]
    pub fn of(&self, outcome: &Outcome) -> Style {
        self.of_word(outcome.word())
    }
}

const fn coloured(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

/// Text in a style. Pad the text before it is painted: the codes have a width for [`fmt`], and none on a terminal.
pub(crate) fn paint(style: Style, text: impl Display) -> impl Display {
    struct Painted<T>(Style, T);
    impl<T: Display> Display for Painted<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}{}{:#}", self.0, self.1, self.0)
        }
    }
    Painted(style, text)
}

/// So many cases, in words that fit the number.
pub(crate) fn number(cases: usize) -> String {
    let plural = if cases == 1 { "" } else { "s" };
    format!("{cases} case{plural}")
}

/// Two texts beside each other in `width` characters, lines that differ marked with `|`; one above the other if
/// they are too wide for that.
pub(crate) fn side_by_side(left: (&str, &str), right: (&str, &str), width: usize) -> Vec<String> {
    let column = width.saturating_sub(3) / 2;
    let lines = |(title, text): (&str, &str)| -> Vec<String> {
        let text = text.lines().map(|line| line.replace('\t', "    "));
        std::iter::once(title.to_owned()).chain(text).collect()
    };
    let (left_lines, right_lines) = (lines(left), lines(right));
    let widest = |lines: &[String]| lines.iter().map(|line| line.chars().count()).max();
    let left_width = widest(&left_lines).unwrap_or(0);
    if left_width.max(widest(&right_lines).unwrap_or(0)) > column {
        let titles = left.0.chars().count().max(right.0.chars().count()) + 1;
        return [left, right]
            .into_iter()
            .flat_map(|(title, text)| hanging(&format!("{title}:"), text, titles))
            .collect();
    }
    let rows = left_lines.len().max(right_lines.len());
    let row = |n: usize| {
        let (left, right) = (left_lines.get(n), right_lines.get(n));
        let mark = if n > 0 && left != right { '|' } else { ' ' };
        let (left, right) = (
            left.map_or("", String::as_str),
            right.map_or("", String::as_str),
        );
        format!("{left:left_width$} {mark} {right}")
            .trim_end()
            .to_owned()
    };
    (0..rows).map(row).collect()
}

/// A title, and a text beside it that hangs from it.
pub(crate) fn hanging(title: &str, text: &str, width: usize) -> Vec<String> {
    let titles = std::iter::once(title).chain(std::iter::repeat(""));
    let lines = text.lines().chain(text.is_empty().then_some(""));
    lines
        .zip(titles)
        .map(|(line, title)| format!("{title:width$} {line}").trim_end().to_owned())
        .collect()
}

/// The words of a text in lines of `width` characters; a word that is longer has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 {
            let fits = column + 1 + length <= width;
            lines.push(if fits { ' ' } else { '\n' });
            column = if fits { column + 1 } else { 0 };
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expected: &str, actual: &str, width: usize) -> String {
        side_by_side(("expected", expected), ("actual", actual), width).join("\n")
    }

    #[test]
    fn short_texts_stand_beside_each_other() {
        assert_eq!(
            shown("64230", "63", 40),
            "expected   actual\n\
             64230    | 63"
        );
    }

    #[test]
    fn lines_that_differ_are_marked() {
        assert_eq!(
            shown("a 1\nb 2", "a 1\nb 3\nc 4", 40),
            "expected   actual\n\
             a 1        a 1\n\
             b 2      | b 3\n\
             \x20        | c 4"
        );
    }

    #[test]
    fn wide_texts_stand_above_each_other() {
        assert_eq!(
            shown("a window of 64230 bytes\nor more", "63", 40),
            "expected: a window of 64230 bytes\n\
             \x20         or more\n\
             actual:   63"
        );
    }

    #[test]
    fn the_width_decides() {
        let (left, right) = ("x".repeat(10), "y".repeat(8));
        assert_eq!(shown(&left, &right, 23).lines().count(), 2);
        assert!(shown(&left, &right, 23).contains(&format!("{left} | {right}")));
        assert!(shown(&left, &right, 22).starts_with("expected: x"));
    }

    #[test]
    fn empty_texts_do_no_harm() {
        assert_eq!(shown("", "", 40), "expected   actual");
        assert_eq!(shown("", &"y".repeat(40), 40).lines().count(), 2);
        assert_eq!(shown("a", "b", 0), "expected: a\nactual:   b");
    }

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("one two three", 6), "one\ntwo\nthree");
        assert_eq!(wrapped(" one\n  two ", 80), "one two");
        assert_eq!(wrapped("longer a", 3), "longer\na");
        assert_eq!(wrapped("", 0), "");
    }

    #[test]
    fn one_case_is_not_several() {
        assert_eq!([0, 1, 2].map(number), ["0 cases", "1 case", "2 cases"]);
    }

    #[test]
    fn plain_styles_print_no_codes() {
        assert_eq!(paint(Styles::PLAIN.bad, "fail").to_string(), "fail");
        let coloured = paint(Styles::COLOURED.bad, "fail").to_string();
        assert!(coloured.starts_with('\x1b') && coloured.ends_with("\x1b[0m"));
    }
}
