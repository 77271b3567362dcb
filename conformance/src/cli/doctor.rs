//! `conformance doctor`: what is possible here, found out by doing.

use super::{complain, print};
use crate::case::{Case, Need};
use crate::catalogue;
use crate::machine::Machine;
use crate::probe::{Answer, reason, tcp_socket};
use crate::report::style::{Styles, hanging, number, paint};
use crate::report::text::colours;
use crate::summary::Exit;
use lab::{Direction, Family, Match, Pair, Sandbox};
use soccr::raw::{self, Opt, TCP_REPAIR_ON};
use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

/// How long a byte may take from one host to the other: a bound, on a network that takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that was tried.
struct Check {
    name: &'static str,
    /// Whether the suite can do without.
    optional: bool,
    found: Result<String, Missing>,
}

/// Something that did not work.
struct Missing {
    reason: String,
    advice: String,
}

/// Tries everything, prints what came of it, and says whether the suite can run.
pub(super) fn doctor() -> Exit {
    let sandbox = Sandbox::enter();
    let inside = sandbox.is_ok();
    let mut checks = vec![Check::vital(
        "sandbox",
        sandbox
            .map(|_| "private user, mount and network namespaces".to_owned())
            .map_err(|error| missing(error.to_string(), error.hint())),
    )];
    if inside {
        checks.extend(in_the_sandbox());
        let cases = catalogue::all();
        checks.extend(Need::ALL.map(|need| check_need(need, &cases)));
    }
    let styles = colours();
    // What the library can do here, whether the suite asks for it or not.
    let abilities = match inside {
        true => format!("\n{}", soccr::probe()),
        false => String::new(),
    };
    let text = facts(inside) + &results(&checks, &styles) + &abilities + &verdict(&checks, &styles);
    print(&text);
    if checks.iter().all(Check::is_bearable) {
        Exit::Passed
    } else {
        Exit::Harness
    }
}

/// Prints what the library can do in the sandbox, as JSON.
pub(super) fn json() -> Exit {
    let probed = match Sandbox::enter() {
        Ok(_) => serde_json::to_string_pretty(&soccr::probe()),
        Err(error) => return complain(Exit::Harness, error),
    };
    match probed {
        Ok(text) => {
            print(&(text + "\n"));
            Exit::Passed
        }
        Err(error) => complain(Exit::Harness, error),
    }
}

fn in_the_sandbox() -> Vec<Check> {
    let pair = Pair::new().map_err(|error| {
        missing(
            error,
            "the kernel needs veth (CONFIG_VETH); `modprobe veth` as root",
        )
    });
    let (pair, network) = match pair {
        Ok(pair) => {
            let network = talk(&pair);
            (Some(pair), network)
        }
        Err(missing) => (None, Err(missing)),
    };
    let mut checks = vec![
        Check::vital("TCP_REPAIR", repair()),
        Check::vital("network", network),
    ];
    if let Some(pair) = pair {
        checks.push(Check::vital("AF_PACKET capture", capture(&pair)));
        checks.push(Check::vital("blackhole", blackhole(&pair)));
    }
    checks
}

fn repair() -> Result<String, Missing> {
    let entered =
        tcp_socket().and_then(|socket| raw::set_int(&socket, Opt::TCP_REPAIR, TCP_REPAIR_ON));
    match entered {
        Ok(()) => Ok("entered on a socket of the sandbox".to_owned()),
        Err(error) => Err(missing(
            reason(&error),
            "the kernel needs CONFIG_CHECKPOINT_RESTORE and the user CAP_NET_ADMIN over the sandbox",
        )),
    }
}

/// A connection over which one byte passes.
fn talk(pair: &Pair) -> Result<String, Missing> {
    const ADVICE: &str = "a fault of the lab or of the kernel's TCP: please report it";
    let connection = pair.connection(Family::V4).open();
    let mut connection = connection.map_err(|error| missing(error, ADVICE))?;
    let server = &mut connection.server;
    let passed = (connection.client.write_all(b"?"))
        .and_then(|()| server.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| server.read_exact(&mut [0]));
    match passed {
        Ok(()) => Ok("two hosts, and a TCP connection between them".to_owned()),
        Err(error) => Err(missing(reason(&error), ADVICE)),
    }
}

fn capture(pair: &Pair) -> Result<String, Missing> {
    let seen = || -> Result<usize, lab::Error> {
        let capture = pair.a().capture()?;
        let _connection = pair.connection(Family::V4).open()?;
        Ok(capture.trace()?.segments().count())
    };
    match seen() {
        Ok(0) => Err(missing(
            "a handshake went unseen",
            "a fault of the lab: please report it",
        )),
        Ok(segments) => Ok(format!("{segments} segments of a handshake seen")),
        Err(error) => Err(missing(error, "the kernel needs CONFIG_PACKET")),
    }
}

/// A byte that is sent into the blackhole does not come out of it, while one that is sent later, beside it, arrives.
fn blackhole(pair: &Pair) -> Result<String, Missing> {
    let swallowed = || -> Result<bool, Box<dyn std::error::Error>> {
        let mut connection = pair.connection(Family::V4).open()?;
        let flow = connection.flow();
        let _blackhole = pair
            .b()
            .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
        connection.client.write_all(b"?")?;
        talk(pair).map_err(|missing| missing.reason)?;
        connection.server.set_nonblocking(true)?;
        let read = connection.server.read(&mut [0]);
        Ok(read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    };
    match swallowed() {
        Ok(true) => Ok("swallows the packets of one connection".to_owned()),
        Ok(false) => Err(missing(
            "a byte came through",
            "a fault of the lab: please report it",
        )),
        Err(error) => Err(missing(
            error,
            "the kernel needs CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF and CONFIG_NET_CLS_ACT",
        )),
    }
}

fn check_need(need: Need, cases: &[Case]) -> Check {
    let skipped = cases.iter().filter(|case| case.needs.contains(&need));
    let advice = format!("skipped without it: {}", number(skipped.count()));
    let found = match need.probe() {
        Answer::Here => Ok(String::new()),
        Answer::Missing(reason) => Err(missing(reason, advice)),
        Answer::Unknown(error) => Err(missing(format!("cannot be found out: {error}"), advice)),
    };
    Check {
        name: need.name(),
        optional: true,
        found,
    }
}

fn missing(reason: impl ToString, advice: impl ToString) -> Missing {
    Missing {
        reason: reason.to_string(),
        advice: advice.to_string(),
    }
}

impl Check {
    /// A check that the suite cannot do without.
    fn vital(name: &'static str, found: Result<String, Missing>) -> Self {
        Self {
            name,
            optional: false,
            found,
        }
    }

    fn is_bearable(&self) -> bool {
        self.optional || self.found.is_ok()
    }
}

/// What there is to know that cannot be missing.
fn facts(inside: bool) -> String {
    let machine = Machine::read();
    let info = tcp_socket().and_then(|socket| raw::tcp_info(&socket));
    let info = info.map_or_else(
        |error| reason(&error),
        |info| format!("{} bytes", info.length),
    );
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let congestion = fs::read_to_string(path).unwrap_or_else(|error| reason(&error));
    let place = if inside { "in" } else { "outside of" };
    format!(
        "kernel              {} ({})\n\
         user                {}\n\
         TCP_INFO            {info}\n\
         congestion control  {} ({place} the sandbox)\n\n",
        machine.release,
        machine.machine,
        machine.user(),
        congestion.trim()
    )
}

fn results(checks: &[Check], styles: &Styles) -> String {
    let width = checks.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let (word, style, text) = match &check.found {
            Ok(text) => ("ok", styles.good, text.clone()),
            Err(Missing { reason, advice }) => {
                let style = if check.optional {
                    styles.notable
                } else {
                    styles.bad
                };
                ("missing", style, format!("{reason}\n{advice}"))
            }
        };
        let mut word = paint(style, format!("{word:7}")).to_string();
        for line in hanging(check.name, &text, width + 1) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{word}  {line}");
            word = " ".repeat(7);
        }
    }
    out
}

fn verdict(checks: &[Check], styles: &Styles) -> String {
    let vital = checks.iter().filter(|check| !check.is_bearable());
    let vital: Vec<_> = vital.map(|check| check.name).collect();
    let absent = checks.iter().filter(|check| check.found.is_err()).count();
    let text = match (&vital[..], absent) {
        ([], 0) => paint(styles.good, "every case can run here".to_owned()),
        ([], _) => paint(
            styles.good,
            "the suite can run here, without some of its cases".to_owned(),
        ),
        (vital, _) => paint(
            styles.bad,
            format!("the suite cannot run here: no {}", vital.join(", no ")),
        ),
    };
    format!("\n{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(optional: bool, found: Result<&str, &str>) -> Check {
        Check {
            name: "the thing",
            optional,
            found: found
                .map(str::to_owned)
                .map_err(|reason| missing(reason, "buy one")),
        }
    }

    #[test]
    fn what_is_missing_comes_with_the_reason_and_the_advice() {
        let checks = [check(true, Ok("works")), check(true, Err("not there"))];
        assert_eq!(
            results(&checks, &Styles::PLAIN),
            "ok       the thing  works\n\
             missing  the thing  not there\n\
             \x20                   buy one\n"
        );
        assert!(verdict(&checks, &Styles::PLAIN).contains("without some"));
    }

    #[test]
    fn only_something_vital_stops_the_suite() {
        assert!(check(true, Err("x")).is_bearable());
        assert!(check(false, Ok("x")).is_bearable());
        assert!(!check(false, Err("x")).is_bearable());
        let text = verdict(&[check(false, Err("x"))], &Styles::PLAIN);
        assert!(text.contains("cannot run here: no the thing"), "{text}");
    }
}
