//! A run as JUnit, in the dialect that most readers share: a suite for each run, in it the cases.

use super::json::Entry;
use super::told::Run;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io::{self, Write};

/// Writes runs.
///
/// # Errors
/// What writing returns.
pub fn write(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .write_inner_content(|xml| runs.iter().try_for_each(|run| suite(xml, run)))?;
    let out = xml.into_inner();
    out.write_all(b"\n")?;
    out.flush()
}

fn suite(xml: &mut Writer<impl Write>, run: &Run) -> io::Result<()> {
    let Run {
        name,
        told,
        trouble,
    } = run;
    let totals = told.totals();
    let count = |number: usize| number.to_string();
    let [all, failed, broken, skipped] = [
        count(totals.all()),
        count(totals.failed),
        count(totals.broken),
        count(totals.skipped + totals.known),
    ];
    let time = told.end.map_or(0, |end| end.ms);
    let name = format!("conformance.{name}");
    xml.create_element("testsuite")
        .with_attributes([
            ("name", &*name),
            ("tests", &all),
            ("failures", &failed),
            ("errors", &broken),
            ("skipped", &skipped),
            ("time", &seconds(time)),
        ])
        .write_inner_content(|xml| {
            if let Some(begin) = &told.begin {
                properties(
                    xml,
                    &[
                        ("kernel", &begin.machine.release),
                        ("machine", &begin.machine.machine),
                        ("user", &begin.machine.user()),
                        ("seed", &begin.seed.to_string()),
                    ],
                )?;
            }
            let mut entries: Vec<_> = told.entries.iter().collect();
            entries.sort_by_key(|entry| &entry.id);
            entries
                .into_iter()
                .try_for_each(|entry| case(xml, &name, entry))?;
            for id in &told.running {
                let why = "it was running when the run was cut off";
                testcase(xml, &name, id, 0, Some(("error", why, "")))?;
            }
            if !trouble.is_empty() {
                let trouble = clean(&trouble.join("\n"));
                let told = xml.create_element("system-err");
                told.write_text_content(BytesText::new(&trouble))?;
            }
            Ok(())
        })?;
    Ok(())
}

fn properties(xml: &mut Writer<impl Write>, values: &[(&str, &str)]) -> io::Result<()> {
    xml.create_element("properties")
        .write_inner_content(|xml| {
            values.iter().try_for_each(|(name, value)| {
                let property = xml.create_element("property");
                let property =
                    property.with_attributes([("name", *name), ("value", &clean(value))]);
                property.write_empty().map(drop)
            })
        })?;
    Ok(())
}

fn case(xml: &mut Writer<impl Write>, suite: &str, entry: &Entry) -> io::Result<()> {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let body = match (&entry.expected, &entry.actual) {
        (Some(expected), Some(actual)) => format!(
            "{}\nexpected: {expected}\nactual:   {actual}",
            entry.statement
        ),
        _ => entry.statement.clone(),
    };
    let expected = entry.expectation.clone().unwrap_or_default();
    let known = format!("known to fail: {expected}");
    let told = match &*entry.outcome {
        // Readers have no word for an observation, nor for a pass that nobody expected.
        "pass" | "info" | "unexpected" => None,
        "fail" => Some(("failure", reason, &*body)),
        "skip" => Some(("skipped", reason, "")),
        "known" => Some(("skipped", &*known, "")),
        _ => Some(("error", reason, &*body)),
    };
    testcase(xml, suite, &entry.id, entry.ms, told)
}

fn testcase(
    xml: &mut Writer<impl Write>,
    suite: &str,
    id: &str,
    ms: u64,
    told: Option<(&str, &str, &str)>,
) -> io::Result<()> {
    let time = seconds(ms);
    let element = xml.create_element("testcase").with_attributes([
        ("name", id),
        ("classname", suite),
        ("time", &time),
    ]);
    match told {
        None => element.write_empty()?,
        Some((kind, message, body)) => element.write_inner_content(|xml| {
            let told = xml.create_element(kind);
            let told = told.with_attribute(("message", &*clean(message)));
            match body {
                "" => told.write_empty().map(drop),
                body => told
                    .write_text_content(BytesText::new(&clean(body)))
                    .map(drop),
            }
        })?,
    };
    Ok(())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Without what XML 1.0 has no way to write.
fn clean(text: &str) -> String {
    text.chars()
        .map(|it| match it {
            '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => it,
            _ => '\u{fffd}',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::sample_of;
    use super::*;

    #[test]
    fn every_case_is_there_and_the_sums_are_right() {
        let mut run = sample_of("6.12");
        run.told.entries[1].actual = Some("\u{1}<b> & \"c\"".to_owned());
        let mut out = Vec::new();
        write(&mut out, &[run]).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            r#"<testsuite name="conformance.6.12" tests="5" failures="1" errors="1" skipped="2" time="0.000">"#,
            r#"<property name="kernel" value="6.12"/>"#,
            r#"<testcase name="a/one" classname="conformance.6.12" time="1.500"/>"#,
            r#"<skipped message="no netem here"/>"#,
            r#"<skipped message="known to fail: fixed in 6.19"/>"#,
            "actual:   \u{fffd}&lt;b&gt; &amp; ",
            "<system-err>it &lt;hangs&gt;</system-err>",
            r#"<error message="it was running when the run was cut off"/>"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // It can be read, and is balanced.
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut cases = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(it) | Event::Empty(it) if it.name().as_ref() == "testcase" => {
                    cases += 1;
                }
                _ => {}
            }
        }
        assert_eq!(cases, 5);
    }
}
