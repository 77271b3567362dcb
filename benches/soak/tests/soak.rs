//! The program: short runs hold, and whatever is done wrong on purpose is noticed, by its name.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::{Command, ExitCode, Output};

/// Where the network cannot be had.
const NO_SANDBOX: i32 = 3;

/// As many cycles as there have to be for what grows to be judged.
const CYCLES: &str = "400";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = [
        Trial::ignorable_test("short runs hold", short_runs),
        Trial::ignorable_test("a descriptor that is kept is noticed", descriptor),
        Trial::ignorable_test("memory that is kept is noticed", memory),
        Trial::ignorable_test("a network that stays is noticed", network),
        Trial::ignorable_test("a byte that is changed is noticed", byte),
        Trial::ignorable_test("a reset is noticed", reset),
        Trial::ignorable_test("a socket that stays in repair mode is noticed", stuck),
        Trial::ignorable_test("what a load does wrong is noticed", of_a_load),
        Trial::ignorable_test("what would not be done is refused", not_done),
        Trial::ignorable_test("more connections than descriptors are skipped", too_many),
    ];
    libtest_mimic::run(&args, trials.into()).exit_code()
}

/// Runs the program; `None` where it has no network.
fn soak(words: &[&str]) -> Result<Option<Output>, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(words)
        .output()?;
    Ok((output.status.code() != Some(NO_SANDBOX)).then_some(output))
}

/// Runs the program, and looks at its exit code and at what it says.
fn expect(words: &[&str], code: i32, said: &[&str]) -> Result<Completion, Failed> {
    let Some(output) = soak(words)? else {
        return Ok(Completion::ignored_with("no network namespaces here"));
    };
    let [told, wrong] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    let all = format!("{told}{wrong}");
    let missing: Vec<_> = said.iter().filter(|part| !all.contains(**part)).collect();
    if output.status.code() != Some(code) || !missing.is_empty() {
        let status = output.status;
        return Err(format!("{words:?} ends with {status}, without {missing:?}:\n{all}").into());
    }
    Ok(Completion::Completed)
}

fn short_runs() -> Result<Completion, Failed> {
    let words = [
        "--cycles",
        "200",
        "--moves",
        "8",
        "--connections",
        "50",
        "--rounds",
        "2",
    ];
    let said = [
        "cycles: 200 cycles",
        "20 of them into another socket, 1 without a lock",
        "moves: 8 moves between hosts",
        "in 2 networks",
        "load: 50 connections, all saved, closed and restored at once (2 rounds, ",
        "no reset",
    ];
    expect(
        &[&words[..], &["--moves-of-a-network", "4"]].concat(),
        0,
        &said,
    )
}

fn planted(what: &str, words: &[&str], said: &str) -> Result<Completion, Failed> {
    expect(&[&["--plant", what], words].concat(), 1, &[said])
}

fn descriptor() -> Result<Completion, Failed> {
    planted(
        "descriptor",
        &["cycles", "--cycles", CYCLES],
        "descriptors grows: ",
    )
}

fn memory() -> Result<Completion, Failed> {
    planted("memory", &["cycles", "--cycles", CYCLES], "memory grows: ")
}

fn network() -> Result<Completion, Failed> {
    let words = ["moves", "--moves", "8", "--moves-of-a-network", "1"];
    planted("network", &words, "grows: ")
}

fn byte() -> Result<Completion, Failed> {
    planted(
        "byte",
        &["cycles", "--cycles", "100"],
        // By who reads it, or by the next save: whoever comes first.
        ": at offset ",
    )
}

fn reset() -> Result<Completion, Failed> {
    let said = "host a has counted resets: Tcp.OutRsts 0 -> 1";
    planted("reset", &["cycles", "--cycles", "10"], said)?;
    let said = " has counted resets: Tcp.OutRsts 0 -> 1";
    planted("reset", &["moves", "--moves", "2"], said)
}

/// And told: nobody waits for its end.
fn stuck() -> Result<Completion, Failed> {
    planted(
        "stuck",
        &["cycles", "--cycles", "10"],
        "cycles: subject 0 writes: Invalid argument",
    )
}

fn of_a_load() -> Result<Completion, Failed> {
    let load = ["load", "--connections", "20"];
    planted("byte", &load, ", what is read: at offset ")?;
    planted(
        "reset",
        &load,
        "host a has counted resets: Tcp.OutRsts 0 -> 1",
    )?;
    planted("socket", &load, "sockets grows: ")?;
    planted("descriptor", &load, "descriptors grows: ")
}

fn not_done() -> Result<Completion, Failed> {
    let said = "--plant Memory is not done in all of [Load]";
    expect(&["--plant", "memory", "load"], 2, &[said])
}

/// More than any machine allows.
fn too_many() -> Result<Completion, Failed> {
    let said = "load: skipped: 2000000000 connections need 2000000256 descriptors";
    expect(&["load", "--connections", "2000000000"], 4, &[said])
}
