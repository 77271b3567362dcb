//! Tables of runs side by side.

use super::style::{Styles, paint};
use crate::summary::Totals;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

/// The word for a case that was not asked.
const SKIPPED: &str = "skip";

/// A case, and what became of it in each run, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// The words for it, as in the report of each.
    pub outcomes: Vec<String>,
}

impl Row {
    /// Whether two runs differ in which it was asked.
    #[must_use]
    pub fn differs(&self) -> bool {
        let mut asked = self.outcomes.iter().filter(|word| *word != SKIPPED);
        let first = asked.next();
        asked.any(|word| Some(word) != first)
    }
}

/// A line for each row, a column for each name.
pub(crate) fn cases(
    out: &mut String,
    names: &[String],
    rows: &[Row],
    styles: &Styles,
) -> fmt::Result {
    let left = rows.iter().map(|row| row.id.len()).max().unwrap_or(0);
    let widths: Vec<_> = names
        .iter()
        .map(|name| name.chars().count().max("unexpected".len()))
        .collect();
    write!(out, "{:left$}", "case")?;
    for (name, width) in names.iter().zip(&widths) {
        write!(out, "  {name:width$}")?;
    }
    trimmed(out);
    for row in rows {
        write!(out, "{:left$}", row.id)?;
        for (word, width) in row.outcomes.iter().zip(&widths) {
            write!(
                out,
                "  {}",
                paint(styles.of_word(word), format!("{word:width$}"))
            )?;
        }
        trimmed(out);
    }
    Ok(())
}

/// How many promises of each area are kept, of those that were judged: a line for each area, a column for each name.
pub(crate) fn areas(
    out: &mut String,
    names: &[String],
    runs: &[Vec<(String, Totals)>],
) -> fmt::Result {
    let mut areas: Vec<&str> = Vec::new();
    for (area, _) in runs.iter().flatten() {
        if !areas.contains(&&**area) {
            areas.push(area);
        }
    }
    let cell = |totals: &Totals| {
        let kept = totals.passed + totals.unexpected;
        let judged = kept + totals.failed + totals.known + totals.broken;
        match judged {
            0 => "-".to_owned(),
            judged => format!("{kept} of {judged}"),
        }
    };
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for area in areas {
        let of_area = |run: &Vec<(String, Totals)>| {
            let found = run.iter().find(|(name, _)| name == area);
            found.map_or_else(|| "-".to_owned(), |(_, totals)| cell(totals))
        };
        lines.push((area, runs.iter().map(of_area).collect()));
    }
    let total = |run: &Vec<(String, Totals)>| {
        let mut sum = Totals::default();
        run.iter().for_each(|(_, totals)| sum.join(totals));
        cell(&sum)
    };
    lines.push(("total", runs.iter().map(total).collect()));
    let left = lines.iter().map(|(area, _)| area.len()).max().unwrap_or(0);
    let width = |column: usize, name: &String| {
        let cells = lines.iter().filter_map(|(_, cells)| cells.get(column));
        cells
            .map(String::len)
            .chain([name.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(column, name)| width(column, name))
        .collect();
    write!(out, "{:left$}", "area")?;
    for (name, width) in names.iter().zip(&widths) {
        write!(out, "  {name:>width$}")?;
    }
    trimmed(out);
    for (area, cells) in &lines {
        write!(out, "{area:left$}")?;
        for (cell, width) in cells.iter().zip(&widths) {
            write!(out, "  {cell:>width$}")?;
        }
        trimmed(out);
    }
    Ok(())
}

/// Ends a line, without blanks in front of its end.
fn trimmed(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}
