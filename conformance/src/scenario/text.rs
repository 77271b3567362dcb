//! How a scenario is written down: a line for each thing that is not as usual, then a line for each step.

use super::setup::{Clock, Congestion, Network, Opening, Scaling, Setup};
use super::step::{Setting, Step, Who};
use super::{MAX_STEPS, Scenario};
use crate::oracle::stream::End;
use lab::Family;
use std::fmt;
use std::str::FromStr;

/// The first line of every file: what it is, and the version of the format.
const HEAD: &str = "soccr scenario 1";

/// A text that is no scenario: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it, and what could stand there.
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{}", self.setup)?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on| if on { "on" } else { "off" };
        let network = match self.network {
            Network::Wire => "wire",
            Network::Move => "move",
        };
        writeln!(f, "network {network}")?;
        writeln!(f, "family {}", self.family)?;
        writeln!(f, "mtu {}", self.mtu)?;
        writeln!(f, "offload {}", on(self.offload))?;
        match self.opening {
            Opening::Handshake => writeln!(f, "open handshake")?,
            Opening::Lost { subject } => writeln!(f, "open lost {subject}")?,
            Opening::Forged {
                subject,
                peer,
                clock,
            } => writeln!(f, "open forged {subject} {peer} {clock}")?,
        }
        let timestamps = match self.timestamps {
            Clock::Off => "off",
            Clock::Milliseconds => "ms",
            Clock::Microseconds => "us",
        };
        writeln!(f, "timestamps {timestamps}")?;
        writeln!(f, "sack {}", on(self.sack))?;
        match self.scaling {
            Scaling::Off => writeln!(f, "scaling off")?,
            Scaling::Usual => writeln!(f, "scaling usual")?,
            Scaling::Shifts(subject, peer) => writeln!(f, "scaling {subject} {peer}")?,
        }
        if let Some(mss) = self.mss {
            writeln!(f, "mss {mss}")?;
        }
        let congestion = match self.congestion {
            Congestion::Usual => "usual",
            Congestion::Reno => "reno",
            Congestion::Cubic => "cubic",
            Congestion::Bbr => "bbr",
        };
        writeln!(f, "congestion {congestion}")?;
        for (end, bytes) in [End::Subject, End::Peer].iter().zip(self.receive_buffers) {
            if let Some(bytes) = bytes {
                writeln!(f, "buffer {end} {bytes}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(end, bytes) => write!(f, "{end} writes {bytes}"),
            Self::Read(end, Some(bytes)) => write!(f, "{end} reads {bytes}"),
            Self::Read(end, None) => write!(f, "{end} reads all"),
            Self::End(end) => write!(f, "{end} ends"),
            Self::Urgent(end) => write!(f, "{end} urges"),
            Self::Set(end, setting) => write!(f, "{end} sets {setting}"),
            Self::Lose(end, Some(segments)) => write!(f, "lose {segments} of {end}"),
            Self::Lose(end, None) => write!(f, "lose all of {end}"),
            Self::Hold(end) => write!(f, "hold all of {end}"),
            Self::Reorder(end, by) => write!(f, "reorder {by} of {end}"),
            Self::Duplicate(end, segments) => write!(f, "duplicate {segments} of {end}"),
            Self::Clear => f.write_str("clear"),
            Self::Mtu(bytes) => write!(f, "links take {bytes}"),
            Self::Checkpoint(who) => write!(f, "checkpoint {who}"),
            Self::Restore(who) => write!(f, "restore {who}"),
            Self::Move => f.write_str("move"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(end) => end.fmt(f),
            Self::Both => f.write_str("both"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDelay => f.write_str("nodelay"),
            Self::Cork(true) => f.write_str("cork on"),
            Self::Cork(false) => f.write_str("cork off"),
            Self::KeepAlive => f.write_str("keepalive"),
            Self::ReceiveBuffer(bytes) => write!(f, "rcvbuf {bytes}"),
            Self::SendBuffer(bytes) => write!(f, "sndbuf {bytes}"),
            Self::WindowClamp(bytes) => write!(f, "window-clamp {bytes}"),
            Self::NotSentLowat(bytes) => write!(f, "notsent-lowat {bytes}"),
            Self::UserTimeout(ms) => write!(f, "user-timeout {ms}"),
            Self::Tos(tos) => write!(f, "tos {tos}"),
        }
    }
}

impl FromStr for Scenario {
    type Err = Malformed;

    /// Reads what `Display` writes. Empty lines, and what follows a `#`, are remarks.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.split('#').next().unwrap_or("").trim()))
            .filter(|(_, line)| !line.is_empty());
        let malformed = |line, why: String| Malformed { line, why };
        match lines.next() {
            Some((_, HEAD)) => {}
            Some((line, _)) => {
                return Err(malformed(line, format!("the first line is not `{HEAD}`")));
            }
            None => return Err(malformed(1, format!("nothing here, not even `{HEAD}`"))),
        }
        let mut scenario = Self {
            setup: Setup::PLAIN,
            steps: Vec::new(),
        };
        let mut last = 1;
        for (line, text) in lines {
            last = line;
            let words: Vec<_> = text.split_whitespace().collect();
            let at_the_start = scenario.steps.is_empty();
            if at_the_start
                && set_up(&mut scenario.setup, &words).map_err(|why| malformed(line, why))?
            {
                continue;
            }
            let step = step(&words).map_err(|why| malformed(line, why))?;
            if scenario.steps.len() == MAX_STEPS {
                return Err(malformed(line, format!("more than {MAX_STEPS} steps")));
            }
            scenario.steps.push(step);
        }
        match scenario.contradiction() {
            Some(why) => Err(malformed(last, why)),
            None => Ok(scenario),
        }
    }
}

/// Takes a line of the setup; `false` if it is none.
fn set_up(setup: &mut Setup, words: &[&str]) -> Result<bool, String> {
    match *words {
        ["network", "wire"] => setup.network = Network::Wire,
        ["network", "move"] => setup.network = Network::Move,
        ["family", name] => {
            let family = Family::ALL.into_iter().find(|it| it.to_string() == name);
            setup.family =
                family.ok_or_else(|| format!("family {name}: v4, v6 or mapped can be"))?;
        }
        ["mtu", bytes] => setup.mtu = number(bytes)?,
        ["offload", word] => setup.offload = switch(word)?,
        ["open", "handshake"] => setup.opening = Opening::Handshake,
        ["open", "lost", subject] => {
            setup.opening = Opening::Lost {
                subject: number(subject)?,
            };
        }
        ["open", "forged", subject, peer, clock] => {
            setup.opening = Opening::Forged {
                subject: number(subject)?,
                peer: number(peer)?,
                clock: number(clock)?,
            };
        }
        ["timestamps", "off"] => setup.timestamps = Clock::Off,
        ["timestamps", "ms"] => setup.timestamps = Clock::Milliseconds,
        ["timestamps", "us"] => setup.timestamps = Clock::Microseconds,
        ["sack", word] => setup.sack = switch(word)?,
        ["scaling", "off"] => setup.scaling = Scaling::Off,
        ["scaling", "usual"] => setup.scaling = Scaling::Usual,
        ["scaling", subject, peer] => {
            setup.scaling = Scaling::Shifts(number(subject)?, number(peer)?);
        }
        ["mss", bytes] => setup.mss = Some(number(bytes)?),
        ["congestion", "usual"] => setup.congestion = Congestion::Usual,
        ["congestion", "reno"] => setup.congestion = Congestion::Reno,
        ["congestion", "cubic"] => setup.congestion = Congestion::Cubic,
        ["congestion", "bbr"] => setup.congestion = Congestion::Bbr,
        ["buffer", whose, bytes] => {
            setup.receive_buffers[end(whose)? as usize] = Some(number(bytes)?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads a line of a step.
fn step(words: &[&str]) -> Result<Step, String> {
    Ok(match *words {
        [whose, "writes", bytes] => Step::Write(end(whose)?, number(bytes)?),
        [whose, "reads", "all"] => Step::Read(end(whose)?, None),
        [whose, "reads", bytes] => Step::Read(end(whose)?, Some(number(bytes)?)),
        [whose, "ends"] => Step::End(end(whose)?),
        [whose, "urges"] => Step::Urgent(end(whose)?),
        [whose, "sets", ref setting @ ..] => Step::Set(end(whose)?, self::setting(setting)?),
        ["lose", "all", "of", whose] => Step::Lose(end(whose)?, None),
        ["lose", segments, "of", whose] => Step::Lose(end(whose)?, Some(number(segments)?)),
        ["hold", "all", "of", whose] => Step::Hold(end(whose)?),
        ["reorder", by, "of", whose] => Step::Reorder(end(whose)?, number(by)?),
        ["duplicate", segments, "of", whose] => Step::Duplicate(end(whose)?, number(segments)?),
        ["clear"] => Step::Clear,
        ["links", "take", bytes] => Step::Mtu(number(bytes)?),
        ["checkpoint", whom] => Step::Checkpoint(who(whom)?),
        ["restore", whom] => Step::Restore(who(whom)?),
        ["move"] => Step::Move,
        _ => {
            return Err(format!(
                "`{}` is neither a line of the setup nor a step: the scenarios in conformance/regressions show what there is",
                words.join(" ")
            ));
        }
    })
}

fn setting(words: &[&str]) -> Result<Setting, String> {
    Ok(match *words {
        ["nodelay"] => Setting::NoDelay,
        ["cork", word] => Setting::Cork(switch(word)?),
        ["keepalive"] => Setting::KeepAlive,
        ["rcvbuf", bytes] => Setting::ReceiveBuffer(number(bytes)?),
        ["sndbuf", bytes] => Setting::SendBuffer(number(bytes)?),
        ["window-clamp", bytes] => Setting::WindowClamp(number(bytes)?),
        ["notsent-lowat", bytes] => Setting::NotSentLowat(number(bytes)?),
        ["user-timeout", ms] => Setting::UserTimeout(number(ms)?),
        ["tos", tos] => Setting::Tos(number(tos)?),
        _ => {
            return Err(format!(
                "`{}` is no option that a scenario sets: nodelay, cork, keepalive, rcvbuf, sndbuf, window-clamp, \
                 notsent-lowat, user-timeout and tos are",
                words.join(" ")
            ));
        }
    })
}

fn end(word: &str) -> Result<End, String> {
    match word {
        "subject" => Ok(End::Subject),
        "peer" => Ok(End::Peer),
        _ => Err(format!("`{word}` is no end: subject and peer are")),
    }
}

fn who(word: &str) -> Result<Who, String> {
    match word {
        "both" => Ok(Who::Both),
        _ => end(word)
            .map(Who::One)
            .map_err(|_| format!("`{word}` is nobody to save: subject, peer and both are")),
    }
}

fn switch(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{word}` is neither on nor off")),
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, String>
where
    T::Err: fmt::Display,
{
    word.parse().map_err(|error| format!("`{word}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let read: Result<Scenario, _> = text.parse();
        read.unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let text = "# Why.\nsoccr scenario 1\nmtu 1280 # the smallest\n\nsubject writes 7\nmove\n";
        let error = text.parse::<Scenario>().unwrap_err();
        assert_eq!(error.line, 6, "{error}");
        let scenario: Scenario = text.replace("move", "restore both").parse().unwrap();
        let setup = Setup {
            mtu: 1280,
            ..Setup::PLAIN
        };
        assert_eq!(scenario.setup, setup);
        let steps = [Step::Write(End::Subject, 7), Step::Restore(Who::Both)];
        assert_eq!(scenario.steps, steps);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_could_stand_there() {
        let after_head = |text: &str| why(&format!("{HEAD}\n{text}"));
        for (said, named) in [
            (why(""), "line 1"),
            (why("soccr scenario 2"), HEAD),
            (after_head("family v5"), "v4, v6 or mapped"),
            (after_head("mtu x"), "`x`"),
            (after_head("mtu 100"), "1280"),
            (after_head("sack maybe"), "neither on nor off"),
            (after_head("scaling 3 3"), "forged"),
            (after_head("open forged 1 2 3\nscaling 15 3"), "at most 14"),
            (after_head("timestamps us"), "forged"),
            (after_head("open lost"), "conformance/regressions"),
            (after_head("open lost 7\npeer writes 1"), "only the SYN"),
            (after_head("open lost 7\nrestore both"), "only the SYN"),
            (after_head("open lost 7\nhold all of subject"), "is lost"),
            (after_head("open lost 7\nlinks take 1501"), "offer more"),
            (after_head("mss 40000"), "32767"),
            (after_head("nobody writes 7"), "subject and peer"),
            (after_head("restore all"), "subject, peer and both"),
            (after_head("subject writes 0"), "4194304"),
            (after_head("subject writes 99999999999"), "`99999999999`"),
            (after_head("subject sets fire"), "no option"),
            (after_head("subject ends\nsubject writes 1"), "has ended"),
            (after_head("network move\nhold all of peer"), "network wire"),
            (
                after_head("subject writes 1\nfamily v6"),
                "conformance/regressions",
            ),
            (after_head(&"clear\n".repeat(MAX_STEPS + 1)), "1000 steps"),
        ] {
            assert!(said.starts_with("line "), "{said}");
            assert!(said.contains(named), "{said}: {named}");
        }
    }
}
