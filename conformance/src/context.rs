//! What a case is given: its network, a seed, and a place for the evidence.

use crate::networks::{Lent, Networks};
use crate::scenario::bins::Coverage;
use crate::scenario::network::Stock;
use crate::subject::{Breaches, Library, Subject};
use crate::verdict::{Failure, Stop};
use lab::{
    Capture, Flow, Host, Pair, PairBuilder, PairWithWire, PairWithWireBuilder, Trio, TrioBuilder,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What a case is given, and what is left of it when it has ended.
///
/// A case takes its network and its captures from here, so that the runner still holds them when the case has
/// failed and can write down what was on the wire.
#[derive(Default)]
pub struct Context {
    seed: u64,
    alone: bool,
    subject: Subject,
    breaches: Breaches,
    coverage: Arc<Coverage>,
    networks: Networks,
    stock: Arc<Stock>,
    evidence: Mutex<Evidence>,
}

/// What a case left behind.
#[derive(Clone, Default)]
pub struct Evidence {
    /// The networks that it used; they live as long as the evidence does.
    pub pairs: Vec<Lent>,
    /// The connections that were on them, as far as the case has said so.
    pub flows: Vec<Flow>,
    /// Those with a wire of ours.
    pub with_wires: Vec<Arc<PairWithWire>>,
    /// Those of three hosts.
    pub trios: Vec<Arc<Trio>>,
    /// What was captured, by the name of the host.
    pub captures: Vec<(String, Arc<Capture>)>,
    /// Facts that it found worth telling: name and value.
    pub notes: Vec<(String, String)>,
    /// The scenario that it failed on, as it is written down.
    pub scenario: Option<String>,
}

impl Context {
    /// A context whose generated parts follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The same, about another library than the Rust one.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// The same, of a case beside which no other runs, or maybe one does.
    #[must_use]
    pub fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// Whether no other case runs beside it.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// The same, taking note of what scenarios reach in a coverage that others share.
    #[must_use]
    pub fn reaching(self, coverage: Arc<Coverage>) -> Self {
        Self { coverage, ..self }
    }

    /// What scenarios have reached so far.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The same, with networks that others of the run have left, and for those that come after.
    #[must_use]
    pub fn with_networks(self, networks: Networks) -> Self {
        Self { networks, ..self }
    }

    /// Networks that scenarios of the case have left.
    #[must_use]
    pub fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }

    /// Networks that other cases have left.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// A context for a part of the case, whose evidence is not kept, and which has networks of its own.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self {
            seed: self.seed,
            alone: self.alone,
            subject: self.subject.clone(),
            breaches: Arc::clone(&self.breaches),
            coverage: Arc::clone(&self.coverage),
            ..Self::default()
        }
    }

    /// The same, which goes on with the networks that are there.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            networks: self.networks.clone(),
            stock: Arc::clone(&self.stock),
            ..self.aside()
        }
    }

    /// The library that is judged.
    #[must_use]
    pub fn library(&self) -> Library {
        Library::new(&self.subject, &self.breaches)
    }

    /// The first thing that the library did against its contract and that no oracle of the case sees.
    #[must_use]
    pub fn breach(&self) -> Option<Failure> {
        let breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        breaches.first().cloned()
    }

    /// The seed of the run, for what a case generates: the same seed, the same case.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A pair of hosts with the usual settings.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot build it.
    pub fn pair(&self) -> Result<Arc<Pair>, Stop> {
        self.build(Pair::builder())
    }

    /// A pair of hosts with settings of its own.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot build it.
    pub fn build(&self, builder: PairBuilder) -> Result<Arc<Pair>, Stop> {
        let lent = self.networks.pair(builder)?;
        let pair = Arc::clone(&lent);
        if lent.cases_before() > 0 {
            let before = format!("cases that have used it before: {}", lent.cases_before());
            self.note("network", before);
        }
        self.with(|evidence| evidence.pairs.push(lent));
        Ok(pair)
    }

    /// Says that there is a connection on one of its networks: when it is in TIME-WAIT at the end, it is ended there.
    pub fn connected(&self, flow: Flow) {
        self.with(|evidence| evidence.flows.push(flow));
    }

    /// Ends a case that has passed: its networks are there for others.
    pub(crate) fn give_networks_back(self) {
        let networks = self.networks.clone();
        let stock = Arc::clone(&self.stock);
        let Evidence {
            pairs,
            flows,
            captures,
            ..
        } = self.into_evidence();
        drop(captures);
        for pair in pairs {
            networks.give_back(pair, &flows);
        }
        networks.take_over(&stock);
    }

    /// A client and two hosts with an address that moves, with the usual settings.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot build it.
    pub fn trio(&self) -> Result<Arc<Trio>, Stop> {
        self.build_trio(Trio::builder())
    }

    /// A client and two hosts with an address that moves, with settings of its own.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot build it.
    pub fn build_trio(&self, builder: TrioBuilder) -> Result<Arc<Trio>, Stop> {
        let trio = Arc::new(builder.build()?);
        self.on_trio(&trio);
        Ok(trio)
    }

    /// Goes on with a network of three hosts.
    pub fn on_trio(&self, trio: &Arc<Trio>) {
        self.with(|evidence| evidence.trios.push(Arc::clone(trio)));
    }

    /// A pair of hosts with a wire of ours between them.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot build it.
    pub fn build_with_wire(&self, builder: PairWithWireBuilder) -> Result<Arc<PairWithWire>, Stop> {
        let pair = Arc::new(builder.build()?);
        self.on_wire(&pair);
        Ok(pair)
    }

    /// Goes on with a pair that has a wire of ours.
    pub fn on_wire(&self, pair: &Arc<PairWithWire>) {
        self.with(|evidence| evidence.with_wires.push(Arc::clone(pair)));
    }

    /// Takes over what a part of the case has left behind, in the place of what an earlier one has.
    pub fn adopt(&self, part: Self) {
        let part = part.into_evidence();
        self.with(|evidence| {
            let notes = std::mem::take(&mut evidence.notes);
            *evidence = part;
            evidence.notes.splice(0..0, notes);
        });
    }

    /// Keeps the scenario that the case has failed on, to be run again.
    pub fn keep_scenario(&self, scenario: impl ToString) {
        let scenario = scenario.to_string();
        self.with(|evidence| evidence.scenario = Some(scenario));
    }

    /// Captures on the link of a host until the case has ended.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot capture.
    pub fn capture(&self, host: &Host) -> Result<Arc<Capture>, Stop> {
        let capture = Arc::new(host.capture()?);
        let entry = (host.name().to_owned(), Arc::clone(&capture));
        self.with(|evidence| evidence.captures.push(entry));
        Ok(capture)
    }

    /// Records a fact that is reported beside the verdict.
    pub fn note(&self, name: impl Into<String>, value: impl ToString) {
        let note = (name.into(), value.to_string());
        self.with(|evidence| evidence.notes.push(note));
    }

    /// What the case has left behind so far; it may still be running.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.with(|evidence| evidence.clone())
    }

    /// What the case has left behind.
    #[must_use]
    pub fn into_evidence(self) -> Evidence {
        self.evidence
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Evidence) -> T) -> T {
        // A case that panicked while it left evidence has left what it left.
        look(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
