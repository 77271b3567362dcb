//! `conformance repro`: what it writes compiles, runs, and notices a connection that is not restored as it was.

use conformance::repro::{Language, emit};
use conformance::scenario::{self, Opening, Scenario};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

/// Scenarios that one host by itself can carry out: a start, then steps.
const IN_C: [(&str, &str); 7] = [
    (
        "plain",
        "subject writes 5000\npeer reads 100\nrestore subject\npeer writes 3000\nrestore both\nsubject reads all\n\
         checkpoint peer\nrestore peer\n",
    ),
    (
        "closed-window",
        "family v6\nmtu 1400\noffload on\ntimestamps off\nsack off\nscaling off\nmss 500\ncongestion cubic\n\
         buffer subject 5000\nbuffer peer 9000\nsubject writes 3000000\nrestore subject\npeer reads 1000\nrestore both\n\
         links take 1300\npeer writes 3000\n",
    ),
    (
        "in-flight",
        "lose all of subject\npeer writes 50000\nsubject writes 4\nsubject writes 20000\nrestore both\ncheckpoint both\n\
         restore peer\nclear\npeer writes 1\n",
    ),
    (
        "options",
        "family v6\nsubject sets nodelay\npeer sets cork on\npeer sets tos 16\nsubject sets window-clamp 3000\n\
         peer sets rcvbuf 100000\nsubject sets sndbuf 50000\nsubject sets keepalive\npeer sets user-timeout 20000\n\
         subject sets notsent-lowat 4000\npeer writes 10\nsubject writes 9000\nrestore both\n",
    ),
    (
        "forged",
        "family mapped\nopen forged 4294967000 2147483000 77776\nscaling 14 3\nmss 700\nbuffer peer 9000\n\
         subject writes 2000\npeer writes 100000\nrestore subject\nsubject writes 70000\nrestore both\n",
    ),
    ("nothing-but-clear", "clear\n"),
    (
        "ended",
        "clear\npeer writes 10\nsubject ends\ncheckpoint both\npeer urges\npeer writes 10\n",
    ),
];

/// Scenarios in which a program in C refuses a step, and what it says.
const NOT_IN_C: [(&str, &str); 4] = [
    (
        "subject writes 1\nlose 2 of peer\n",
        "step 2 (`lose 2 of peer`): a program without a network of its own cannot do that",
    ),
    (
        "network move\nmove\n",
        "step 1 (`move`): a program without a second host cannot do that",
    ),
    (
        "peer ends\nrestore subject\n",
        "step 2 (`restore subject`): a stream has ended",
    ),
    (
        "peer urges\ncheckpoint peer\nrestore both\n",
        "step 3 (`restore both`): urgent data may wait there",
    ),
];

/// Faults of a restore: what is in a program, and what stands there instead.
const FAULTS: [(&str, &str, &str); 4] = [
    (
        "sequence-numbers-swapped",
        "TCP_QUEUE_SEQ, it->write_seq - it->outq",
        "TCP_QUEUE_SEQ, it->rcv_nxt - it->inq",
    ),
    (
        "receive-queue-of-the-wrong-bytes",
        "put(sock, it->in, it->inq)",
        "put(sock, it->out, it->inq)",
    ),
    (
        "send-queue-too-late",
        "TCP_QUEUE_SEQ, it->write_seq - it->outq",
        "TCP_QUEUE_SEQ, it->write_seq",
    ),
    (
        "a-byte-forgotten",
        "put(sock, it->out, sent_bytes);",
        "put(sock, it->out, sent_bytes - 1);",
    ),
];

/// What the fault is planted in: both queues have bytes in both directions.
const PLANTED_IN: &str =
    "lose all of subject\nsubject writes 5000\npeer writes 5000\nrestore subject\nclear\n";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, lines) in IN_C {
        let name = format!("c/runs/{name}");
        trials.push(Trial::ignorable_test(name, move || {
            in_c(lines, |text| text, 0, "ok\n")
        }));
    }
    for (name, right, wrong) in FAULTS {
        let plant = move |text: String| {
            assert!(text.contains(right), "no `{right}` in {text}");
            // It is for a machine that is busy, and nothing comes of waiting here.
            let hurry = text.replace("PATIENCE = 20000", "PATIENCE = 3000");
            hurry.replace(right, wrong)
        };
        let name = format!("c/notices/{name}");
        trials.push(Trial::ignorable_test(name, move || {
            in_c(PLANTED_IN, plant, 1, "step ")
        }));
    }
    for (lines, said) in NOT_IN_C {
        let name = format!("c/refuses/{}", lines.lines().last().unwrap_or_default());
        trials.push(Trial::test(name, move || refused(lines, said)));
    }
    trials.push(Trial::test("generated scenarios become text", generated));
    trials.push(Trial::test(
        "an example is what its scenario becomes",
        || {
            ["repro_wire", "repro_move"]
                .into_iter()
                .try_for_each(example)
        },
    ));
    libtest_mimic::run(&args, trials).exit_code()
}

fn scenario(lines: &str) -> Result<Scenario, Failed> {
    Ok(format!("soccr scenario 1\n{lines}").parse::<Scenario>()?)
}

/// Compiles the program of a scenario, with a change, and runs it.
fn in_c(
    lines: &str,
    change: impl Fn(String) -> String,
    code: i32,
    said: &str,
) -> Result<Completion, Failed> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if let Err(error) = Command::new(&compiler).arg("--version").output() {
        return Ok(ignored(format!("no C compiler: {compiler}: {error}")));
    }
    if let Err(error) = lab::available() {
        return Ok(ignored(error.to_string()));
    }
    let folder = tempfile::tempdir()?;
    let (source, program) = (folder.path().join("repro.c"), folder.path().join("repro"));
    fs::write(&source, change(emit(&scenario(lines)?, Language::C)?))?;
    let flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"];
    let mut compile = Command::new(&compiler);
    let compiled = compile.args(flags).arg(&program).arg(&source).output()?;
    if !compiled.status.success() {
        return Err(text(&compiled).into());
    }
    let output = Command::new(&program).output()?;
    let (text, exit) = (text(&output), output.status.code());
    match exit == Some(code) && text.contains(said) {
        true => Ok(Completion::Completed),
        false => Err(format!("{exit:?} instead of {code}, without {said:?}: {text}").into()),
    }
}

/// The command says which step it is, and prints nothing.
fn refused(lines: &str, said: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.scenario");
    fs::write(&file, scenario(lines)?.to_string())?;
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .arg("repro")
        .arg(&file)
        .args(["--emit", "c"])
        .output()?;
    let text = text(&output);
    let refused = output.status.code() == Some(2) && output.stdout.is_empty();
    match refused && text.contains(said) {
        true => Ok(()),
        false => Err(format!("{output:?} instead of {said:?}").into()),
    }
}

/// Each step of each is in the program, or refused.
fn generated() -> Result<(), Failed> {
    for number in 0..30 {
        let scenario = scenario::scenario(1, number).ok_or("none is generated")?;
        if let Opening::Lost { .. } = scenario.setup.opening {
            for language in [Language::Rust, Language::C] {
                let refused = emit(&scenario, language).err().ok_or("a program")?;
                assert!(refused.to_string().contains("open lost"), "{refused}");
            }
            continue;
        }
        let rust = emit(&scenario, Language::Rust)?;
        for (index, step) in scenario.steps.iter().enumerate() {
            let line = format!("\"{}: {step}\"", index + 1);
            if !rust.contains(&line) {
                return Err(format!("no {line} in {rust}").into());
            }
        }
        match emit(&scenario, Language::C) {
            Err(refused) => {
                let step = &scenario.steps[refused.step - 1];
                assert_eq!(step.to_string(), refused.text, "{scenario}");
            }
            Ok(c) => {
                let cleared = usize::from(c.contains("\tSTEP(clear());\n\tSTEP(finish()"));
                let steps = c.matches("\tSTEP(").count();
                assert!(steps > scenario.steps.len() + cleared, "{scenario}{c}");
            }
        }
    }
    Ok(())
}

/// The examples are compiled and run as all examples are, and so is what is written here.
fn example(name: &str) -> Result<(), Failed> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let program = fs::read_to_string(examples.join(name).with_extension("rs"))?;
    let quoted = program.lines().skip_while(|line| *line != "//! ```text");
    let quoted = quoted.skip(1).map_while(|line| {
        let line = line.strip_prefix("//!")?.trim();
        (line != "```").then_some(line)
    });
    let scenario: Scenario = quoted.collect::<Vec<_>>().join("\n").parse()?;
    let written = emit(&scenario, Language::Rust)?;
    match written == program {
        true => Ok(()),
        false => {
            let differs = written.lines().zip(program.lines());
            let first = differs
                .enumerate()
                .find(|(_, (written, there))| written != there);
            Err(format!("{name}.rs is not what `conformance repro` writes now: {first:?}").into())
        }
    }
}

fn ignored(reason: String) -> Completion {
    eprintln!("ignored: {reason}");
    Completion::ignored_with(reason)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|it| String::from_utf8_lossy(it))
        .concat()
}
