//! Reports: the same sections as one page for browsers and as Markdown.

mod chart;
mod html;
mod sections;

pub use sections::short;

use crate::error::Error;
use crate::results::{Results, write};
use crate::table::Table;
use chart::Chart;
use std::fs;
use std::path::Path;

/// A part of a report.
pub(crate) struct Section {
    title: String,
    text: String,
    table: Option<Table>,
    charts: Vec<Chart>,
}

/// Writes `results.json`, `report.html`, which asks nothing from elsewhere, and `report.md` with its pictures beside it.
///
/// # Errors
/// What the system says.
pub fn write_to(folder: &Path, results: &Results) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File {
        path: folder.to_owned(),
        source,
    })?;
    results.write(&folder.join("results.json"))?;
    let sections = sections::all(results);
    let title = sections::title(results);
    write(&folder.join("report.html"), &html::page(&title, &sections))?;
    write(&folder.join("report.md"), &markdown(&title, &sections))?;
    for (name, chart) in pictures(&sections) {
        write(&folder.join(name), &chart.svg())?;
    }
    Ok(())
}

/// All charts, with the names of their files.
fn pictures(sections: &[Section]) -> impl Iterator<Item = (String, &Chart)> {
    let charts = sections.iter().flat_map(|section| &section.charts);
    charts
        .enumerate()
        .map(|(at, chart)| (format!("plot-{}.svg", at + 1), chart))
}

fn markdown(title: &str, sections: &[Section]) -> String {
    let mut text = format!("# {title}\n");
    let mut pictures = pictures(sections);
    for section in sections {
        text += &format!("\n## {}\n\n{}\n", section.title, section.text);
        if let Some(table) = &section.table {
            text += &format!("\n{}", table.markdown());
        }
        for (name, chart) in pictures.by_ref().take(section.charts.len()) {
            text += &format!("\n![{}]({name})\n", chart.title);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::results;

    #[test]
    fn both_reports_have_all_sections_and_every_picture_that_is_named_is_there() {
        let folder = tempfile::tempdir().unwrap();
        write_to(folder.path(), &results()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let (page, text) = (read("report.html"), read("report.md"));
        let sections = sections::all(&results());
        assert!(sections.len() >= 7);
        for section in &sections {
            assert!(page.contains(&format!("<h2>{}</h2>", section.title)));
            assert!(text.contains(&format!("## {}\n", section.title)));
        }
        let names: Vec<_> = text
            .split("](")
            .skip(1)
            .filter_map(|it| it.split(')').next())
            .collect();
        assert_eq!(names.len(), pictures(&sections).count());
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            assert!(read(name).starts_with("<svg"), "{name}");
        }
        assert_eq!(
            Results::read(&folder.path().join("results.json")).unwrap(),
            results()
        );
    }
}
