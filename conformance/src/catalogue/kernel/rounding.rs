//! Options that do not read as they were set: what they read then is set to itself.

use super::subject::fresh;
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq};
use lab::Family;
use soccr::raw::{self, Opt};

/// An option, and pairs of what is set and what is read.
type Rounded = (
    &'static str,
    &'static [&'static str],
    Opt,
    &'static [(i32, i32)],
);

const ROUNDED: [Rounded; 3] = [
    (
        "tcp-defer-accept",
        &["D3"],
        Opt::TCP_DEFER_ACCEPT,
        &[(1, 1), (2, 3), (5, 7), (10, 15), (30, 31)],
    ),
    (
        "tcp-linger2",
        &["D2"],
        Opt::TCP_LINGER2,
        &[(0, 60), (1_000, 120), (17, 17)],
    ),
    (
        "tcp-window-clamp",
        &["D4"],
        Opt::TCP_WINDOW_CLAMP,
        &[(1_000, 1_152), (60_000, 60_000)],
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let case = |(name, guide, option, pairs): Rounded| {
        Case::new(
            format!("kernel/rounding/{name}"),
            format!(
                "{} is rounded when it is set, and never again",
                option.label()
            ),
            guide,
            move |ctx| rounded(ctx, option, pairs),
        )
        .level(Level::Info)
    };
    ROUNDED.map(case).into()
}

fn rounded(ctx: &Context, option: Opt, pairs: &[(i32, i32)]) -> Verdict {
    let pair = ctx.pair()?;
    for &(set, read) in pairs {
        let socket = fresh(pair.a(), Family::V4)?;
        raw::set_int(&socket, option, set)?;
        let first = raw::get_int(&socket, option)?;
        expect_eq(format!("{} after {set}", option.label()), first, read)?;
        raw::set_int(&socket, option, first)?;
        let second = raw::get_int(&socket, option)?;
        expect_eq(format!("{} after {first}", option.label()), second, first)?;
    }
    Ok(())
}
