//! Which expectations count, and what becomes of an outcome by them.

use super::{Book, Date, Error, Here};
use crate::case::{Case, Level, Need};
use crate::catalogue;
use crate::outcome::Outcome;
use crate::probe::Answer;
use crate::subject::Subject;
use crate::verdict::Failure;

fn cases() -> Vec<Case> {
    ["a/b/v4", "a/b/v6", "a/c/v4"]
        .map(|id| Case::new(id, "x", &["A2"], |_| Ok(())))
        .into()
}

/// An entry, with some lines in place of the usual ones.
fn entry(lines: &[&str]) -> String {
    let usual = [
        "case = 'a/b/*'",
        "subject = 'rust'",
        "kernel = '>= 6.17'",
        "reason = 'it is known'",
        "link = 'https://example.org/1'",
        "expires = '2027-01-31'",
    ];
    let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let kept = usual
        .iter()
        .filter(|it| !lines.iter().any(|line| key(line) == key(it)));
    let lines: Vec<_> = kept.chain(lines).copied().collect();
    format!("[[expectation]]\n{}\n", lines.join("\n"))
}

fn parse(text: &str) -> Book {
    Book::parse(text, &cases()).unwrap()
}

fn on(book: &Book, subject: Subject, release: &str, today: &str) -> super::Expected {
    // Of all that can be here, everything is but a peek offset, and of buffer locks nobody knows.
    let probe = |need| match need {
        Need::PeekOffset => Answer::Missing("x".into()),
        Need::BufferLock => Answer::Unknown("x".into()),
        _ => Answer::Here,
    };
    let today: Date = today.parse().unwrap();
    book.here(&Here {
        subject: &subject,
        release,
        today,
        probe: &probe,
    })
}

/// What becomes of a failure of the first case.
fn of_a_failure(text: &str) -> &'static str {
    let expected = on(&parse(text), Subject::Rust, "6.18.1", "2027-01-31");
    let failed = Outcome::Fail(Failure::new("x", 1, 2));
    expected.judge(&cases()[0], failed).word()
}

#[test]
fn the_built_in_expectations_fit_the_catalogue() {
    let cases = catalogue::all();
    Book::built_in(&cases).unwrap();
}

#[test]
fn a_failure_that_is_expected_is_known_and_a_pass_that_is_not_is_told() {
    let expected = on(&parse(&entry(&[])), Subject::Rust, "6.18.1", "2026-11-26");
    let failed = || Outcome::Fail(Failure::new("x", 1, 2));
    let [fits, _, other]: [Case; 3] = cases().try_into().unwrap();
    let known = expected.judge(&fits, failed());
    assert_eq!(known.word(), "known");
    assert!(!known.is_bad());
    let because = known.expectation().unwrap().because();
    assert_eq!(because, "it is known (https://example.org/1)");
    assert_eq!(expected.judge(&fits, Outcome::Pass).word(), "unexpected");
    assert_eq!(
        expected.judge(&fits, Outcome::Skip("x".into())).word(),
        "skip"
    );
    assert_eq!(
        expected.judge(&fits, Outcome::Broken("x".into())).word(),
        "broken"
    );
    let observed = Outcome::of(Err(Failure::new("x", 1, 2).into()), Level::Info);
    assert_eq!(expected.judge(&fits, observed).word(), "info");
    assert_eq!(expected.judge(&other, failed()).word(), "fail");
    assert_eq!(expected.judge(&other, Outcome::Pass).word(), "pass");
}

#[test]
fn an_expectation_counts_where_it_applies_only() {
    for (lines, word) in [
        (vec![], "known"),
        (vec!["subject = 'capi'"], "fail"),
        (vec!["subject = '*'"], "known"),
        (vec!["kernel = '< 6.18'"], "fail"),
        (vec!["kernel = 'any'"], "known"),
        (vec!["with = 'TCP_REPAIR_WINDOW'"], "known"),
        (vec!["without = 'TCP_REPAIR_WINDOW'"], "fail"),
        (vec!["with = 'SO_PEEK_OFF on TCP'"], "fail"),
        (vec!["without = 'SO_PEEK_OFF on TCP'"], "known"),
        (vec!["with = 'SO_BUF_LOCK'"], "fail"),
        (vec!["without = 'SO_BUF_LOCK'"], "fail"),
        (vec!["expires = '2027-01-30'"], "fail"),
    ] {
        assert_eq!(of_a_failure(&entry(&lines)), word, "{lines:?}");
    }
    let library = parse(&entry(&["subject = '*/libsoccr.so*'"]));
    let file = Subject::File("/usr/lib/libsoccr.so.2".into());
    let expected = on(&library, file, "6.18", "2027-01-31");
    assert_eq!(
        expected.judge(&cases()[0], Outcome::Pass).word(),
        "unexpected"
    );
}

#[test]
fn an_expectation_that_has_expired_is_told_where_it_would_have_counted() {
    let text = entry(&[]) + &entry(&["subject = 'capi'"]);
    let expected = on(&parse(&text), Subject::Rust, "6.18", "2027-02-01");
    let expired: Vec<_> = expected
        .expired
        .iter()
        .map(|it| it.expires.to_string())
        .collect();
    assert_eq!(expired, ["2027-01-31"]);
    assert_eq!(expected.judge(&cases()[0], Outcome::Pass).word(), "pass");
}

#[test]
fn ones_own_expectations_come_before_those_of_everybody() {
    let everybody = parse(&entry(&[]));
    let own = parse(&entry(&["reason = 'mine'"]));
    let expected = on(&everybody.and(own), Subject::Rust, "6.18", "2026-11-26");
    let outcome = expected.judge(&cases()[0], Outcome::Pass);
    assert_eq!(outcome.expectation().unwrap().reason, "mine");
}

#[test]
fn what_is_wrong_with_an_entry_is_named() {
    for (lines, said) in [
        (
            vec!["case = 'a/d/*'"],
            "the expectation `a/d/*` matches no case",
        ),
        (vec!["reason = ''"], "an empty reason"),
        (vec!["link = ' '"], "an empty link"),
        (vec!["with = 'TELEPATHY'"], "TELEPATHY, which nobody probes"),
        (vec!["without = 'TELEPATHY'"], "choose among"),
        (vec!["kernel = '6.17'"], "names no kernels"),
        (vec!["expires = 'never'"], "is no day"),
        (vec!["expiry = '2027-01-01'"], "unknown field"),
    ] {
        let error = Book::parse(&entry(&lines), &cases())
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{lines:?}: {error}");
    }
    for key in ["case", "subject", "kernel", "reason", "link", "expires"] {
        let text = entry(&[]);
        let without: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{key} ")))
            .collect();
        let error = Book::parse(&without.join("\n"), &cases());
        assert!(matches!(error, Err(Error::Format(_))), "{key}: {error:?}");
    }
}
