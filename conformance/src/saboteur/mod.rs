//! Saboteurs: defects that are planted in the Rust library, one at a time, for the suite to convict.
//!
//! A suite that has never seen a defect may see none. Each [`Saboteur`] is the library with one thing wrong, and has an
//! area: the cases that are about this thing. One of them has to fail because of it. [`trial`] is where that is tried,
//! in a process of its own for each.
//!
//! A saboteur works between the library and the kernel ([`soccr::faults::Interceptor`]), on whatever thread a case calls the
//! library. What cases ask the kernel themselves, through [`soccr::raw`], is not touched, nor is what a process does that a
//! case starts: a victim, a helper, a library behind its C interface.

mod closes;
pub mod court;
mod defect;
mod errors;
mod meddling;
mod options;
mod order;
mod queues;
mod save;
mod states;
pub mod trial;
mod windows;

pub use defect::Defect;

use soccr::Snapshot;
use soccr::faults::{AlreadyIntercepted, Call, intercept};
use std::io;

/// The library with one thing wrong. There is one of each name.
#[derive(Debug)]
pub struct Saboteur {
    /// Its name, lower case and hyphens.
    pub name: &'static str,
    /// What it does, after "it".
    pub does: &'static str,
    /// The cases of which one has to convict it: patterns of ids.
    pub area: &'static [&'static str],
    /// How it does it.
    pub defect: Defect,
}

/// The one who does nothing: the control, whom no case may convict.
pub static NOBODY: Saboteur = Saboteur {
    name: "nobody",
    does: "does nothing",
    area: &["restore/small-both/ts-sack-wscale/*"],
    defect: Defect::None,
};

/// All of them, but for [`NOBODY`].
pub fn all() -> impl Iterator<Item = &'static Saboteur> {
    let groups: [&'static [Saboteur]; 8] = [
        save::SABOTEURS,
        order::SABOTEURS,
        queues::SABOTEURS,
        windows::SABOTEURS,
        options::SABOTEURS,
        states::SABOTEURS,
        closes::SABOTEURS,
        errors::SABOTEURS,
    ];
    groups.into_iter().flatten()
}

/// The one of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Saboteur> {
    all().chain([&NOBODY]).find(|it| it.name == name)
}

impl PartialEq for Saboteur {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Saboteur {}

impl Saboteur {
    /// One that does something else instead of a system call.
    const fn call(
        name: &'static str,
        does: &'static str,
        area: &'static [&'static str],
        instead: fn(&mut Call<'_>) -> io::Result<usize>,
    ) -> Self {
        Self {
            name,
            does,
            area,
            defect: Defect::Call(instead),
        }
    }

    /// One that saves something else than was read.
    const fn saved(
        name: &'static str,
        does: &'static str,
        area: &'static [&'static str],
        change: fn(&mut Snapshot),
    ) -> Self {
        Self {
            name,
            does,
            area,
            defect: Defect::Saved(change),
        }
    }

    /// Sets it to work in this process, until that ends.
    ///
    /// # Errors
    /// Where another one is at work.
    pub fn plant(&'static self) -> Result<(), AlreadyIntercepted> {
        intercept(&self.defect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue, glob};
    use std::collections::HashSet;

    #[test]
    fn there_are_many_and_each_has_a_name_of_its_own() {
        let mut names = HashSet::from([NOBODY.name]);
        for saboteur in all() {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(saboteur.name.bytes().all(plain), "{}", saboteur.name);
            assert!(
                names.insert(saboteur.name),
                "{} is there twice",
                saboteur.name
            );
            assert!(!saboteur.does.is_empty(), "{}", saboteur.name);
            assert!(std::ptr::eq(by_name(saboteur.name).unwrap(), saboteur));
        }
        assert!(names.len() > 60, "{} saboteurs", names.len());
        assert!(by_name("somebody").is_none());
    }

    #[test]
    fn every_area_has_cases_in_every_of_its_parts() {
        let cases = catalogue::all();
        for saboteur in all() {
            assert!(!saboteur.area.is_empty(), "{}", saboteur.name);
            for part in saboteur.area {
                let found = cases.iter().any(|case| glob::matches(part, &case.id));
                assert!(found, "{}: {part} matches no case", saboteur.name);
                assert!(
                    !part.starts_with("kernel/"),
                    "{}: no library is asked there",
                    saboteur.name
                );
            }
        }
    }
}
