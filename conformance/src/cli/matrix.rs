//! `conformance matrix`.

use super::report_file::{self, ReportFile, create};
use super::run::told_to_end;
use super::{complain, print};
use crate::matrix::debian::{self, Wanted};
use crate::matrix::{
    self, Accelerator, Error, Hardware, Judged, Kernel, Plan, Planted, by_version,
};
use crate::report::json::FORMAT;
use crate::report::kernels::{Kernels, OfKernel};
use crate::report::style::Styles;
use crate::report::table::{self, Row};
use crate::report::text::colours;
use crate::report::told::{Run, Told};
use crate::select::Selection;
use crate::summary::Exit;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Which kernels are booted, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Booted {
    /// A kernel: bzImage, vmlinux, or a package of Debian; where a kernel is in several packages, each of them
    #[arg(
        long = "kernel",
        value_name = "FILE",
        required_unless_present = "debian"
    )]
    kernels: Vec<PathBuf>,
    /// Fetch kernels of Debian: `newest` for the newest of each series, or series such as 6.1,6.12
    #[arg(long, value_name = "SERIES")]
    debian: Option<Wanted>,
    /// Where packages are kept that were fetched, and what was unpacked [default: soccr/kernels in the cache of the user]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where the modules of those kernels are that are no packages: a build, or what `make modules_install` has made
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// How many processors each machine has
    #[arg(long, value_name = "N", default_value = "1")]
    smp: NonZeroUsize,
    /// How much memory each machine has, MiB
    #[arg(long, value_name = "MIB", default_value_t = 1536)]
    memory: usize,
    /// How long a machine may say nothing before it counts as hanging, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    silence: u64,
    /// Let each machine be the same each time, bit for bit: one processor, and a time of its own that leaps over idleness
    #[arg(long, conflicts_with = "smp")]
    deterministic: bool,
    /// Let software emulation run the machines, also where a trial boot would show that the processor can (KVM)
    #[arg(long)]
    no_kvm: bool,
    /// Let something go wrong in each machine, to see that it is noticed
    #[arg(long, value_name = "WHAT", hide = true)]
    planted: Option<Planted>,
    /// Where a folder for each kernel goes: its console, and its events
    #[arg(long, value_name = "DIR", default_value = "conformance-matrix")]
    artifacts: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    booted: Booted,
    /// How many machines run at the same time [default: one for each core]
    #[arg(long, value_name = "N")]
    machines: Option<NonZeroUsize>,
    /// How many cases run at the same time in each machine
    #[arg(long, short, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,
    /// How many scenarios are generated and run besides the cases of the catalogue
    #[arg(long, value_name = "N", default_value_t = 0)]
    scenarios: usize,
    /// What generated cases are generated from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Keep the captures of every case, not only of those that fail
    #[arg(long)]
    keep_all: bool,
    /// Show all cases, not only those in which kernels differ
    #[arg(long)]
    all_rows: bool,
    /// Write a report for programs as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report as well, such as `junit=FILE` (repeatable)
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    reports: Vec<ReportFile>,
}

pub(super) fn matrix(args: Args) -> Exit {
    let plan = match booted(&args.booted, words(&args)) {
        Ok(plan) => plan,
        Err(error) => return complain(Exit::Usage, error),
    };
    let plan = Plan {
        machines: args.machines.map_or(plan.machines, NonZeroUsize::get),
        ..plan
    };
    // Both before the run: after minutes is too late to say that there is no such directory.
    let json = args.json.as_deref().map(|path| create(path, "--json"));
    let json = match json.transpose() {
        Ok(json) => json,
        Err(error) => return complain(Exit::Usage, error),
    };
    let reports = match report_file::create_all(&args.reports) {
        Ok(reports) => reports,
        Err(error) => return complain(Exit::Usage, error),
    };
    let start = Instant::now();
    let results = matrix::run(&plan, |kernel, judged| print(&line(kernel, judged)));
    let (told, exit) = summed_up(&results, args.all_rows, &colours());
    print(&told);
    print(&format!(
        "\n{} in {:.1} s: {}\n",
        match results.len() {
            1 => "1 kernel".to_owned(),
            many => format!("{many} kernels"),
        },
        start.elapsed().as_secs_f64(),
        match exit {
            Exit::Passed => "every kernel keeps its promises",
            Exit::Failures => "not every kernel keeps its promises",
            _ => "not every kernel could be judged",
        }
    ));
    let told = kernels_told(&results, exit);
    let runs: Vec<_> = told
        .kernels
        .iter()
        .map(|it| Run {
            name: it.release.clone(),
            told: it.told.clone(),
            trouble: it.trouble.clone(),
        })
        .collect();
    let json = json.map(|(path, file)| (path, told.write(BufWriter::new(file))));
    let written = json.into_iter().chain(report_file::write(reports, &runs));
    report_file::exit(exit, written)
}

/// What a run has told, with the folders of its cases where they are here.
fn brought_out(judged: &Judged) -> Told {
    let mut told = judged.told.clone();
    for entry in &mut told.entries {
        let name = entry.folder.as_ref().and_then(|folder| folder.file_name());
        entry.folder = name.map(|name| judged.folder.join(name));
    }
    told
}

/// The report for programs. A kernel that was not booted has told nothing, and why.
fn kernels_told(results: &[(Kernel, Result<Judged, Error>)], exit: Exit) -> Kernels {
    let kernel = |(kernel, judged): &(Kernel, Result<Judged, Error>)| match judged {
        Ok(judged) => OfKernel {
            release: kernel.release.clone(),
            trouble: judged.trouble(),
            told: brought_out(judged),
            exit: judged.exit().code(),
        },
        Err(error) => OfKernel {
            release: kernel.release.clone(),
            trouble: vec![error.to_string()],
            told: Told::default(),
            exit: Exit::Harness.code(),
        },
    };
    Kernels {
        format: FORMAT,
        kernels: results.iter().map(kernel).collect(),
        exit: exit.code(),
    }
}

/// What is to be booted to run these words.
pub(super) fn booted(args: &Booted, words: Vec<String>) -> Result<Plan, Error> {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    Ok(Plan {
        kernels: kernels(args)?,
        hardware: Hardware {
            processors: args.smp.get(),
            memory: args.memory,
            silence: Duration::from_secs(args.silence),
            deterministic: args.deterministic,
            kvm: !args.no_kvm,
            limit: None,
            told_to_end: told_to_end().map_err(|source| Error::Io {
                doing: "listen to signals".to_owned(),
                source,
            })?,
        },
        words,
        planted: args.planted,
        machines: cores,
        folder: args.artifacts.clone(),
    })
}

/// The kernels that were named, and those that were fetched. Packages are unpacked where they are kept.
fn kernels(args: &Booted) -> Result<Vec<Kernel>, Error> {
    let is_package = |path: &&PathBuf| path.extension().is_some_and(|it| it == "deb");
    let (packages, images): (Vec<_>, Vec<_>) = args.kernels.iter().partition(is_package);
    let mut packages: Vec<_> = packages.into_iter().cloned().collect();
    if let Some(wanted) = &args.debian {
        for offer in debian::fetch(wanted, &cache(args))? {
            match offer.packages {
                Ok(found) => packages.extend(found),
                Err(why) => print(&format!("{}: not to be had: {why}\n", offer.series)),
            }
        }
    }
    let mut kernels = Vec::new();
    for image in images {
        kernels.push(Kernel::new(image, args.modules.as_deref())?);
    }
    if !packages.is_empty() {
        let folder = cache(args).join("unpacked");
        kernels.extend(matrix::from_packages(&packages, &folder)?);
    }
    kernels.sort_by_key(|kernel| by_version(&kernel.release));
    Ok(kernels)
}

fn cache(args: &Booted) -> PathBuf {
    let given = args.cache.clone();
    given.unwrap_or_else(|| {
        let set = |name| std::env::var_os(name).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let cache = cache.unwrap_or_else(std::env::temp_dir);
        cache.join("soccr/kernels")
    })
}

/// What each guest is to run.
fn words(args: &Args) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    let mut add = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
    add("--jobs", &args.jobs.to_string());
    add("--scenarios", &args.scenarios.to_string());
    add("--seed", &args.seed.to_string());
    for (wanted, option) in [
        (args.booted.deterministic, "--timelapse"),
        (args.keep_all, "--keep-all"),
    ] {
        if wanted {
            words.push(option.to_owned());
        }
    }
    let mut add = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
    if let Some(shard) = args.selection.shard {
        add("--shard", &shard.to_string());
    }
    for (option, globs) in [
        ("--filter", &args.selection.filter),
        ("--exclude", &args.selection.exclude),
    ] {
        globs.iter().for_each(|glob| add(option, glob));
    }
    words
}

/// A line for a kernel that is done, and one for each trouble.
pub(super) fn line(kernel: &Kernel, judged: &Result<Judged, Error>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    match judged {
        Ok(judged) => {
            let kept = judged
                .told
                .entries
                .iter()
                .filter(|it| it.outcome == "pass")
                .count();
            let _ = writeln!(
                text,
                "{}: {kept} of {} cases passed{}{}",
                kernel.release,
                judged.told.cases(),
                match judged.accelerator {
                    Accelerator::Kvm => ", by KVM",
                    Accelerator::Tcg => "",
                },
                match judged.boots {
                    1 => "",
                    _ => ", booted a second time: the first boot never came to its first process",
                }
            );
            if let Some(why) = &judged.not_by_kvm {
                let _ = writeln!(text, "  not by KVM, whose trial boot failed: {why}");
            }
            for trouble in judged.trouble() {
                let _ = writeln!(text, "  {trouble}");
            }
            if judged.exit() != Exit::Passed {
                let _ = writeln!(
                    text,
                    "  its console and its events are in {}",
                    judged.folder.display()
                );
            }
        }
        Err(error) => {
            let _ = writeln!(text, "{}: {error}", kernel.release);
        }
    }
    text
}

/// The tables, and how the process ends.
fn summed_up(
    results: &[(Kernel, Result<Judged, Error>)],
    all: bool,
    styles: &Styles,
) -> (String, Exit) {
    let judged: Vec<_> = results
        .iter()
        .filter_map(|(kernel, it)| Some((kernel, it.as_ref().ok()?)))
        .collect();
    let words: Vec<_> = judged.iter().map(|(_, it)| it.told.words()).collect();
    let ids: BTreeSet<_> = words.iter().flat_map(|it| it.keys().copied()).collect();
    let row = |id: &str| Row {
        id: id.to_owned(),
        outcomes: words
            .iter()
            .map(|it| it.get(id).copied().unwrap_or("-").to_owned())
            .collect(),
    };
    let rows = ids
        .into_iter()
        .map(row)
        .filter(|row| all || row.differs() || is_bad(row));
    let rows: Vec<_> = rows.collect();
    let names: Vec<_> = judged
        .iter()
        .map(|(kernel, _)| kernel.release.clone())
        .collect();
    let areas: Vec<_> = judged.iter().map(|(_, it)| it.told.areas()).collect();
    let mut text = String::from("\n");
    if !rows.is_empty() {
        let _ = table::cases(&mut text, &names, &rows, styles);
        text.push('\n');
    }
    let _ = table::areas(&mut text, &names, &areas);
    let exits = results
        .iter()
        .map(|(_, it)| it.as_ref().map_or(Exit::Harness, Judged::exit));
    (text, Exit::worst(exits))
}

fn is_bad(row: &Row) -> bool {
    row.outcomes
        .iter()
        .any(|word| matches!(&**word, "fail" | "broken" | "crash"))
}
