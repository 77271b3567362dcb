//! Programs in C and C++ that do with the library what it is for, and what it is not for.
//!
//! Each runs on a host of a lab of its own, from where a second host never answers. `tests/c` has them.

#[path = "../common/mod.rs"]
mod common;
mod workshop;

use lab::harness::libtest_mimic::Completion;
use lab::harness::{Result, Test};
use lab::{Direction, Match, Pair, Segment, Trace};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use workshop::{SANITIZED, VARIANTS, Variant, Workshop};

/// Says what of a program's packets should not have been there.
type Judge = fn(&Trace) -> Result;

/// A program, and what may be seen of it on the link.
const PROGRAMS: [(&str, Judge); 8] = [
    ("readme", nothing),
    ("today", restores_only),
    ("staged", restores_only),
    ("staged-old", restores_only),
    ("misuse", nothing),
    ("refused", nothing),
    ("staged-misuse", nothing),
    ("log", nothing),
];

const VALGRIND: [&str; 5] = [
    "--quiet",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
    "--show-leak-kinds=definite",
    "--error-exitcode=99",
];

fn main() -> ExitCode {
    let workshop = Arc::new(Workshop::default());
    let mut tests = Vec::new();
    for (name, may) in PROGRAMS {
        for variant in VARIANTS {
            let program = Program::new(name, variant, &workshop);
            tests.extend((variant == VARIANTS[0]).then(|| under_valgrind(&program, may)));
            tests.push(Test::new(program.title(), move |lab: Pair| {
                if let Some(why) = variant.lacks() {
                    return Ok(Completion::ignored_with(why));
                }
                run(&lab, Command::new(program.compiled()?), may)
            }));
        }
        tests.push(sanitized(&Program::new(name, SANITIZED, &workshop), may));
    }
    lab::harness::main(tests)
}

/// A program that is compiled once.
struct Program {
    name: &'static str,
    variant: Variant,
    workshop: Arc<Workshop>,
    compiled: OnceLock<std::result::Result<PathBuf, String>>,
}

impl Program {
    fn new(name: &'static str, variant: Variant, workshop: &Arc<Workshop>) -> Arc<Self> {
        Arc::new(Self {
            name,
            variant,
            workshop: Arc::clone(workshop),
            compiled: OnceLock::new(),
        })
    }

    fn title(&self) -> String {
        format!("{}/{}", self.name, self.variant.name)
    }

    fn compiled(&self) -> Result<PathBuf> {
        let compile = || self.workshop.compile(self.name, self.variant);
        Ok(self.compiled.get_or_init(compile).clone()?)
    }
}

fn under_valgrind(program: &Arc<Program>, may: Judge) -> Test {
    let program = Arc::clone(program);
    Test::new(format!("{}/valgrind", program.title()), move |lab: Pair| {
        if Command::new("valgrind").arg("--version").output().is_err() {
            let why = "there is no valgrind here: apt-get install valgrind";
            return Ok(Completion::ignored_with(why));
        }
        let mut valgrind = Command::new("valgrind");
        valgrind.args(VALGRIND).arg(program.compiled()?);
        run(&lab, valgrind, may)
    })
}

fn sanitized(program: &Arc<Program>, may: Judge) -> Test {
    let program = Arc::clone(program);
    Test::new(program.title(), move |lab: Pair| {
        match program.compiled() {
            Ok(path) => run(&lab, Command::new(path), may),
            // What a linker says when the compiler has no such library with it.
            Err(error) if error.to_string().contains("cannot find") => {
                let why = "the compiler has no sanitizers: apt-get install libasan8 libubsan1, or what fits it";
                Ok(Completion::ignored_with(why))
            }
            Err(error) => Err(error),
        }
    })
}

/// Runs a program on one host, for which the other is not there.
fn run(lab: &Pair, mut command: Command, may: Judge) -> Result<Completion> {
    let _nobody = lab.b().blackhole(Direction::Ingress, Match::tcp())?;
    let (a, b) = (lab.a(), lab.b());
    command.args([a.v4().to_string(), b.v4().to_string()]);
    command.args([a.v6().to_string(), b.v6().to_string()]);
    let capture = a.capture()?;
    let output = a.output(command)?;
    let trace = capture.finish();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}\n{said}", output.status).into());
    }
    may(&trace)?;
    Ok(Completion::Completed)
}

/// The clock of the connections that are made of numbers, as their `timestamp` has it.
const CLOCK: u32 = 0xffff_fff0;
/// In these units: the kernel's timers run in repair mode, too, and send what was in flight, or waits (`LIMITATIONS.md`).
const SECOND: i32 = 1000;

/// Whether a segment left when that is nobody's doing any more, as the connection itself counts.
fn is_late(segment: &Segment) -> bool {
    let since = |(value, _): (u32, u32)| value.wrapping_sub(CLOCK) as i32;
    segment
        .timestamps()
        .map(since)
        .is_some_and(|it| it >= SECOND)
}

/// What leaves while a connection is restored that is never resumed: a SYN, or the acknowledgement of a FIN.
fn restores_only(trace: &Trace) -> Result {
    nothing_but(trace, |segment| {
        let flags = segment.flags;
        let speaks = segment.payload_len > 0 || flags.fin() || flags.rst();
        !speaks && (flags.syn() || flags.ack())
    })
}

/// What is refused, and what is closed before it is resumed, is silent.
fn nothing(trace: &Trace) -> Result {
    nothing_but(trace, |_| false)
}

fn nothing_but(trace: &Trace, allowed: fn(&Segment) -> bool) -> Result {
    let mut segments = trace.segments();
    match segments.find(|it| !allowed(it) && !is_late(it)) {
        Some(it) => {
            Err(format!("sequence number {} should not have left:\n{trace}", it.seq).into())
        }
        None => Ok(()),
    }
}
