//! The page for browsers: one file, without scripts, that asks nothing from elsewhere.

use super::Section;
use crate::table::Table;

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #646464; --line: #d5d5d5 }
@media (prefers-color-scheme: dark) { :root { --paper: #16181d; --ink: #e6e6e6; --faint: #a0a0a0; --line: #3a3d45 } }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  background: var(--paper); color: var(--ink) }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
th:first-child, td:first-child, .words td { text-align: left }
figure { margin: 1.2rem 0 } svg { max-width: 100%; height: auto }
";

/// A page of these sections.
pub(super) fn page(title: &str, sections: &[Section]) -> String {
    let title = text(title);
    let body: String = sections.iter().map(section).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n{body}</html>\n"
    )
}

fn section(section: &Section) -> String {
    let table = section.table.as_ref().map(table).unwrap_or_default();
    let charts = section.charts.iter();
    let charts: String = charts
        .map(|chart| format!("<figure>{}</figure>\n", chart.svg()))
        .collect();
    let (title, paragraph) = (text(&section.title), text(&section.text));
    format!("<h2>{title}</h2>\n<p>{paragraph}</p>\n{table}{charts}")
}

/// A number and its unit, a ratio and its interval stay on one line; what is longer is words.
const WORDS: usize = 24;

fn table(table: &Table) -> String {
    let cell = |tag: &str, cell: &str| match cell.chars().count() < WORDS {
        true => format!("<{tag}>{}</{tag}>", text(cell).replace(' ', "\u{a0}")),
        false => format!("<{tag}>{}</{tag}>", text(cell)),
    };
    let row = |tag: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|it| cell(tag, it)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = table.rows.iter().map(|cells| row("td", cells)).collect();
    let head = row("th", &table.head);
    format!("<div class=\"wide\"><table>\n{head}{rows}</table></div>\n")
}

/// A text, as it stands in an element.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sections;
    use crate::results::sample::results;

    #[test]
    fn nothing_is_asked_for_from_elsewhere_and_no_text_becomes_part_of_the_page() {
        let mut results = results();
        results.baseline = Some("<script>".to_owned());
        let page = page(&sections::title(&results), &sections::all(&results));
        assert!(page.contains("<title>soccr on kernel 6.18 &lt;&amp;> ("));
        assert!(page.contains("Baseline: &lt;script>."));
        let allowed = page.replace("http://www.w3.org/2000/svg", "");
        for what in ["://", "src=", "@import", "url(", "<script"] {
            assert!(!allowed.contains(what), "{what}");
        }
    }

    #[test]
    fn what_is_opened_is_closed() {
        let page = page("x", &sections::all(&results()));
        for tag in ["table", "tr", "td", "th", "figure", "svg", "h2", "p", "div"] {
            let count = |what: String| page.matches(&what).count();
            let opened = count(format!("<{tag}>")) + count(format!("<{tag} "));
            assert_eq!(opened, count(format!("</{tag}>")), "{tag}");
            assert!(opened > 0, "{tag}");
        }
    }
}
