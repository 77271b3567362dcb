//! Saves and restores with no more privileges than they need.

use crate::case::Case;
use crate::context::Context;
use crate::helper;
use crate::journey::{Ending, PATIENCE, Plan, Privileges, Receive, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict};
use lab::{Family, on_one_cpu, wait};
use rustix::thread::CapabilitySet;
use soccr::{FinMode, Helper, Settings};
use std::io;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// What lies in the queues, and how far the close has come.
const KINDS: [(&str, Send, Ending); 6] = [
    ("both", Send::Both, Ending::None),
    ("unsent", Send::Unsent, Ending::None),
    ("fin-wait-2", Send::Empty, Ending::FinWait2),
    ("close-wait", Send::Unsent, Ending::CloseWait),
    ("last-ack", Send::Unacked, Ending::LastAck),
    ("closing", Send::Empty, Ending::Closing),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, send, ending) in KINDS {
        for family in FAMILIES {
            let plan = Plan {
                family,
                receive: Receive::Small,
                send,
                ending,
                settings: Settings::new().fin(FinMode::Emulate),
                ..Plan::PLAIN
            };
            cases.push(Case::new(
                format!("restore/net-admin-only/{kind}/{family}"),
                "CAP_NET_ADMIN is all that a save and a restore need",
                &["A1"],
                move |ctx| on_one_cpu(|| net_admin_only(ctx, plan)),
            ));
            cases.push(Case::new(
                format!("restore/helper/{kind}/{family}"),
                "a thread without capabilities saves and restores with a helper, which does nothing but set TCP_REPAIR",
                &["A1", "C27"],
                move |ctx| on_one_cpu(|| by_helper(ctx, plan)),
            ));
        }
    }
    for family in FAMILIES {
        cases.push(Case::new(
            format!("restore/net-admin-only/no-choice/{family}"),
            "where no packet can put a FIN back and the caller has not chosen, it is put back by none, and that is named",
            &["A1", "F6"],
            move |ctx| no_choice(ctx, family),
        ));
        let plan = Plan {
            family,
            receive: Receive::Small,
            send: Send::Both,
            settings: Settings::new().fin(FinMode::Emulate),
            ..Plan::PLAIN
        };
        cases.push(Case::new(
            format!("restore/passt-repair/both/{family}"),
            "passt-repair is such a helper",
            &["C27"],
            move |ctx| on_one_cpu(|| by_passt_repair(ctx, plan)),
        ));
    }
    let way = "there is no way to choose a helper, or how a FIN is put back";
    cases.into_iter().map(|case| case.not_in_c(way)).collect()
}

/// What several threads send on one connection from several processors may overtake itself, and is dropped then for its clock:
/// these cases stay on one, and so does the helper, which they start.
fn net_admin_only(ctx: &Context, plan: Plan) -> Verdict {
    let only = Privileges {
        only: Some(CapabilitySet::NET_ADMIN),
        helper: None,
    };
    travel(ctx, plan, only)
}

/// A raw socket takes CAP_NET_RAW.
fn no_choice(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.privileges.only = Some(CapabilitySet::NET_ADMIN);
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    let saved = traveller.save()?;
    let restored = traveller.restore(&saved.snapshot)?;
    // So it is judged as if the caller had.
    traveller.settings = Settings::new().fin(FinMode::Emulate);
    traveller.expect_view(&saved, &KernelView::read(&restored)?)?;
    traveller.expect_losses(&saved.snapshot, &restored)?;
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, Probes::NoneDue)
}

fn by_helper(ctx: &Context, plan: Plan) -> Verdict {
    let running = helper::serve()?;
    travel(ctx, plan, Privileges::helped_by(&running.helper))?;
    running.end().map(drop)
}

fn travel(ctx: &Context, plan: Plan, privileges: Privileges) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.privileges = privileges;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    traveller.travel(ctx, plan.probes())
}

fn by_passt_repair(ctx: &Context, plan: Plan) -> Verdict {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("soccr.repair");
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    let mut child = match Command::new("passt-repair").arg(&path).spawn() {
        // A folder of PATH that this user may not enter has none for it either.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            let reason = "there is no passt-repair here: apt-get install passt (Debian 13)";
            return Err(Stop::Skip(reason.to_owned()));
        }
        child => child?,
    };
    let travelled = connected(&listener, &mut child)
        .and_then(|helper| travel(ctx, plan, Privileges::helped_by(&helper)));
    // The end of its stream is its own end; if it does not come to that, it must not stay either.
    let ended = wait::until("passt-repair has ended", PATIENCE, || {
        child.try_wait().is_ok_and(|status| status.is_some())
    });
    child.kill()?;
    child.wait()?;
    travelled?;
    Ok(ended?)
}

/// Waits for the program to connect.
fn connected(listener: &UnixListener, child: &mut Child) -> Result<Helper, Stop> {
    let mut accepted = listener.accept();
    wait::until("passt-repair has connected", PATIENCE, || {
        if accepted.is_err() {
            accepted = listener.accept();
        }
        accepted.is_ok() || child.try_wait().is_ok_and(|status| status.is_some())
    })?;
    Ok(Helper::new(accepted?.0)?)
}
