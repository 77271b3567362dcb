//! Patterns that choose cases by their ids.

/// Whether `text` matches `pattern`: `*` stands for any characters, `/` among them, and `?` for exactly one.
///
/// An id has neither of the two in it, so that nothing needs to be escaped.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, which then takes one character more. Only the last
    // star matters: whatever an earlier one could take in its place, the last one can take as well.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind_star, taken)) = retry else {
                    return false;
                };
                (p, t) = (behind_star, taken + 1);
                retry = Some((p, t));
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("a/b", "xa/b", false),
            ("*", "", true),
            ("*", "a/b/c", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("*/v6", "restore/window/v6", true),
            ("*/v6", "restore/window/v4", false),
            ("a*c", "a/b/c", true),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxcxxb", false),
            ("*ab", "aab", true),
            ("*a*a*", "aa", true),
            ("*a*a*", "a", false),
            ("**", "a", true),
            ("a**", "a", true),
            ("v?", "v4", true),
            ("v?", "v", false),
            ("v?", "v44", false),
            ("?*", "", false),
            ("é?", "éß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        // Would take longer than anybody waits if every star were tried against every other.
        assert!(!matches(&"*a".repeat(30), &"ab".repeat(200)));
    }
}
