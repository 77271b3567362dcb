//! What is told about a run, while it runs and afterwards.

pub mod changes;
pub mod comparison;
pub mod events;
pub mod failure;
pub mod format;
pub mod github;
pub mod html;
pub mod json;
pub mod junit;
pub mod kernels;
pub mod ktap;
pub mod listing;
pub mod style;
pub mod summary;
pub mod table;
pub mod text;
pub mod told;

use crate::case::Case;
use crate::machine::Machine;
use crate::outcome::Record;
use crate::runner::Options;
use crate::summary::Summary;

/// Listens to a run.
///
/// Cases start and end in any order; the index is that of the case among all that were given.
pub trait Report {
    /// Before the first case.
    fn begin(&mut self, machine: &Machine, options: &Options, cases: &[Case]) {
        let _ = (machine, options, cases);
    }

    /// A case has been started.
    fn started(&mut self, index: usize, case: &Case) {
        let _ = (index, case);
    }

    /// A case has ended, or will not be waited for any longer.
    fn ended(&mut self, index: usize, record: &Record) {
        let _ = (index, record);
    }

    /// After the last case.
    fn finished(&mut self, summary: &Summary) {
        let _ = summary;
    }
}

/// Several that listen to the same run, each told in this order.
pub struct Listeners<'a, 'b>(pub &'a mut [&'b mut dyn Report]);

impl Report for Listeners<'_, '_> {
    fn begin(&mut self, machine: &Machine, options: &Options, cases: &[Case]) {
        self.0
            .iter_mut()
            .for_each(|it| it.begin(machine, options, cases));
    }

    fn started(&mut self, index: usize, case: &Case) {
        self.0.iter_mut().for_each(|it| it.started(index, case));
    }

    fn ended(&mut self, index: usize, record: &Record) {
        self.0.iter_mut().for_each(|it| it.ended(index, record));
    }

    fn finished(&mut self, summary: &Summary) {
        self.0.iter_mut().for_each(|it| it.finished(summary));
    }
}

/// Says nothing, for those who only want the summary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Report for Silent {}
