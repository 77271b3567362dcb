//! The end of the text report: a table by area, why cases were skipped, what failed, and the verdict.

use super::style::{Styles, paint};
use crate::runner::INTERRUPTED;
use crate::scenario::bins::{self, Reached};
use crate::subject::Subject;
use crate::summary::{Exit, Summary, Totals};
use anstyle::Style;
use std::fmt::Write as _;

/// So many of the pairs that were not reached are named.
const SHOWN_PAIRS: usize = 5;

/// The text, with its trailing newline.
#[must_use]
pub fn text(summary: &Summary, styles: &Styles) -> String {
    let mut out = String::from("\n");
    // Writing to a string cannot fail.
    let _ = table(&mut out, summary, styles);
    let mut skips = summary.skips();
    skips.retain(|(reason, _)| reason != INTERRUPTED);
    let _ = reasons(&mut out, "skip", &skips, styles.weak);
    let _ = reasons(&mut out, "known", &summary.known(), styles.weak);
    let _ = expired(&mut out, summary, styles);
    let _ = reached(&mut out, &summary.reached, styles);
    let _ = failures(&mut out, summary, styles);
    let unexpected = summary.unexpected();
    let _ = reasons(&mut out, "unexpected pass", &unexpected, styles.notable);
    let machine = &summary.machine;
    let _ = writeln!(
        out,
        "\nkernel {} ({}), {}, seed {}{}, {:.1} s",
        machine.release,
        machine.machine,
        machine.user(),
        summary.options.seed,
        summary.options.subject.in_a_report(),
        summary.elapsed.as_secs_f64()
    );
    out.push_str(&verdict(summary, styles));
    out
}

fn table(out: &mut String, summary: &Summary, styles: &Styles) -> std::fmt::Result {
    let areas = summary.areas();
    let width = areas.iter().map(|(area, _)| area.len()).max();
    let width = width.unwrap_or(0).max("total".len());
    let total = summary.totals();
    let heads = heads(&total);
    writeln!(out, "{:width$}  {}", "area", heads.join("  "))?;
    let total = (areas.len() != 1).then_some(("total", total));
    for (area, totals) in areas.into_iter().chain(total) {
        write!(out, "{area:width$}")?;
        for (head, (count, style)) in heads.iter().zip(columns(&totals, styles)) {
            let column = head.len();
            let cell = match count {
                0 => paint(styles.weak, format!("{:>column$}", "-")).to_string(),
                _ => paint(style, format!("{count:>column$}")).to_string(),
            };
            write!(out, "  {cell}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What is seldom there has a column only where it is.
fn heads(total: &Totals) -> Vec<&'static str> {
    let mut heads = vec!["passed", "failed", "skipped", "broken", "info"];
    if total.known + total.unexpected > 0 {
        heads.extend(["known", "unexpected"]);
    }
    heads
}

fn columns(totals: &Totals, styles: &Styles) -> [(usize, Style); 7] {
    [
        (totals.passed, styles.good),
        (totals.failed, styles.bad),
        (totals.skipped, Style::new()),
        (totals.broken, styles.bad),
        (totals.info, styles.notable),
        (totals.known, styles.notable),
        (totals.unexpected, styles.notable),
    ]
}

/// The cases of each reason, below it.
fn reasons(
    out: &mut String,
    word: &str,
    reasons: &[(String, Vec<&str>)],
    style: Style,
) -> std::fmt::Result {
    for (reason, ids) in reasons {
        writeln!(out, "\n{word}: {reason} ({})", ids.len())?;
        for id in ids {
            writeln!(out, "  {}", paint(style, id))?;
        }
    }
    Ok(())
}

/// What it means that the scenarios passed: in which circumstances, and in which pairs of them, something was saved.
fn reached(out: &mut String, reached: &Reached, styles: &Styles) -> std::fmt::Result {
    if reached.scenarios == 0 {
        return Ok(());
    }
    let missing = reached.missing();
    let all = bins::pairs().count();
    let never = bins::pairs().filter(|pair| bins::unreachable(*pair).is_some());
    let never = never.count();
    writeln!(
        out,
        "\n{} scenarios with {} saves: {} of {} pairs of circumstances reached ({:.1} %), {never} that cannot be",
        reached.scenarios,
        reached.saves,
        all - never - missing.len(),
        all - never,
        reached.percent(),
    )?;
    for (one, other) in missing.iter().take(SHOWN_PAIRS) {
        writeln!(
            out,
            "  {}",
            paint(styles.weak, format!("not reached: {one} + {other}"))
        )?;
    }
    if missing.len() > SHOWN_PAIRS {
        let more = format!(
            "and {} more: see the report of --json",
            missing.len() - SHOWN_PAIRS
        );
        writeln!(out, "  {}", paint(styles.weak, more))?;
    }
    Ok(())
}

fn expired(out: &mut String, summary: &Summary, styles: &Styles) -> std::fmt::Result {
    for expectation in &summary.options.expected.expired {
        writeln!(
            out,
            "\n{}: {} was expected to fail until {}, and is judged as any other since: {}",
            paint(styles.notable, "expired"),
            expectation.case,
            expectation.expires,
            expectation.because()
        )?;
    }
    Ok(())
}

fn failures(out: &mut String, summary: &Summary, styles: &Styles) -> std::fmt::Result {
    let records = summary.records.iter();
    let records: Vec<_> = records.filter(|record| record.outcome.is_bad()).collect();
    if !records.is_empty() {
        writeln!(out)?;
    }
    for record in records {
        let word = paint(styles.bad, format!("{:6}", record.outcome.word()));
        write!(out, "{word} {}", record.case.id)?;
        match &record.kept.folder {
            Some(folder) => writeln!(out, "  in {}", folder.display())?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// One sentence, and what the exit code says unless it is 0.
fn verdict(summary: &Summary, styles: &Styles) -> String {
    let (promises, totals, exit) = (summary.promises(), summary.totals(), summary.exit());
    let who = match &summary.options.subject {
        Subject::Rust => "this kernel".to_owned(),
        subject => format!("the library {subject}"),
    };
    let mut text = match promises.judged {
        0 => format!("no promise of {who} was judged"),
        judged => format!("{who} keeps {} of {judged} promises", promises.kept),
    };
    for (count, what) in [
        (totals.skipped, "skipped"),
        (totals.broken, "undecided because the harness broke"),
        (totals.known, "known to fail"),
        (totals.unexpected, "expected to fail and kept"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    let style = match exit {
        Exit::Passed => styles.good,
        _ => styles.bad,
    };
    let text = paint(style, text);
    let because = match exit {
        Exit::Passed => return format!("{text}\n"),
        Exit::Failures if totals.failed == 0 && summary.options.strict && totals.unexpected > 0 => {
            "a case was expected to fail and passes, and --strict was given"
        }
        Exit::Failures if totals.failed == 0 => "a case was skipped, and --expect-all was given",
        Exit::Failures => "a promise is not kept",
        Exit::Harness if summary.interrupted => "the run was told to end before its time",
        Exit::Harness => "the harness broke",
        Exit::Nothing => "nothing ran",
        Exit::Usage => "the command line makes no sense",
    };
    format!("{text}\nexit code {}: {because}\n", exit.code())
}
