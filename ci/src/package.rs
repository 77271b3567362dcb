//! Step `package`: what would be published is complete, has nothing that does not belong to it, and can be built from itself.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::{self, judge};
use crate::context::Context;
use crate::error::Error;
use crate::steps::Outcome;

/// What is published, each after what it is built on.
pub(crate) const PACKAGES: [&str; 3] = ["lab", "soccr", "soccr-capi"];

/// The files that every package has.
const NEEDED: [&str; 5] = [
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/lib.rs",
];

/// What else a package may have: files, and folders with all that is in them.
const ALLOWED: [&str; 10] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml.orig",
    "build.rs",
    "examples/",
    "include/",
    "src/",
    "staged/",
    "symbols.txt",
    "tests/",
];

/// What the registry shows of every package.
const FIELDS: [&str; 6] = [
    "description",
    "license",
    "repository",
    "readme",
    "keywords",
    "categories",
];

/// Step `package`. Cargo builds each from its archive, with the others as they are in theirs.
pub(crate) fn package(context: &Context) -> Result<Outcome, Error> {
    let mut wrong = Vec::new();
    for name in PACKAGES {
        let words = ["package", "--list", "--allow-dirty", "--package", name];
        let listed = command::read(&mut context.cargo(words))?;
        wrong.extend(misplaced(listed.lines()).map(|file| format!("{name}: {file}")));
    }
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = command::read(&mut context.cargo(metadata))?;
    wrong.extend(unsaid(&metadata));
    if !wrong.is_empty() {
        return Ok(Outcome::failed(wrong.join("; ")));
    }
    let words = ["package", "--allow-dirty"].into_iter();
    let words = words.chain(PACKAGES.into_iter().flat_map(|name| ["--package", name]));
    judge(context.limit, [context.cargo(words)])
}

/// What is missing in a package, and what does not belong there.
fn misplaced<'a>(listed: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let listed: BTreeSet<_> = listed.collect();
    let missing = NEEDED.into_iter().filter(|file| !listed.contains(file));
    let missing: Vec<_> = missing.map(|file| format!("{file} is missing")).collect();
    let known = |file: &str| {
        let is_allowed = |allowed: &str| match allowed.ends_with('/') {
            true => file.starts_with(allowed),
            false => file == allowed,
        };
        NEEDED.contains(&file) || ALLOWED.into_iter().any(is_allowed)
    };
    let strange = listed.into_iter().filter(|file| !known(file));
    let strange: Vec<_> = strange
        .map(|file| format!("{file} does not belong there"))
        .collect();
    missing.into_iter().chain(strange)
}

/// What the packages do not say of themselves, nor to docs.rs.
fn unsaid(metadata: &str) -> Vec<String> {
    let Ok(metadata) = serde_json::from_str::<Value>(metadata) else {
        return vec!["`cargo metadata` writes no JSON".to_owned()];
    };
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let packages: Vec<_> = packages.collect();
    let mut unsaid = Vec::new();
    for name in PACKAGES {
        let Some(package) = packages.iter().find(|package| package["name"] == name) else {
            unsaid.push(format!("there is no package {name}"));
            continue;
        };
        let is_empty = |value: &Value| match value {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => true,
        };
        let fields = FIELDS.into_iter().filter(|field| is_empty(&package[field]));
        unsaid.extend(fields.map(|field| format!("{name}: no {field}")));
        if is_empty(&package["metadata"]["docs"]["rs"]["targets"]) {
            unsaid.push(format!("{name}: no targets for docs.rs"));
        }
    }
    unsaid
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_and_what_is_too_much_is_named() {
        let all = ["src/x/y.rs", "tests/a.rs", "build.rs"].into_iter();
        assert_eq!(misplaced(NEEDED.into_iter().chain(all)).count(), 0);
        let bad = ["notes.txt", "src/lib.rs", "target/x", "srcs"].into_iter();
        let bad: Vec<_> = misplaced(NEEDED.into_iter().skip(2).chain(bad)).collect();
        let expected = [
            "Cargo.toml is missing",
            "LICENSE-APACHE is missing",
            "notes.txt does not belong there",
            "srcs does not belong there",
            "target/x does not belong there",
        ];
        assert_eq!(bad, expected);
    }

    #[test]
    fn what_is_not_said_is_named() {
        let package = |name: &str| {
            json!({
                "name": name, "description": "x", "license": "x", "repository": "x", "readme": "x",
                "keywords": ["x"], "categories": ["x"],
                "metadata": { "docs": { "rs": { "targets": ["x"] } } },
            })
        };
        let mut packages = PACKAGES.map(package).to_vec();
        let told = |packages: &[Value]| unsaid(&json!({ "packages": packages }).to_string());
        assert_eq!(told(&packages), [""; 0]);
        packages[1]["keywords"] = json!([]);
        packages[1]["readme"] = Value::Null;
        packages[2]["metadata"] = Value::Null;
        packages.remove(0);
        let expected = [
            "there is no package lab",
            "soccr: no readme",
            "soccr: no keywords",
            "soccr-capi: no targets for docs.rs",
        ];
        assert_eq!(told(&packages), expected);
    }
}
