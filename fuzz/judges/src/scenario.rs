//! Scenario files from anywhere: refused with a line and a reason, or read as a scenario that can happen, is written down
//! and read again as it was, and for which a program can be written.
//!
//! An input is the text.

use conformance::repro::{Language, emit};
use conformance::scenario::{MAX_STEPS, Malformed, Scenario};

/// Judges an input.
pub fn judge(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<Scenario>() {
        Ok(scenario) => read(&scenario),
        Err(Malformed { line, why }) => {
            assert!(line >= 1 && line <= text.lines().count().max(1), "{line}");
            assert!(!why.is_empty());
        }
    }
}

fn read(scenario: &Scenario) {
    assert_eq!(scenario.contradiction(), None);
    assert!(scenario.steps.len() <= MAX_STEPS);
    // Every segment has room for a byte.
    assert!(scenario.setup.segment() > 0);
    let text = scenario.to_string();
    assert_eq!(text.parse().as_ref(), Ok(scenario), "{text}");
    for language in [Language::Rust, Language::C] {
        match emit(scenario, language) {
            // The scenario stands in the program, as a comment.
            Ok(program) => assert!(text.lines().all(|line| program.contains(line))),
            Err(why) => {
                assert!(why.step <= scenario.steps.len());
                let step = why.step.checked_sub(1).map(|at| &scenario.steps[at]);
                assert!(step.is_none_or(|step| step.to_string() == why.text));
            }
        }
    }
}
