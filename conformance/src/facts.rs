//! What the numbers such as `A47` stand for: the list in `FACTS.md`.

use std::sync::LazyLock;

/// The list, as people read it.
const LIST: &str = include_str!("../FACTS.md");

/// What each entry of the list begins with.
const ENTRY: &str = "\n- **";

static FACTS: LazyLock<Vec<Fact>> = LazyLock::new(|| parse(LIST));

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The letter of its area and its place there, such as `A47`.
    pub number: &'static str,
    /// What it says, in one line.
    pub text: String,
}

/// All facts, in the order of the list.
#[must_use]
pub fn all() -> &'static [Fact] {
    &FACTS
}

/// What a number stands for.
#[must_use]
pub fn text(number: &str) -> Option<&'static str> {
    let fact = all().iter().find(|fact| fact.number == number)?;
    Some(&fact.text)
}

/// What numbers are sorted by: area, place, and the letter behind it that a few have.
pub(crate) fn place(number: &str) -> Option<(char, u8, &str)> {
    let area = number.chars().next().filter(char::is_ascii_uppercase)?;
    let rest = &number[1..];
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_lowercase());
    Some((area, digits.parse().ok()?, &rest[digits.len()..]))
}

/// The entries of a list: `- **number** text`, up to the next one or an empty line.
fn parse(list: &'static str) -> Vec<Fact> {
    let entries = list.split(ENTRY).skip(1);
    let fact = |entry: &'static str| {
        let (number, rest) = entry.split_once("** ")?;
        let words = rest.split("\n\n").next()?.split_whitespace();
        let text = words.collect::<Vec<_>>().join(" ");
        Some(Fact { number, text })
    };
    entries.filter_map(fact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use std::collections::HashSet;
    use std::path::Path;
    use std::{fs, io};

    /// The numbers behind each word `guide` of a source, also where they go on in the next line of a comment.
    fn referenced(source: &str) -> Vec<String> {
        let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        let comment = |word: &&str| !word.trim_matches(['/', '!']).is_empty();
        let mut words = source.split_whitespace().filter(comment);
        let mut numbers = Vec::new();
        while let Some(word) = words.next() {
            if bare(word) != "guide" {
                continue;
            }
            for word in words.by_ref() {
                let number = bare(word);
                if place(&number).is_none() {
                    break;
                }
                numbers.push(number);
                if !word.ends_with(',') {
                    break;
                }
            }
        }
        numbers
    }

    /// Calls `visit` with the name and the text of every Rust source below a directory.
    fn sources(directory: &Path, visit: &mut dyn FnMut(&Path, &str)) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                sources(&path, visit)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                visit(&path, &fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    #[test]
    fn entries_end_at_the_next_one_and_at_an_empty_line() {
        let fact = |number, text: &str| Fact {
            number,
            text: text.to_owned(),
        };
        assert_eq!(
            parse("# A\n\n- **A1** One\n  fact.\n- **A2** Two.\n\n## B\n\n- **B1** Three.\n"),
            [
                fact("A1", "One fact."),
                fact("A2", "Two."),
                fact("B1", "Three.")
            ]
        );
    }

    #[test]
    fn the_list_is_sorted_and_every_entry_says_something() {
        assert_eq!(
            all().len(),
            LIST.matches("\n- ").count(),
            "malformed entries"
        );
        for fact in all() {
            assert!(place(fact.number).is_some(), "{}", fact.number);
            assert!(fact.text.ends_with('.'), "{}: {:?}", fact.number, fact.text);
        }
        for pair in all().windows(2) {
            let [first, second] = [pair[0].number, pair[1].number];
            assert!(place(first) < place(second), "{first} is before {second}");
        }
    }

    #[test]
    fn every_entry_has_a_case() {
        let cases = catalogue::all();
        let tested: HashSet<_> = cases.iter().flat_map(|case| case.guide).collect();
        for Fact { number, .. } in all() {
            assert!(tested.contains(number), "{number} has no case");
        }
    }

    #[test]
    fn every_number_in_a_comment_has_an_entry() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for member in ["soccr", "conformance"] {
            let mut found = 0;
            let check = &mut |path: &Path, source: &str| {
                for number in referenced(source) {
                    found += 1;
                    let path = path.display();
                    assert!(
                        text(&number).is_some(),
                        "{path}: {number} is not in the list"
                    );
                }
            };
            sources(&workspace.join(member).join("src"), check).unwrap();
            assert!(found > 0, "{member} refers to no number: is that so?");
        }
    }

    #[test]
    fn references_are_found_across_lines_and_end_where_they_end() {
        let source = "
            /// Reads it (guide A24); *guide A9*, too (RFC 7323; guide A50,
            /// A51, G14). A25 stands for itself.
            guide: &[\"D15b\", \"H2\"],
            // A guide to A47, and guide nothing.";
        let expected = ["A24", "A9", "A50", "A51", "G14", "D15b", "H2"];
        assert_eq!(referenced(source), expected);
    }
}
