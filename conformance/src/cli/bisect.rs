//! `conformance bisect`: one case on one kernel, with the exit codes of `git bisect run`.

use super::matrix::{Booted, booted, line};
use super::{complain, print};
use crate::catalogue;
use crate::matrix::{self, Judged};
use crate::report::told::CUT_OFF;
use crate::select::by_id;
use crate::summary::Exit;
use std::process::ExitCode;

/// `git bisect run` passes over a commit that cannot be tested.
const SKIP: u8 = 125;
/// It gives up on anything above 127.
const ABORT: u8 = 128;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the case
    id: String,
    #[command(flatten)]
    booted: Booted,
}

/// 0 where the kernel keeps the promise, 1 where it does not or dies of it, 125 where that cannot be told, 128 where the command
/// line makes no sense.
pub(super) fn bisect(args: &Args) -> ExitCode {
    if let Err(error) = by_id(&args.id, catalogue::all()) {
        complain(Exit::Usage, error);
        return ABORT.into();
    }
    let words = ["run", "--filter", &args.id, "--scenarios", "0"];
    let plan = match booted(&args.booted, words.map(str::to_owned).to_vec()) {
        Ok(plan) if plan.kernels.len() == 1 => plan,
        Ok(plan) => {
            let count = plan.kernels.len();
            complain(Exit::Usage, format!("{count} kernels: give one"));
            return ABORT.into();
        }
        Err(error) => {
            complain(Exit::Usage, error);
            return ABORT.into();
        }
    };
    let results = matrix::run(&plan, |kernel, judged| print(&line(kernel, judged)));
    let judged = results.first().and_then(|(_, judged)| judged.as_ref().ok());
    let code = judged.map_or(SKIP, |judged| code(&args.id, judged));
    print(match code {
        0 => "good\n",
        1 => "bad\n",
        _ => "cannot be told\n",
    });
    code.into()
}

fn code(id: &str, judged: &Judged) -> u8 {
    match judged.told.words().get(id).copied() {
        // What the kernel says about itself is as bad as what the case says.
        Some("pass" | "info" | "unexpected") if judged.exit() == Exit::Passed => 0,
        Some("fail" | "known" | CUT_OFF) => 1,
        Some("pass" | "info" | "unexpected") if judged.exit() == Exit::Failures => 1,
        _ => SKIP,
    }
}
