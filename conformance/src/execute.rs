//! One case: asked, judged, and its evidence kept.

use crate::case::Case;
use crate::context::Context;
use crate::evidence::{self, Kept};
use crate::guarded::guarded;
use crate::outcome::{Outcome, Record};
use crate::probe::{Needs, Unmet};
use crate::runner::Options;
use crate::verdict::Stop;
use std::sync::Arc;
use std::time::Instant;

/// Runs a case to its end, unless it cannot be asked or its needs are not met, and takes its network down.
pub(crate) fn execute(case: Case, needs: &Needs, options: &Options, ctx: Arc<Context>) -> Record {
    if let Some(reason) = options.subject.cannot_express(&case) {
        return Record::not_run(case, Outcome::Skip(reason));
    }
    match needs.unmet(&case) {
        Some(Unmet::Missing(reason)) => return Record::not_run(case, Outcome::Skip(reason)),
        Some(Unmet::Unknown(error)) => return Record::not_run(case, Outcome::Broken(error)),
        None => {}
    }
    let start = Instant::now();
    // What breaks the contract comes last: what is seen of it, if anything, says more.
    let verdict = guarded(|| {
        (case.run)(&ctx).and_then(|()| ctx.breach().map_or(Ok(()), |breach| Err(breach.into())))
    });
    let elapsed = start.elapsed();
    let verdict = verdict.unwrap_or_else(|said| Err(Stop::Broken(format!("the case {said}"))));
    let mut record = Record {
        outcome: options
            .expected
            .judge(&case, Outcome::of(verdict, case.level)),
        case,
        elapsed,
        notes: Vec::new(),
        kept: Kept::default(),
    };
    // The lab is out of our hands, so that a panic in it must not take the whole run down.
    let end = guarded(|| {
        keep(&mut record, &ctx, options);
        match Arc::try_unwrap(ctx) {
            Ok(ctx) if matches!(record.outcome, Outcome::Pass) => ctx.give_networks_back(),
            gone => drop(gone),
        }
    });
    if let Err(said) = end {
        record.outcome = Outcome::Broken(format!("after the case the harness {said}"));
    }
    record
}

/// Completes a record with what its case has left behind so far.
pub(crate) fn keep(record: &mut Record, ctx: &Context, options: &Options) {
    let evidence = ctx.evidence();
    record.notes.clone_from(&evidence.notes);
    if record.outcome.is_bad() || options.keep_all {
        evidence::keep(record, &evidence, options);
    }
}
