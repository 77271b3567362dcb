//! A run for GitHub Actions: annotations, which are commands on standard output, and the summary of a job, in Markdown.

use super::json::Entry;
use super::told::{Run, Told};
use std::fmt::Write as _;
use std::io::{self, Write};

/// So many annotations of one kind does GitHub show for a step.
const SHOWN: usize = 10;

/// Writes an annotation for each case that failed, as far as they are shown, and one that says how many there are.
///
/// # Errors
/// What writing returns.
pub fn annotations(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let mut bad = Vec::new();
    for Run {
        name: run,
        told,
        trouble,
    } in runs
    {
        bad.extend(trouble.iter().map(|it| (run.clone(), it.clone())));
        bad.extend(failures(told).map(|entry| (format!("{run}: {}", entry.id), text(entry))));
        bad.extend(told.running.iter().map(|id| {
            let why = "it was running when the run was cut off";
            (format!("{run}: {id}"), why.to_owned())
        }));
    }
    let shown = match bad.len() > SHOWN {
        true => SHOWN - 1,
        false => SHOWN,
    };
    for (title, text) in bad.iter().take(shown) {
        writeln!(out, "::error title={}::{}", property(title), data(text))?;
    }
    if bad.len() > shown {
        let more = bad.len() - shown;
        writeln!(
            out,
            "::error::{more} more cases failed: the summary of the job has them"
        )?;
    }
    out.flush()
}

/// Writes the summary.
///
/// # Errors
/// What writing returns.
pub fn markdown(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let mut text = String::from("## TCP repair\n\n");
    let _ = table(&mut text, runs);
    for Run {
        name: run,
        told,
        trouble,
    } in runs
    {
        for trouble in trouble {
            let _ = writeln!(text, "\n**{}**: {}", cell(run), cell(trouble));
        }
        for entry in failures(told) {
            let _ = details(&mut text, run, told, entry);
        }
        for id in &told.running {
            let _ = writeln!(
                text,
                "\n**{run}: {}** was running when the run was cut off",
                cell(id)
            );
        }
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn table(text: &mut String, runs: &[Run]) -> std::fmt::Result {
    writeln!(
        text,
        "| run | kernel | passed | failed | undecided | skipped | known |"
    )?;
    writeln!(text, "|---|---|--:|--:|--:|--:|--:|")?;
    for Run {
        name: run, told, ..
    } in runs
    {
        let totals = told.totals();
        let kernel = told.begin.as_ref().map_or("", |it| &it.machine.release);
        let whole = match told.end {
            Some(_) => "",
            None => " (cut off)",
        };
        writeln!(
            text,
            "| {}{whole} | {} | {} | {} | {} | {} | {} |",
            cell(run),
            cell(kernel),
            totals.passed + totals.info,
            totals.failed,
            totals.broken,
            totals.skipped,
            totals.known
        )?;
    }
    Ok(())
}

fn details(text: &mut String, run: &str, told: &Told, entry: &Entry) -> std::fmt::Result {
    let seed = told.begin.as_ref().map_or(0, |it| it.seed);
    let again = format!(
        "cargo run --release -p conformance -- run --filter {} --seed {seed}",
        entry.id
    );
    // A fence is longer than any in the text.
    let fence = "~".repeat(3 + longest_run(&text_of(entry)));
    writeln!(
        text,
        "\n<details><summary><b>{}: {}</b></summary>\n\n{}\n\n{fence}\n{}\n{fence}\n\n`{again}`\n\n</details>",
        escaped(run),
        escaped(&entry.id),
        escaped(&entry.statement),
        text_of(entry)
    )
}

fn failures(told: &Told) -> impl Iterator<Item = &Entry> {
    let bad = |entry: &&Entry| matches!(&*entry.outcome, "fail" | "broken");
    told.entries.iter().filter(bad)
}

fn text(entry: &Entry) -> String {
    format!("{}\n{}", entry.statement, text_of(entry))
}

fn text_of(entry: &Entry) -> String {
    let mut text = entry.reason.clone().unwrap_or_default();
    if let (Some(expected), Some(actual)) = (&entry.expected, &entry.actual) {
        let _ = write!(text, "\nexpected: {expected}\nactual:   {actual}");
    }
    text
}

/// The longest run of tildes.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|it| it != '~').map(str::len);
    runs.max().unwrap_or(0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A cell of a table, on one line.
fn cell(text: &str) -> String {
    escaped(text).replace('|', "\\|").replace('\n', " ")
}

/// The text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::sample_of;
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>, &[Run]) -> io::Result<()>, run: Run) -> String {
        let mut out = Vec::new();
        write(&mut out, &[run]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn failures_are_annotated_and_no_more_than_are_shown() {
        assert_eq!(
            written(annotations, sample_of("6.12")),
            "::error title=6.12::it <hangs>\n\
             ::error title=6.12%3A a/two::holds%0Aa number%0Aexpected: 1%0Aactual:   2%0Aor <3>\n\
             ::error title=6.12%3A b/running::it was running when the run was cut off\n"
        );
        let mut many = sample_of("6.12");
        many.told.running = (0..30).map(|it| format!("c/{it}")).collect();
        let text = written(annotations, many);
        assert_eq!(text.lines().count(), SHOWN);
        assert!(
            text.ends_with("::error::23 more cases failed: the summary of the job has them\n"),
            "{text}"
        );
    }

    #[test]
    fn the_summary_has_a_line_for_each_run_and_the_failures() {
        let mut run = sample_of("6.12");
        run.told.entries[1].actual = Some("~~~~ </details>".to_owned());
        let text = written(markdown, run);
        assert!(
            text.contains("\n| 6.12 (cut off) | 6.12 | 1 | 1 | 1 | 1 | 1 |\n"),
            "{text}"
        );
        assert!(text.contains("\n**6.12**: it &lt;hangs&gt;\n"), "{text}");
        assert!(text.contains("\n~~~~~~~\na number\n"), "{text}");
        assert!(text.contains("\n**6.12: b/running** was running"), "{text}");
    }
}
