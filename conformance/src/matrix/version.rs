//! The order of versions.

/// So that 6.9 comes before 6.12: the numbers in it, each with the text behind it.
pub(crate) fn by_version(release: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = release;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit());
        let (number, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        let text = behind.find(|it: char| it.is_ascii_digit());
        let (text, behind) = behind.split_at(text.unwrap_or(behind.len()));
        parts.push((number.parse().unwrap_or(0), text.to_owned()));
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut releases = ["6.12.1", "6.9.3", "7.0", "6.12.1+deb13-cloud", "5.10.0-32"];
        releases.sort_by_key(|it| by_version(it));
        let expected = ["5.10.0-32", "6.9.3", "6.12.1", "6.12.1+deb13-cloud", "7.0"];
        assert_eq!(releases, expected);
    }
}
