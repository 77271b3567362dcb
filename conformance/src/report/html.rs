//! Runs as one page for people: a single file that a browser shows without asking anything from elsewhere.
//!
//! What a run has told goes in as JSON; the scripts in `html/` make of it what is seen. They set texts only, and never
//! markup, so that nothing that a case says can become part of the page.

use super::told::{self, Told};
use crate::subject::Subject;
use serde::Serialize;
use std::io::{self, Write};

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");

/// The scripts, in the order in which they need each other.
const SCRIPTS: [&str; 6] = [
    include_str!("html/trace.js"),
    include_str!("html/ladder.js"),
    include_str!("html/plot.js"),
    include_str!("html/case.js"),
    include_str!("html/compare.js"),
    include_str!("html/script.js"),
];

/// What a page is about.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// What stands in the title of the window.
    pub title: String,
    /// The runs; where there are several, a table of what became of each case in each run comes first.
    pub runs: Vec<Run<'a>>,
}

impl<'a> Page<'a> {
    /// A page about these runs.
    #[must_use]
    pub fn of(runs: &'a [told::Run]) -> Self {
        let names: Vec<_> = runs.iter().map(|run| &*run.name).collect();
        let shown = |run: &'a told::Run| Run {
            trouble: run.trouble.clone(),
            ..Run::new(&*run.name, &run.told)
        };
        Self {
            title: format!("TCP repair: {}", names.join(", ")),
            runs: runs.iter().map(shown).collect(),
        }
    }
}

/// A run, and what to call it.
#[derive(Clone, Debug, Serialize)]
pub struct Run<'a> {
    /// What distinguishes it from the others, such as a kernel's release or the name of a library.
    pub name: String,
    /// What it has told. Its folders are links as they are: they lead somewhere where they are relative to the page.
    pub told: &'a Told,
    /// What went wrong with the run itself, such as the end of a kernel.
    pub trouble: Vec<String>,
    /// The command that runs a case again, with `{id}` where the id of the case goes.
    pub reproduce: String,
}

impl<'a> Run<'a> {
    /// A run on this machine without any trouble.
    #[must_use]
    pub fn new(name: impl Into<String>, told: &'a Told) -> Self {
        let mut reproduce = "cargo run --release -p conformance -- run --filter {id}".to_owned();
        if let Some(begin) = &told.begin {
            reproduce += &format!(" --seed {}", begin.seed);
            if begin.subject != Subject::Rust.to_string() {
                reproduce += &format!(" --subject {}", begin.subject);
            }
        }
        Self {
            name: name.into(),
            told,
            trouble: Vec::new(),
            reproduce,
        }
    }
}

/// What the scripts read.
#[derive(Serialize)]
struct Data<'a> {
    runs: Vec<Shown<'a>>,
}

/// A run, with what a script cannot find out from it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    run: &'a Run<'a>,
    /// As a text: the numbers of a script are exact up to 2^53 only.
    seed: Option<String>,
    /// The user, in words.
    user: Option<String>,
}

impl<'a> From<&'a Run<'a>> for Shown<'a> {
    fn from(run: &'a Run<'a>) -> Self {
        let begin = run.told.begin.as_ref();
        Self {
            run,
            seed: begin.map(|begin| begin.seed.to_string()),
            user: begin.map(|begin| begin.machine.user()),
        }
    }
}

/// Writes a page, and flushes it.
///
/// # Errors
/// What writing returns.
pub fn write(page: &Page<'_>, mut out: impl Write) -> io::Result<()> {
    let runs = page.runs.iter().map(Shown::from).collect();
    let data = data(&Data { runs })?;
    let (title, script) = (text(&page.title), SCRIPTS.join("\n"));
    // In pieces rather than by replacing, so that nothing is looked for in what has been put in.
    let mut rest = PAGE;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, behind) = behind.split_once("}}").unwrap_or((behind, ""));
        out.write_all(before.as_bytes())?;
        let part = match name {
            "title" => &*title,
            "style" => STYLE,
            "script" => &script,
            "data" => &data,
            _ => "",
        };
        out.write_all(part.as_bytes())?;
        rest = behind;
    }
    out.write_all(rest.as_bytes())?;
    out.flush()
}

/// The data, as they stand between the tags of a script: that ends at the first `</script`, wherever it is, so that no
/// `<` is left. In JSON there is one inside of strings only, where it may be written this way.
fn data(data: &Data<'_>) -> io::Result<String> {
    Ok(serde_json::to_string(data)?.replace('<', "\\u003c"))
}

/// A text, as it stands in an element.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"
{"event":"begin","format":1,"version":"0.1.0","release":"6.12","machine":"x86_64","euid":0,"outside_uid":0,"seed":18446744073709551615,"subject":"capi","jobs":4,"cases":1}
{"event":"ended","id":"a/one","level":"must","statement":"</script><script>alert(1)</script><!-- {{title}}","guide":["A2"],"outcome":"pass","reason":null,"expected":null,"actual":null,"ms":1,"notes":[]}
"#;

    fn page(title: &str) -> (String, Told) {
        let told = Told::read(LINES.as_bytes()).unwrap();
        let mut out = Vec::new();
        let page = Page {
            title: title.to_owned(),
            runs: vec![Run::new("6.12", &told)],
        };
        write(&page, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), told)
    }

    #[test]
    fn nothing_that_a_case_says_becomes_part_of_the_page() {
        let (page, told) = page("a <b> & c");
        assert!(page.contains("<title>a &lt;b> &amp; c</title>"));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        let (_, data) = page.split_once(r#"id="data">"#).unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        assert!(!data.contains('<'), "{data}");
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let run = &data["runs"][0];
        assert_eq!(
            run["told"]["entries"][0]["statement"],
            told.entries[0].statement
        );
        assert_eq!(run["seed"], "18446744073709551615");
        assert_eq!(run["user"], "root");
        let again = run["reproduce"].as_str().unwrap();
        assert!(again.ends_with("--filter {id} --seed 18446744073709551615 --subject capi"));
    }

    #[test]
    fn nothing_is_asked_for_from_elsewhere() {
        let (page, _) = page("x");
        // The name of what a picture is made of, and a picture's reference to a part of itself.
        assert!(page.contains("http://www.w3.org/2000/svg") && page.contains("url(#"));
        for (what, allowed) in [
            ("://", 1),
            ("url(", 1),
            ("src=", 0),
            ("@import", 0),
            ("innerHTML", 0),
        ] {
            assert_eq!(page.matches(what).count(), allowed, "{what}");
        }
        assert!(!page.contains("{{style}}") && !page.contains("{{script}}"));
    }
}
