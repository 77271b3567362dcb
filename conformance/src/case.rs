//! A case: one promise, and the question that tests it.

use crate::context::Context;
use crate::verdict::Verdict;
use std::fmt;
use std::sync::Arc;

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
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.id).finish()
    }
}
