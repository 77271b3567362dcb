//! Step `fuzz`: every target of the fuzz workspace for a while, two at a time.

use std::fs::{self, File};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::checks::needs;
use crate::command::{self, judge, shown};
use crate::context::{Context, is_unattended};
use crate::error::{Error, While as _};
use crate::steps::Outcome;

/// How many targets run at a time.
const AT_A_TIME: usize = 2;
/// No input takes longer, seconds: the slowest waits for the kernel a few times.
const TIMEOUT: u32 = 60;

/// Step `fuzz`.
pub(crate) fn fuzz(context: &Context) -> Result<Outcome, Error> {
    let nightly = "rustup toolchain install --profile minimal nightly";
    needs(context, &["+nightly", "--version"], nightly)?;
    needs(
        context,
        &["fuzz", "--version"],
        "cargo install --locked cargo-fuzz",
    )?;
    let listed = command::read(&mut context.cargo(["fuzz", "list"]))?;
    let targets: Vec<_> = listed.split_ascii_whitespace().collect();
    if targets.is_empty() {
        return Ok(Outcome::failed(
            "`cargo fuzz list` names no target".to_owned(),
        ));
    }
    let built = judge(
        context.limit,
        [context.cargo(["+nightly", "fuzz", "build"])],
    )?;
    if built != Outcome::Passed {
        return Ok(built);
    }
    let told = run_all(context, &targets)?;
    print!("{}", table(&told));
    Ok(conclusion(&told, is_unattended()))
}

/// What has become of a target.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    target: String,
    result: Result<Stats, String>,
}

/// What libFuzzer says at the end.
#[derive(Debug, PartialEq, Eq)]
enum Stats {
    Run {
        executions: u64,
        /// Edges of the program that some input has gone through.
        edges: u64,
        /// Inputs that are each good for something of their own.
        corpus: u64,
    },
    /// The target has said why it cannot run here.
    Skipped(String),
}

/// Runs all targets; their order is that of the list.
fn run_all(context: &Context, targets: &[&str]) -> Result<Vec<Told>, Error> {
    let waiting = Mutex::new(targets.iter().enumerate().rev().collect::<Vec<_>>());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
    let work = || {
        let mut told = Vec::new();
        while let Some((place, target)) = next() {
            told.push((place, run(context, target)?));
        }
        Ok::<_, Error>(told)
    };
    let told = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| {
            let crashed = |_| Error::unfit("running the targets", "a panic", "see above");
            worker.join().map_err(crashed)?
        });
        ended.collect::<Result<Vec<_>, _>>()
    })?;
    let mut told: Vec<_> = told.into_iter().flatten().collect();
    told.sort_by_key(|(place, _)| *place);
    Ok(told.into_iter().map(|(_, told)| told).collect())
}

/// New inputs go to the corpus, which git ignores; the committed seeds are only read.
fn run(context: &Context, target: &str) -> Result<Told, Error> {
    let (corpus, seeds) = (
        format!("fuzz/corpus/{target}"),
        format!("fuzz/seeds/{target}"),
    );
    for place in [&corpus, &seeds].map(|place| context.root.join(place)) {
        fs::create_dir_all(&place).doing(|| format!("creating {}", place.display()))?;
    }
    let log = context.scratch.path().join(format!("fuzz-{target}.log"));
    let doing = || format!("writing {}", log.display());
    let output = File::create(&log).doing(doing)?;
    let mut command = context.cargo(["+nightly", "fuzz", "run", target]);
    command.args([&corpus, &seeds, "--"]);
    command.args(options(context, target));
    command.stdout(output.try_clone().doing(doing)?);
    command.stderr(output);
    println!("$ {}", shown(&command));
    // The limit is for what is built again; fuzzing comes on top.
    let seconds = Duration::from_secs(context.options.seconds.into());
    let ended = command::run(&mut command, context.limit + seconds)?;
    let said = fs::read(&log).doing(|| format!("reading {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    let result = match ended {
        Ok(()) => stats(&said).ok_or_else(|| "has not said what it did".to_owned()),
        Err(why) => {
            println!("{said}");
            Err(format!("`{}` {why}", shown(&command)))
        }
    };
    Ok(Told {
        target: target.to_owned(),
        result,
    })
}

/// The options of libFuzzer.
fn options(context: &Context, target: &str) -> Vec<String> {
    let mut options = vec![
        format!("-max_total_time={}", context.options.seconds),
        format!("-timeout={TIMEOUT}"),
        "-print_final_stats=1".to_owned(),
    ];
    let dictionary = format!("fuzz/dictionaries/{target}.dict");
    if context.root.join(&dictionary).is_file() {
        options.push(format!("-dict={dictionary}"));
    }
    options
}

/// What a target has said; `None` where it has not come to its end.
fn stats(said: &str) -> Option<Stats> {
    let line = |prefix: &str| {
        said.lines()
            .rev()
            .find_map(|line| line.strip_prefix(prefix))
    };
    if let Some(why) = line("skipped: ") {
        return Some(Stats::Skipped(why.to_owned()));
    }
    let executions = line("stat::number_of_executed_units:")?
        .trim()
        .parse()
        .ok()?;
    // `#524288 DONE   cov: 620 ft: 2101 corp: 310/24Kb lim: 1024 exec/s: 43690 rss: 480Mb`
    let done = said.lines().rev().find(|line| line.contains(" cov: "));
    let number = |name: &str| {
        let mut words = done?.split_ascii_whitespace();
        words.find(|word| *word == name)?;
        words.next()?.split('/').next()?.parse().ok()
    };
    Some(Stats::Run {
        executions,
        edges: number("cov:").unwrap_or(0),
        corpus: number("corp:").unwrap_or(0),
    })
}

/// What is printed at the end: what each target has done.
fn table(told: &[Told]) -> String {
    let line = |it: &Told| match &it.result {
        Ok(Stats::Run {
            executions,
            edges,
            corpus,
        }) => format!(
            "{:<13} {executions:>11} executions {edges:>6} edges {corpus:>5} inputs\n",
            it.target
        ),
        Ok(Stats::Skipped(why)) => format!("{:<13} skipped: {why}\n", it.target),
        Err(why) => format!("{:<13} FAILED: {why}\n", it.target),
    };
    told.iter().map(line).collect()
}

/// What has become of all of them. In continuous integration, a target that silently does not run is a hole.
fn conclusion(told: &[Told], unattended: bool) -> Outcome {
    let failed = told.iter().filter_map(|it| it.result.as_ref().err());
    let failed: Vec<_> = failed.cloned().collect();
    if !failed.is_empty() {
        return Outcome::failed(failed.join("; "));
    }
    let idle = |it: &&Told| matches!(it.result, Ok(Stats::Run { executions: 0, .. }));
    if let Some(Told { target, .. }) = told.iter().find(idle) {
        return Outcome::failed(format!("{target} has executed nothing"));
    }
    let skipped = told.iter().filter_map(|it| match &it.result {
        Ok(Stats::Skipped(why)) => Some(format!("{}: {why}", it.target)),
        _ => None,
    });
    let skipped: Vec<_> = skipped.collect();
    if unattended && !skipped.is_empty() {
        return Outcome::failed(skipped.join("; "));
    }
    match skipped.len() == told.len() {
        true => Outcome::Skipped(skipped.join("; ")),
        // Those that were skipped stand in the table.
        false => Outcome::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb
#100\tNEW    cov: 19 ft: 25 corp: 7/9b lim: 4 exec/s: 0 rss: 41Mb L: 2/2 MS: 1 InsertByte-
#524288\tDONE   cov: 620 ft: 2101 corp: 310/24Kb lim: 1024 exec/s: 43690 rss: 480Mb
Done 524288 runs in 12 second(s)
stat::number_of_executed_units: 524288
stat::average_exec_per_sec:     43690
stat::peak_rss_mb:              480
";

    fn told(target: &str, result: Result<Stats, String>) -> Told {
        let target = target.to_owned();
        Told { target, result }
    }

    fn run(executions: u64) -> Result<Stats, String> {
        Ok(Stats::Run {
            executions,
            edges: 620,
            corpus: 310,
        })
    }

    #[test]
    fn what_libfuzzer_says_at_its_end_is_read() {
        assert_eq!(stats(SAID).ok_or_else(String::new), run(524_288));
        assert_eq!(stats("#2\tINITED cov: 12 ft: 13 corp: 1/1b\n"), None);
        assert_eq!(stats(""), None);
        let skipped = "warning: unused\nskipped: no namespaces here\n";
        let why = "no namespaces here".to_owned();
        assert_eq!(stats(skipped), Some(Stats::Skipped(why)));
    }

    #[test]
    fn a_target_that_does_nothing_is_a_failure_and_one_that_cannot_run_is_not() {
        let skipped = || Ok(Stats::Skipped("why".to_owned()));
        let failed = || Err("`x` ended with 77".to_owned());
        let of = |results: Vec<_>| {
            let told: Vec<_> = results.into_iter().map(|it| told("x", it)).collect();
            conclusion(&told, false)
        };
        assert_eq!(of(vec![run(1), skipped()]), Outcome::Passed);
        let told = [told("x", run(1)), told("y", skipped())];
        assert_eq!(conclusion(&told, true), Outcome::failed("y: why"));
        let all = Outcome::Skipped("x: why; x: why".to_owned());
        assert_eq!(of(vec![skipped(), skipped()]), all);
        let nothing = Outcome::failed("x has executed nothing".to_owned());
        assert_eq!(of(vec![run(1), run(0)]), nothing);
        let why = Outcome::failed("`x` ended with 77".to_owned());
        assert_eq!(of(vec![run(0), failed(), skipped()]), why);
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let text = table(&[
            told("image", run(524_288)),
            told("staged", Ok(Stats::Skipped("why".to_owned()))),
        ]);
        let lines = [
            "image              524288 executions    620 edges   310 inputs",
            "staged        skipped: why",
        ];
        assert_eq!(text, lines.join("\n") + "\n");
    }
}
