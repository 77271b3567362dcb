//! Tables: for the terminal, and for both reports.

use std::fmt;

/// A table; the first column is words, the others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What the columns are.
    pub head: Vec<String>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// One without rows.
    #[must_use]
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push<S: Into<String>>(&mut self, row: impl IntoIterator<Item = S>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    fn width(&self, column: usize) -> usize {
        let all = std::iter::once(&self.head).chain(&self.rows);
        let widths = all
            .filter_map(|row| row.get(column))
            .map(|it| it.chars().count());
        widths.max().unwrap_or(0)
    }

    /// As Markdown has it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<_> = (0..self.head.len())
            .map(|at| if at == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        line(&self.head) + &line(&rule) + &rows
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = self.width(column);
                line += &match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["", "ours", "floor"]);
        table.push(["send", "1.2 µs", "1 µs"]);
        table.push(["a|b", "12 µs", "9 µs"]);
        table
    }

    #[test]
    fn in_a_terminal_numbers_end_below_each_other() {
        let lines = [
            "        ours  floor",
            "send  1.2 µs   1 µs",
            "a|b    12 µs   9 µs",
        ];
        assert_eq!(table().to_string(), lines.join("\n") + "\n");
    }

    #[test]
    fn in_markdown_a_cell_ends_where_it_ends() {
        let lines = [
            "|  | ours | floor |",
            "| --- | ---: | ---: |",
            "| send | 1.2 µs | 1 µs |",
            "| a\\|b | 12 µs | 9 µs |",
        ];
        assert_eq!(table().markdown(), lines.join("\n") + "\n");
    }
}
