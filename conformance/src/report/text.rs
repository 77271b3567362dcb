//! The report for people: line by line, or one line that changes and the failures above it.

use super::style::{Styles, number, paint};
use super::{Report, failure, summary};
use crate::case::Case;
use crate::machine::Machine;
use crate::outcome::{Outcome, Record};
use crate::progress::Progress;
use crate::runner::Options;
use crate::summary::Summary;
use anstream::{AutoStream, ColorChoice};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Stdout, Write, stdout};

/// Where there is no terminal to ask.
const USUAL_WIDTH: usize = 100;

/// Carriage return, and erase the line.
const ERASE: &str = "\r\x1b[2K";

/// The report for people.
pub struct Text<W> {
    out: W,
    styles: Styles,
    width: usize,
    /// What a failed case is to be run with again.
    run: Options,
    mode: Mode,
}

/// How the cases that end are told.
enum Mode {
    /// Each with a line, in the order of the catalogue: those that have ended before their turn wait here.
    Lines {
        waiting: BTreeMap<usize, String>,
        next: usize,
    },
    /// On a terminal: one line that says how far the run is, and what went wrong as soon as it did.
    Live(Progress),
}

impl Text<Stdout> {
    /// A report on standard output, as what is behind it can bear: `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are
    /// honoured.
    #[must_use]
    pub fn on_stdout() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let styles = colours();
        if stdout().is_terminal() && !dumb {
            Self::live(stdout(), styles, width())
        } else {
            Self::lines(stdout(), styles, USUAL_WIDTH)
        }
    }
}

/// How many characters fit a line of standard output.
#[must_use]
pub fn width() -> usize {
    let size = terminal_size::terminal_size_of(stdout());
    size.map_or(USUAL_WIDTH, |(width, _)| width.0.into())
}

/// The styles that standard output can bear.
#[must_use]
pub fn colours() -> Styles {
    match AutoStream::choice(&stdout()) {
        ColorChoice::Never => Styles::PLAIN,
        _ => Styles::COLOURED,
    }
}

impl<W: Write> Text<W> {
    /// A report of one line for each case.
    pub fn lines(out: W, styles: Styles, width: usize) -> Self {
        let mode = Mode::Lines {
            waiting: BTreeMap::new(),
            next: 0,
        };
        Self {
            out,
            styles,
            width,
            run: Options::default(),
            mode,
        }
    }

    /// A report whose last line changes.
    pub fn live(out: W, styles: Styles, width: usize) -> Self {
        Self {
            mode: Mode::Live(Progress::default()),
            ..Self::lines(out, styles, width)
        }
    }

    /// What is written to a reader that has gone is lost, and nobody is there to be told: the exit code still says
    /// how the run ended.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// Puts `text` where the changing line is, and that line below it.
    fn above(&mut self, text: &str) {
        let Mode::Live(progress) = &self.mode else {
            return;
        };
        // A character in the last column would make some terminals wrap.
        let line = progress.line(self.width.saturating_sub(1));
        self.write(&format!("{ERASE}{text}{line}"));
    }

    fn told(&self, record: &Record) -> String {
        let (outcome, id) = (&record.outcome, &record.case.id);
        if outcome.is_bad() {
            return failure::block(record, &self.run, self.width, &self.styles);
        }
        let word = paint(self.styles.of(outcome), format!("{:6}", outcome.word()));
        let took = format!("({} ms)", record.elapsed.as_millis());
        match outcome {
            Outcome::Skip(reason) => format!("{word} {id}: {reason}\n"),
            Outcome::Known(failure, expectation) => format!(
                "{word} {id} {took}: {}: expected {}, found {}, as expected: {}\n",
                failure.what,
                one_line(&failure.expected),
                one_line(&failure.actual),
                expectation.because()
            ),
            Outcome::Unexpected(expectation) => format!(
                "{word} {id} {took}: it passes, and was expected to fail: {}\n",
                expectation.because()
            ),
            Outcome::Info(failure) => format!(
                "{word} {id} {took}: {}: expected {}, found {}\n",
                failure.what,
                one_line(&failure.expected),
                one_line(&failure.actual)
            ),
            _ => format!("{word} {id} {took}\n"),
        }
    }
}

impl<W: Write> Report for Text<W> {
    fn begin(&mut self, machine: &Machine, options: &Options, cases: &[Case]) {
        self.run = options.clone();
        match &mut self.mode {
            Mode::Live(progress) => *progress = Progress::new(cases.len()),
            Mode::Lines { waiting, next } => {
                waiting.clear();
                *next = 0;
            }
        }
        self.write(&format!(
            "kernel {} ({}), {}, seed {}{}: {}, {} at a time\n",
            machine.release,
            machine.machine,
            machine.user(),
            options.seed,
            options.subject.in_a_report(),
            number(cases.len()),
            options.jobs
        ));
    }

    fn started(&mut self, index: usize, case: &Case) {
        if let Mode::Live(progress) = &mut self.mode {
            progress.started(index, &case.id);
            self.above("");
        }
    }

    fn ended(&mut self, index: usize, record: &Record) {
        let told = self.told(record);
        match &mut self.mode {
            Mode::Lines { waiting, next } => {
                waiting.insert(index, told);
                let mut text = String::new();
                while let Some(told) = waiting.remove(next) {
                    text.push_str(&told);
                    *next += 1;
                }
                self.write(&text);
            }
            Mode::Live(progress) => {
                progress.ended(index, &record.outcome);
                // The skipped ones come at the end, by reason; the passed ones are counted.
                let outcome = &record.outcome;
                let expected = outcome.expectation().is_some();
                let tell = outcome.failure().is_some() || outcome.is_bad() || expected;
                self.above(if tell { &told } else { "" });
            }
        }
    }

    fn finished(&mut self, summary: &Summary) {
        if let Mode::Live(_) = self.mode {
            self.write(ERASE);
        }
        self.write(&summary::text(summary, &self.styles));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
