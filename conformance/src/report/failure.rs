//! All that a person needs to know about one case that did not pass.

use super::style::{Styles, hanging, paint, side_by_side};
use crate::case::Case;
use crate::evidence::Excerpt;
use crate::outcome::{Outcome, Record};
use crate::runner::Options;
use crate::scenario::TRANSPARENT;
use std::path::Path;

/// Width of the words on the left.
const LABEL: usize = 9;

/// The words on the left, the blank before them and the one behind them.
const MARGIN: usize = 2 + LABEL + 1;

/// The block that describes a case that failed or broke, with its trailing newline.
#[must_use]
pub fn block(record: &Record, run: &Options, width: usize, styles: &Styles) -> String {
    let mut block = Block::default();
    let Record { case, outcome, .. } = record;
    block.line(&format!(
        "{} {} ({} ms)",
        paint(styles.of(outcome), outcome.word()),
        paint(styles.strong, &case.id),
        record.elapsed.as_millis()
    ));
    block.field("promise", &case.statement);
    block.field("guide", &case.guide.join(", "));
    match outcome {
        Outcome::Fail(failure) | Outcome::Known(failure, _) | Outcome::Info(failure) => {
            block.field("about", &failure.what);
            let (expected, actual) = (&failure.expected, &failure.actual);
            for line in side_by_side(
                ("expected", expected),
                ("actual", actual),
                width.saturating_sub(MARGIN),
            ) {
                block.field("", &line);
            }
        }
        Outcome::Skip(reason) | Outcome::Broken(reason) => block.field("reason", reason),
        Outcome::Pass | Outcome::Unexpected(_) => {}
    }
    for (name, value) in &record.notes {
        block.field("note", &format!("{name}: {value}"));
    }
    for excerpt in &record.kept.excerpts {
        block.excerpt(excerpt, styles);
    }
    for trouble in &record.kept.troubles {
        block.field("not kept", trouble);
    }
    if let Some(folder) = &record.kept.folder {
        block.field("folder", &folder.display().to_string());
    }
    block.field(
        "again",
        &match &record.kept.scenario {
            Some(file) => replay(file, case, run),
            None => command(case, Some(run)),
        },
    );
    block.0
}

/// The command that runs one case alone.
#[must_use]
pub fn command(case: &Case, run: Option<&Options>) -> String {
    let options = run.map_or_else(String::new, |run| {
        format!(" --seed {}{}", run.seed, run.subject.in_a_command())
    });
    format!(
        "cargo run --release -p conformance -- run --filter {}{options}",
        case.id
    )
}

/// The command that asks of the scenario in a file what the case has asked of it.
fn replay(file: &Path, case: &Case, run: &Options) -> String {
    let compared = match case.id.starts_with(TRANSPARENT) {
        true => "--compared ",
        false => "",
    };
    format!(
        "cargo run --release -p conformance -- replay {compared}{}{}",
        file.display(),
        run.subject.in_a_command()
    )
}

#[derive(Default)]
struct Block(String);

impl Block {
    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn field(&mut self, label: &str, text: &str) {
        for line in hanging(label, text, LABEL) {
            self.line(&format!("  {line}"));
        }
    }

    fn excerpt(&mut self, excerpt: &Excerpt, styles: &Styles) {
        let Excerpt {
            host,
            lines,
            before,
            after,
        } = excerpt;
        let total = before + lines.len() + after;
        let shown = if total == lines.len() {
            format!("{total} lines")
        } else {
            format!(
                "lines {} to {} of {total}",
                before + 1,
                before + lines.len()
            )
        };
        self.field("wire", &format!("at host {host}, {shown}"));
        for line in lines {
            self.line(&format!("    {}", paint(styles.weak, line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Kept;
    use crate::verdict::Failure;
    use std::time::Duration;

    fn record() -> Record {
        let case = Case::new(
            "restore/window",
            "The window is as before.",
            &["A47", "C30"],
            |_| Ok(()),
        );
        Record {
            case,
            outcome: Outcome::Fail(Failure::new("the window on the wire", 64230, 63)),
            elapsed: Duration::from_millis(31),
            notes: vec![("queues".into(), "0 0".into())],
            kept: Kept {
                scenario: None,
                folder: Some("out/restore__window".into()),
                excerpts: vec![Excerpt {
                    host: "a".into(),
                    lines: vec!["0.1 > ack 7".into()],
                    before: 4,
                    after: 0,
                }],
                troubles: vec!["b.pcapng: No space left on device".into()],
            },
        }
    }

    fn run() -> Options {
        Options {
            seed: 17,
            ..Options::default()
        }
    }

    #[test]
    fn the_command_names_the_library_unless_it_is_the_rust_one() {
        let run = Options {
            subject: crate::subject::Subject::Capi,
            ..run()
        };
        let text = block(&record(), &run, 80, &Styles::PLAIN);
        assert!(text.ends_with(" --seed 17 --subject capi\n"), "{text}");
    }

    #[test]
    fn a_scenario_is_replayed_as_it_was_run() {
        for (id, words) in [
            ("generated/000081", ""),
            ("transparent/generated/000081", "--compared "),
        ] {
            let mut record = record();
            record.case.id = format!("scenario/{id}");
            record.kept.scenario = Some("out/scenario.txt".into());
            let text = block(&record, &run(), 80, &Styles::PLAIN);
            let command = format!(" replay {words}out/scenario.txt\n");
            assert!(text.ends_with(&command), "{text}");
        }
    }

    #[test]
    fn everything_is_said_once_and_in_order() {
        assert_eq!(
            block(&record(), &run(), 80, &Styles::PLAIN),
            "\
fail restore/window (31 ms)
  promise   The window is as before.
  guide     A47, C30
  about     the window on the wire
            expected   actual
            64230    | 63
  note      queues: 0 0
  wire      at host a, lines 5 to 5 of 5
    0.1 > ack 7
  not kept  b.pcapng: No space left on device
  folder    out/restore__window
  again     cargo run --release -p conformance -- run --filter restore/window --seed 17
"
        );
    }

    #[test]
    fn a_broken_case_says_what_broke() {
        let mut record = record();
        record.outcome = Outcome::Broken("the lab: no room\nat all".into());
        let text = block(&record, &run(), 80, &Styles::PLAIN);
        assert!(text.starts_with("broken restore/window"), "{text}");
        assert!(
            text.contains("  reason    the lab: no room\n            at all\n"),
            "{text}"
        );
    }
}
