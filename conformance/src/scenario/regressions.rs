//! The scenarios that have failed once, whoever it was that was wrong: the files in `conformance/regressions`.

macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../regressions/", $name, ".scenario")),
        )
    };
}

/// Their names, and what is in the files.
pub(super) const ALL: &[(&str, &str)] = &[
    file!("acknowledged-twice-at-the-end"),
    file!("answered-before-the-resume"),
    file!("both-ways-closed"),
    file!("closed-again"),
    file!("closed-over-flight"),
    file!("cut-off-before-the-end"),
    file!("disorder-at-the-end"),
    file!("fin-before-the-resume"),
    file!("fin-behind-its-window"),
    file!("fin-of-a-lossy-peer"),
    file!("held-and-too-large"),
    file!("larger-than-its-link"),
    file!("moved-in-close-wait"),
    file!("paced-behind-the-rule"),
    file!("raised-over-flight"),
    file!("smaller-mtu"),
    file!("time-wait-without-timestamps"),
    file!("unsent-beyond-its-limit"),
    file!("urgent-comes-late"),
    file!("window-of-time-wait"),
];

/// What a file says of itself: its remarks.
pub(super) fn remarks(text: &str) -> String {
    let remarks = text.lines().filter_map(|line| line.strip_prefix('#'));
    remarks.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::collections::BTreeSet;
    use std::{fs, path::Path};

    #[test]
    fn every_file_is_in_the_list_and_is_a_scenario_with_a_reason() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        let files: BTreeSet<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed = ALL.iter().map(|(name, _)| format!("{name}.scenario"));
        assert_eq!(files, listed.collect());
        for (name, text) in ALL {
            let scenario: Scenario = text
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                !scenario.steps.is_empty() && remarks(text).ends_with('.'),
                "{name}"
            );
        }
    }
}
