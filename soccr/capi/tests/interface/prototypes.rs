//! Functions as C declares them, in one spelling.

use std::collections::BTreeMap;

/// What a function returns, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prototype {
    pub(crate) returns: String,
    pub(crate) takes: Vec<String>,
}

/// Names of types that stand for others.
pub(crate) type Names = BTreeMap<String, String>;

const WORDS: [&str; 6] = ["char", "const", "int", "long", "short", "unsigned"];

/// The functions that begin with `libsoccr_`, by the symbols that they have for the linker. No preprocessor lines.
pub(crate) fn functions(text: &str, names: &Names) -> BTreeMap<String, Prototype> {
    let mut found = BTreeMap::new();
    let tokens = tokens(text);
    for declaration in tokens.split(|token| matches!(token.as_str(), ";" | "{" | "}")) {
        let open = declaration.iter().position(|token| token == "(");
        let Some(open) = open.filter(|&open| open > 0) else {
            continue;
        };
        let name = &declaration[open - 1];
        if !name.starts_with("libsoccr_") {
            continue;
        }
        let close = closing(declaration, open);
        let prototype = Prototype {
            returns: spelled(&declaration[..open - 1], names),
            takes: parameters(&declaration[open + 1..close], names),
        };
        // `__asm__ ( "libsoccr_staged_" "name" )`
        let label = declaration[close + 1..]
            .iter()
            .filter_map(|token| token.strip_prefix('"'));
        let label: String = label.collect();
        found.insert(
            if label.is_empty() {
                name.clone()
            } else {
                label
            },
            prototype,
        );
    }
    found
}

/// The type behind a `typedef` of a pointer to a function: "TYPE ( * NAME ) ( PARAMETERS )".
pub(crate) fn pointer_type(text: &str, name: &str, names: &Names) -> Option<String> {
    let tokens = tokens(text);
    let mut declarations = tokens.split(|token| token == ";");
    let found = declarations.find_map(|it| {
        let start = it.iter().position(|token| token == "typedef")?;
        let it = &it[start + 1..];
        it.iter().any(|token| token == name).then_some(it)
    })?;
    Some(spelled(found, names))
}

/// Words and signs; a string keeps its first quote.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (token, length) = if first == '"' {
            let length = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
            (rest[..length].trim_end_matches('"'), length)
        } else if rest.starts_with("...") {
            ("...", 3)
        } else if word(first) {
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            (&rest[..length], length)
        } else {
            (&rest[..first.len_utf8()], first.len_utf8())
        };
        tokens.push(token.to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Where the parenthesis is closed that is opened at `open`.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    let end = tokens.iter().enumerate().skip(open).find(|(_, token)| {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => (),
        }
        depth == 0
    });
    end.map_or(tokens.len() - 1, |(at, _)| at)
}

fn parameters(tokens: &[String], names: &Names) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![Vec::new()]);
    for token in tokens {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 0 => {
                parts.push(Vec::new());
                continue;
            }
            _ => (),
        }
        if let Some(part) = parts.last_mut() {
            part.push(token.clone());
        }
    }
    parts.iter().map(|part| spelled(part, names)).collect()
}

/// A type, without the name of what has it: `unsigned x` is `unsigned int`, `struct a *b` is `a *`.
fn spelled(tokens: &[String], names: &Names) -> String {
    if let Some(at) = tokens.windows(2).position(|pair| pair == ["(", "*"]) {
        let close = closing(tokens, at);
        let takes = parameters(&tokens[close + 2..closing(tokens, close + 1)], names);
        return format!(
            "{} (*)({})",
            spelled(&tokens[..at], names),
            takes.join(", ")
        );
    }
    let dropped = ["struct", "union", "extern"];
    let mut words: Vec<&str> = tokens.iter().map(String::as_str).collect();
    words.retain(|word| !dropped.contains(word));
    // The linkage of `extern "C"`.
    words.retain(|word| !word.starts_with('"'));
    let is_name = |word: &str| {
        !WORDS.contains(&word) && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    if words.iter().any(|word| *word != "const")
        && words.len() > 1
        && words.last().is_some_and(|last| is_name(last))
    {
        words.pop();
    }
    let mut spelled = Vec::new();
    for (at, word) in words.iter().enumerate() {
        spelled.push(names.get(*word).map_or(*word, String::as_str));
        let next = words.get(at + 1).copied().unwrap_or_default();
        if *word == "unsigned" && !["char", "int", "long", "short"].contains(&next) {
            spelled.push("int");
        }
    }
    spelled.join(" ")
}
