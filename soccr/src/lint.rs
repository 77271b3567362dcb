//! What is wrong with a snapshot, all of it: which rule each value breaks, where a restore would notice, and with which
//! errno.

use crate::error::{Refusal, Step};
use crate::queue::Queue;
use crate::snapshot::{PendingError, Snapshot};
use crate::state::TcpState;
use std::fmt;
use std::io;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Rule {
    /// The state, and what cannot be in it.
    State,
    /// The addresses and ports.
    Address,
    /// Sequence numbers.
    Sequence,
    /// The lengths of queues and buffers.
    Length,
    /// Segment size and window shifts.
    Negotiated,
    /// The clock of the timestamps.
    Timestamp,
    /// The send and the receive window.
    Window,
}

/// What becomes of a value that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Fate {
    /// [`Snapshot::validate`], and with it every restore, refuses it.
    Refused,
    /// A restore mends it.
    Mended,
    /// It is left to the kernel, which says no.
    Left,
}

/// A value in a snapshot that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// What the rule is about.
    pub rule: Rule,
    /// The field, as it is written in Rust.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it has to be.
    pub must: String,
    /// The step of a restore in which a kernel that is given the value as it is meets it.
    #[cfg_attr(feature = "serde", serde(serialize_with = "displayed"))]
    pub step: Step,
    /// What the kernel says to it; `None` where it takes the value.
    pub errno: Option<i32>,
    /// What comes of it where the kernel takes it.
    pub consequence: &'static str,
    /// What this library does about it.
    pub fate: Fate,
}

#[cfg(feature = "serde")]
fn displayed<S: serde::Serializer>(step: &Step, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(step)
}

impl Finding {
    /// Something that the kernel refuses in a step.
    pub(crate) fn refused_by_the_kernel(
        (rule, step, errno): (Rule, Step, i32),
        field: &'static str,
        value: impl ToString,
        must: impl ToString,
    ) -> Self {
        Self {
            errno: Some(errno),
            ..Self::taken_by_the_kernel((rule, step, ""), field, value, must)
        }
    }

    /// Something that the kernel takes, and that is wrong all the same.
    pub(crate) fn taken_by_the_kernel(
        (rule, step, consequence): (Rule, Step, &'static str),
        field: &'static str,
        value: impl ToString,
        must: impl ToString,
    ) -> Self {
        Self {
            rule,
            field,
            value: value.to_string(),
            must: must.to_string(),
            step,
            errno: None,
            consequence,
            fate: Fate::Refused,
        }
    }

    /// With another fate than to be refused.
    pub(crate) fn but(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}

impl From<Finding> for Refusal {
    fn from(finding: Finding) -> Self {
        Self::new(finding.field, finding.value, finding.must)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            value,
            must,
            step,
            ..
        } = self;
        write!(f, "{field} = {value} {must}; as it is, {step} ")?;
        match self.errno {
            Some(errno) => write!(f, "fails: {}", io::Error::from_raw_os_error(errno))?,
            None => write!(f, "succeeds, and {}", self.consequence)?,
        }
        f.write_str(match self.fate {
            Fate::Refused => " (refused)",
            Fate::Mended => " (mended by a restore)",
            Fate::Left => " (left to the kernel)",
        })
    }
}

impl Snapshot {
    /// Finds everything in the snapshot that breaks a rule: of the kernel's, of the protocol's, of plain arithmetic.
    ///
    /// For images from elsewhere. It says of each value in which step a restore by plain system calls would fail, and
    /// with which errno, or what it would silently do. Nothing is asked of this host: whether it has the address, the
    /// room and the kernel that the connection needs, only a restore tells.
    ///
    /// Empty for a snapshot that was taken by this library, but for values that the kernel itself does not take back: those
    /// are [`Fate::Mended`].
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.state.is_carried() {
            self.lint_state(&mut found);
        }
        let connected = self.state != TcpState::Close || self.endpoints.has_remote();
        let link = self.link.as_deref();
        self.endpoints.lint(connected, link, &mut found);
        self.lint_link(&mut found);
        self.receive.lint(&mut found);
        self.send.lint(&mut found);
        self.buffers.lint(&mut found);
        if self.state.is_synchronized() {
            self.options.lint(&mut found);
            if let Some(window) = &self.window {
                window.lint(self.rcv_nxt(), &mut found);
            }
        }
        self.lint_queues(&mut found);
        found
    }

    fn lint_state(&self, found: &mut Vec<Finding>) {
        found.push(Finding::taken_by_the_kernel(
            (Rule::State, Step::Connect, "the socket is ESTABLISHED"),
            "state",
            self.state,
            "must be one that can be restored",
        ));
    }

    /// The queues against the state: what cannot be in it, and whether our FIN is where it can be.
    fn lint_queues(&self, found: &mut Vec<Finding>) {
        let state = self.state;
        let writes = state.is_synchronized() && state != TcpState::FinWait2;
        let reads =
            state.is_synchronized() || (state == TcpState::Close && self.endpoints.has_remote());
        for (field, bytes, allowed, queue) in [
            ("send.bytes", &self.send.bytes, writes, Queue::Send),
            ("receive.bytes", &self.receive.bytes, reads, Queue::Receive),
        ] {
            if !allowed && !bytes.is_empty() {
                found.push(Finding::taken_by_the_kernel(
                    (
                        Rule::State,
                        Step::WriteQueue(queue),
                        "the stream has bytes that it never had",
                    ),
                    field,
                    format!("{} bytes", bytes.len()),
                    format!("must be empty in the state {state}"),
                ));
            }
        }
        let owes = state.owes_fin();
        let misplaced = (
            Rule::State,
            Step::RemainingData,
            "our FIN is sent twice, or never",
        );
        if self.send.fin_unsent && !owes {
            let must = format!("must be false in the state {state}");
            found.push(Finding::taken_by_the_kernel(
                misplaced,
                "send.fin_unsent",
                true,
                must,
            ));
        }
        if self.send.unsent > 0 && owes && !self.send.fin_unsent {
            let must = format!("must be true behind {} unsent bytes", self.send.unsent);
            found.push(Finding::taken_by_the_kernel(
                misplaced,
                "send.fin_unsent",
                false,
                must,
            ));
        }
        if let Some(PendingError::Errno(errno @ ..=0)) = self.pending_error {
            found.push(Finding::taken_by_the_kernel(
                (
                    Rule::State,
                    Step::RemainingData,
                    "no error waits for the application",
                ),
                "pending_error",
                errno,
                "must be a positive errno",
            ));
        }
    }
}
