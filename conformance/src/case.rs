//! A case: one promise, and the question that tests it.

use crate::context::Context;
use crate::verdict::Verdict;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One promise and its test.
#[derive(Clone)]
pub struct Case {
    /// A path such as `restore/window/no-wscale/v6`: area, topic, variant, family.
    pub id: String,
    /// How much the promise weighs.
    pub level: Level,
    /// The promise, in one sentence.
    pub statement: String,
    /// What it goes back to: numbers of [facts](crate::facts), such as `A47`.
    pub guide: &'static [&'static str],
    /// What has to be here for the question to make sense; probed by doing.
    pub needs: &'static [Need],
    /// How long it may take, where that is not what every case may.
    pub bound: Option<Duration>,
    /// Whether it can be asked of a library with the C interface; by default not, for a reason of its area.
    through_c: Option<ThroughC>,
    /// The question.
    pub run: Run,
}

/// The body of a case.
pub type Run = Arc<dyn Fn(&Context) -> Verdict + Send + Sync>;

/// How much a promise weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Without it connections are damaged or lost.
    Must,
    /// Without it something is slower, or a tool has to work around it.
    Should,
    /// An observation worth recording; it cannot fail a run.
    Info,
}

/// Something that a kernel, or a set of privileges, may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// `SO_RCVBUFFORCE` and `SO_SNDBUFFORCE`: `CAP_NET_ADMIN` in the initial user namespace.
    ForceBuffers,
    /// `TCP_REPAIR_OFF_NO_WP` (kernel 4.19).
    QuietOff,
    /// `TCP_REPAIR_WINDOW` (kernel 4.8).
    RepairWindow,
    /// `SO_PEEK_OFF` on TCP (kernel 6.9).
    PeekOffset,
    /// `SO_BUF_LOCK` (kernel 5.15).
    BufferLock,
    /// Timestamps in microseconds (kernel 6.7).
    MicrosecondTimestamps,
    /// `SO_NETNS_COOKIE` (kernel 5.14).
    NetworkCookie,
}

/// Whether a case can be asked of a library with the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThroughC {
    /// By both interfaces.
    Both,
    /// By today's interface; why not by the staged one.
    Today(&'static str),
    /// By neither, and why.
    No(&'static str),
}

impl Case {
    /// A case of level [`Level::Must`] that needs nothing special.
    pub fn new(
        id: impl Into<String>,
        statement: impl Into<String>,
        guide: &'static [&'static str],
        run: impl Fn(&Context) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            level: Level::Must,
            statement: statement.into(),
            guide,
            needs: &[],
            bound: None,
            through_c: None,
            run: Arc::new(run),
        }
    }

    /// The same case at another level.
    #[must_use]
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same case, skipped with a reason where something is missing.
    #[must_use]
    pub fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// The same case, which may take as long as this before it counts as hanging.
    #[must_use]
    pub fn bound(self, bound: Duration) -> Self {
        Self {
            bound: Some(bound),
            ..self
        }
    }

    /// The same case, which can be asked through both C interfaces.
    #[must_use]
    pub fn in_c(self) -> Self {
        self.through(ThroughC::Both)
    }

    /// The same case, which can be asked through today's C interface, and why not through the staged one.
    #[must_use]
    pub fn in_todays_c(self, reason: &'static str) -> Self {
        self.through(ThroughC::Today(reason))
    }

    /// The same case, which cannot be asked through C, and why.
    #[must_use]
    pub fn not_in_c(self, reason: &'static str) -> Self {
        self.through(ThroughC::No(reason))
    }

    fn through(self, through_c: ThroughC) -> Self {
        Self {
            through_c: Some(through_c),
            ..self
        }
    }

    /// Whether it can be asked of a library with the C interface.
    #[must_use]
    pub fn through_c(&self) -> ThroughC {
        let area = self.id.split('/').next();
        self.through_c.unwrap_or(ThroughC::No(match area {
            Some("kernel") => "the kernel is asked, not a library",
            Some("fault") => "what fails are the calls of the Rust library",
            Some("snapshot") => "it is about snapshots, which C does not have",
            _ => "it calls the Rust interface itself",
        }))
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.id).finish()
    }
}
