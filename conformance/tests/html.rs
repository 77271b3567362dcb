//! The page of [`conformance::report::html`] in a browser, on screens of several sizes: what is on it, that nothing is wider
//! than the screen, and that nothing goes wrong while it is made.
//!
//! The browser is the one that `CONFORMANCE_BROWSER` names, or a Chromium in the search path.

use conformance::report::html::{Page, Run, write};
use conformance::report::told::Told;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Where the browser is.
const BROWSER: &str = "CONFORMANCE_BROWSER";
/// What it is called otherwise.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// A telephone, a tablet, a desk.
const SCREENS: [(u32, u32); 3] = [(320, 640), (768, 1024), (1440, 900)];

const WATCH: &str = include_str!("html/watch.js");
const LOOK: &str = include_str!("html/look.js");
const FRAME: &str = include_str!("html/frame.html");

const TRACE: [&str; 12] = [
    "a/veth0: 8 packets",
    "[1] is 10.77.0.1:60105 > 10.77.0.2:33257",
    "1 0.000000 > [1] S  0:0(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>",
    "2 0.000013 < [1] S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 7 ecr 1,wscale 7>",
    "3 0.002945 < IPv6, not TCP, 110 bytes",
    "4 0.006447 > [1] P. 1:7241(7240) ack 1 win 502 <TS val 1 ecr 7> gso",
    "---- paused ----",
    "a line of some later version",
    "---- restored ----",
    "5 17.295443 > [1] .  1:1449(1448) ack 1 win 581 <TS val 2 ecr 7> # spurious retransmission of packet 4",
    "6 17.295500 < [1] .  1:1(0) ack 7241 win 623 <TS val 8 ecr 2,sack 1:1449> # d-sack 1:1449 (packet 4)",
    "7 17.500000 < [1] R  1:1(0) win 0 # reset",
];
const SEGMENTS: u64 = 6;
const INJECTED: &str = "</script><script>window.wrong.push('injected')</script><img src=x>";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let whole = SCREENS.map(|screen| {
        let name = format!("whole/{}x{}", screen.0, screen.1);
        Trial::ignorable_test(name, move || in_a_browser(|it| whole(it, screen)))
    });
    let several = SCREENS.map(|screen| {
        let name = format!("several/{}x{}", screen.0, screen.1);
        Trial::ignorable_test(name, move || in_a_browser(|it| several(it, screen)))
    });
    let filtered = Trial::ignorable_test("filtered", || in_a_browser(filtered));
    let trials = whole.into_iter().chain(several).chain([filtered]);
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

fn in_a_browser(test: impl FnOnce(&str) -> Result<(), Failed>) -> Result<Completion, Failed> {
    let named = std::env::var(BROWSER).ok();
    let runs = |name: &&str| {
        let mut command = Command::new(name);
        let command = command.arg("--version");
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|it| it.success())
    };
    match named.as_deref().or_else(|| NAMES.into_iter().find(runs)) {
        Some(browser) => test(browser).map(|()| Completion::Completed),
        None => Ok(Completion::ignored_with(format!(
            "there is no browser here: apt-get install chromium, or name one by {BROWSER}"
        ))),
    }
}

/// A case that has ended.
fn ended(id: &str, outcome: &str) -> Value {
    let failed = matches!(outcome, "fail" | "known");
    let traces = json!([{ "host": "a", "lines": TRACE, "before": 3, "after": 0 }]);
    json!({
        "event": "ended", "id": id, "level": "must", "statement": format!("it holds {INJECTED}"),
        "guide": ["A2"], "outcome": outcome, "ms": 31,
        "reason": (outcome != "pass").then_some(INJECTED),
        "expected": failed.then_some("a: 1\nb: 2"), "actual": failed.then_some("a: 1\nb: 3"),
        "notes": [{ "name": INJECTED, "value": "x".repeat(300) }],
        "folder": failed.then_some("kept/javascript:x"),
        "traces": if failed { traces } else { json!([]) },
    })
}

/// A run of four cases; where it was cut off, one more was running.
fn told(first: &str, whole: bool) -> Result<Told, Failed> {
    let mut events = vec![
        json!({
            "event": "begin", "format": 1, "version": "0.1.0", "release": "6.12", "machine": "x86_64",
            "euid": 0, "outside_uid": 1000, "seed": 17, "subject": "rust", "jobs": 4, "cases": 5,
        }),
        ended("restore/first", first),
        ended("restore/holds", "pass"),
        ended("kernel/skipped", "skip"),
        ended("kernel/known", "known"),
    ];
    events.push(match whole {
        true => json!({
            "event": "finished", "exit": 1, "ms": 2400, "promises": { "kept": 1, "judged": 3 },
            "totals": { "passed": 1, "failed": 1, "skipped": 1, "broken": 0, "info": 0 },
        }),
        false => json!({ "event": "started", "id": "fault/running" }),
    });
    let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
    Ok(Told::read(lines.join("\n").as_bytes())?)
}

/// What is found on a page of these runs, at a screen of this size.
fn look(browser: &str, screen: (u32, u32), runs: &[&Told], hash: &str) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let mut page = Vec::new();
    let named = (1..).zip(runs);
    let runs = named.map(|(at, told)| Run::new(format!("kernel {at}"), told));
    let runs = runs.collect();
    let title = "Some kernels".to_owned();
    write(&Page { title, runs }, &mut page)?;
    let page = String::from_utf8(page)?
        .replacen("<head>", &format!("<head><script>{WATCH}</script>"), 1)
        .replacen("</body>", &format!("<script>{LOOK}</script></body>"), 1);
    fs::write(folder.path().join("page.html"), page)?;
    let (width, height) = screen;
    let frame = FRAME
        .replace("PAGE", &format!("page.html#{hash}"))
        .replace("WIDTH", &width.to_string())
        .replace("HEIGHT", &height.to_string());
    fs::write(folder.path().join("frame.html"), frame)?;
    let dom = dump(browser, folder.path(), screen)?;
    let found = dom.split_once(r#"<pre id="found">"#);
    let found = found.and_then(|(_, rest)| rest.split_once("</pre>"));
    let (found, _) = found.ok_or_else(|| format!("nothing was found: {dom}"))?;
    let found = found.replace("&lt;", "<").replace("&gt;", ">");
    let found = found.replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    let found = serde_json::from_str(&found).map_err(|error| format!("{error}: {dom}"))?;
    holds("width", &found, &json!(width))?;
    for nothing in ["wide", "wrong"] {
        holds(nothing, &found, &json!([]))?;
    }
    for none in ["injected", "unnamed"] {
        holds(none, &found, &json!(0))?;
    }
    match found["page"].as_u64() {
        Some(wide) if wide <= width.into() => Ok(found),
        wide => Err(format!("the page is {wide:?} wide on a screen of {width}").into()),
    }
}

/// The page in `frame.html`, after its scripts.
fn dump(browser: &str, folder: &Path, (width, height): (u32, u32)) -> Result<String, Failed> {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let size = format!("--window-size={},{}", width.max(500), height + 200);
    let output = Command::new(browser)
        // What it keeps of itself goes when the folder goes.
        .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, folder)))
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--disable-dev-shm-usage", "--disable-background-networking"])
        .args(["--virtual-time-budget=60000", "--dump-dom", &size, &profile])
        .arg(format!("file://{}", folder.join("frame.html").display()))
        .output()
        .map_err(|error| format!("{browser}: {error}"))?;
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(dom),
        false => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("{browser}: {}\n{error}", output.status).into())
        }
    }
}

fn holds(what: &str, found: &Value, expected: &Value) -> Result<(), Failed> {
    match &found[what] {
        it if it == expected => Ok(()),
        it => Err(format!("{what}: {it}, not {expected}").into()),
    }
}

fn contains(what: &str, found: &Value, expected: &str) -> Result<(), Failed> {
    match found[what].to_string() {
        it if it.contains(expected) => Ok(()),
        it => Err(format!("{what}: {it}, without {expected:?}").into()),
    }
}

fn whole(browser: &str, screen: (u32, u32)) -> Result<(), Failed> {
    let found = look(browser, screen, &[&told("fail", true)?], "")?;
    let cases = [
        "kernel/known",
        "kernel/skipped",
        "restore/first",
        "restore/holds",
    ];
    contains("heading", &found, "This kernel keeps 1 of 3 promises.")?;
    contains("header", &found, "ordinary user 1000")?;
    contains("header", &found, "2.4 s")?;
    holds("listed", &found, &json!(cases))?;
    holds("failures", &found, &json!(["restore/first"]))?;
    holds("arrows", &found, &json!(SEGMENTS))?;
    holds("others", &found, &json!(1))?;
    holds("bands", &found, &json!(2))?;
    holds("plots", &found, &json!(1))?;
    holds("links", &found, &json!(["kept/javascript%3Ax/a.pcapng"]))?;
    contains("commands", &found, "run --filter restore/first --seed 17")
}

fn several(browser: &str, screen: (u32, u32)) -> Result<(), Failed> {
    let runs = [told("pass", true)?, told("fail", false)?];
    let found = look(browser, screen, &[&runs[0], &runs[1]], "")?;
    contains("heading", &found, "Some kernels")?;
    contains(
        "header",
        &found,
        "cut off after 4 of 5 cases. Running by then: fault/running.",
    )?;
    holds(
        "failures",
        &found,
        &json!(["restore/first", "fault/running"]),
    )?;
    match found["compared"].as_array().map(Vec::len) {
        Some(2) => contains(
            "compared",
            &found,
            "restore/first\u{2713} passed\u{2717} failed",
        ),
        _ => Err(format!("compared: {}", found["compared"]).into()),
    }
}

fn filtered(browser: &str) -> Result<(), Failed> {
    let found = look(
        browser,
        SCREENS[1],
        &[&told("fail", true)?],
        "q=restore&hide=fail",
    )?;
    contains("count", &found, "1 of 4 cases")?;
    holds("listed", &found, &json!(["restore/holds"]))
}
