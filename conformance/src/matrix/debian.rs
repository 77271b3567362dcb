//! The kernels that Debian offers: the newest of each series, by the package manager, with a configuration of its own.
//!
//! The lists and the packages are verified by it, against the keys that the machine has; nothing is installed.

use super::error::{Doing, Error};
use super::version::by_version;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::str::FromStr;

/// The keys by which lists are verified.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";
/// What kernels are looked for in. One that is not there any more is told about.
const SUITES: [(&str, &str); 10] = [
    (MIRROR, "bullseye"),
    (SECURITY, "bullseye-security"),
    (MIRROR, "bookworm"),
    (SECURITY, "bookworm-security"),
    (MIRROR, "trixie"),
    (SECURITY, "trixie-security"),
    (MIRROR, "trixie-backports"),
    (MIRROR, "forky"),
    (MIRROR, "sid"),
    (MIRROR, "experimental"),
];
/// The kind of kernel: made for virtual machines, and small.
const FLAVOUR: &str = "-cloud-amd64";

/// What to do where there is no package manager of Debian.
const ELSEWHERE: &str =
    "this takes a Debian or one of its kin; elsewhere, fetch packages and name them with --kernel";

/// Which kernels are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest of every series.
    Newest,
    /// The newest of these series, such as `6.12`.
    Series(Vec<String>),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let series: Vec<_> = text.split(',').map(str::to_owned).collect();
        match series.iter().find(|it| series_of(it) != Some(it)) {
            None => Ok(Self::Series(series)),
            Some(wrong) => Err(format!(
                "`{wrong}` is no series: write `newest`, or series such as 6.1,6.12"
            )),
        }
    }
}

/// What there is of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name, such as `6.12`.
    pub series: String,
    /// The packages of its newest kernel, or why there are none.
    pub packages: Result<Vec<PathBuf>, String>,
}

/// Fetches the packages of the kernels that are wanted, unless they are in `folder` already.
///
/// # Errors
/// [`Error`] where there is no package manager of Debian, or where it can fetch no list at all.
pub fn fetch(wanted: &Wanted, folder: &Path) -> Result<Vec<Offer>, Error> {
    let apt = Apt::prepare(folder)?;
    apt.update()?;
    let releases = apt.releases()?;
    let mut newest = newest(&releases);
    if let Wanted::Series(series) = wanted {
        newest = series
            .iter()
            .map(|it| (it.clone(), newest.get(it).cloned().flatten()))
            .collect();
    }
    let mut offers = Vec::new();
    for (series, release) in newest {
        let packages = match release {
            Some(release) => apt.fetch_kernel(&release)?,
            None => Err("no list has a kernel of it any more".to_owned()),
        };
        offers.push(Offer { series, packages });
    }
    offers.sort_by_key(|it| by_version(&it.series));
    Ok(offers)
}

/// Images of containers let the package manager keep no cache, by files that count more than ours: it would read all lists again
/// for each question, which takes seconds each time.
const CACHED: [&str; 4] = [
    "-o",
    "Dir::Cache::pkgcache=pkgcache.bin",
    "-o",
    "Dir::Cache::srcpkgcache=srcpkgcache.bin",
];

/// The series of a release: its first two numbers.
fn series_of(release: &str) -> Option<&str> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(rest.len());
    let numbers = !major.is_empty() && major.bytes().all(|it| it.is_ascii_digit()) && minor > 0;
    numbers.then(|| &release[..major.len() + 1 + minor])
}

/// The newest release of each series.
fn newest(releases: &[String]) -> BTreeMap<String, Option<String>> {
    let mut newest: BTreeMap<String, Option<String>> = BTreeMap::new();
    for release in releases {
        let Some(series) = series_of(release) else {
            continue;
        };
        let slot = newest.entry(series.to_owned()).or_default();
        let newer = slot
            .as_ref()
            .is_none_or(|it| by_version(it) < by_version(release));
        if newer {
            *slot = Some(release.clone());
        }
    }
    newest
}

/// The package manager, with a configuration that leaves that of the machine alone.
struct Apt {
    configuration: PathBuf,
    packages: PathBuf,
}

impl Apt {
    fn prepare(folder: &Path) -> Result<Self, Error> {
        let write = || {
            let folder = std::path::absolute(folder)?;
            for below in ["state/lists/partial", "cache/archives/partial", "packages"] {
                fs::create_dir_all(folder.join(below))?;
            }
            let mut sources = String::new();
            for (mirror, suite) in SUITES {
                // Writing to a string cannot fail.
                let _ = writeln!(sources, "deb [signed-by={KEYS}] {mirror} {suite} main");
            }
            fs::write(folder.join("sources.list"), sources)?;
            fs::write(folder.join("status"), "")?;
            let configuration = folder.join("apt.conf");
            fs::write(&configuration, configured(&folder))?;
            Ok::<_, io::Error>(Self {
                configuration,
                packages: folder.join("packages"),
            })
        };
        write().doing(|| format!("prepare {} for kernels", folder.display()))
    }

    fn run(&self, program: &str, words: &[&str]) -> Result<Output, Error> {
        let output = Command::new(program)
            .args(CACHED)
            .args(words)
            .env("APT_CONFIG", &self.configuration)
            .env("LC_ALL", "C")
            .current_dir(&self.packages)
            .output();
        let doing = "fetch kernels of Debian";
        output.map_err(|error| Error::of_program(error, program, doing, ELSEWHERE))
    }

    /// One suite that is gone does not keep the others away.
    fn update(&self) -> Result<(), Error> {
        let output = self.run("apt-get", &["update"])?;
        if output.status.success() || !self.releases()?.is_empty() {
            return Ok(());
        }
        Err(Error::Unfit {
            doing: "fetch the lists of Debian".to_owned(),
            what: last_lines(&output.stderr),
            help: "is there a network, and the package debian-archive-keyring?",
        })
    }

    fn releases(&self) -> Result<Vec<String>, Error> {
        let pattern = format!("^linux-image-[0-9].*{FLAVOUR}$");
        let output = self.run("apt-cache", &["search", "--names-only", &pattern])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names = text.lines().filter_map(|line| line.split(' ').next());
        let releases = names.filter_map(|name| name.strip_prefix("linux-image-"));
        Ok(releases.map(str::to_owned).collect())
    }

    /// The packages of a kernel, or why they are not to be had.
    fn fetch_kernel(&self, release: &str) -> Result<Result<Vec<PathBuf>, String>, Error> {
        let output = self.run("apt-cache", &["show", &format!("linux-image-{release}")])?;
        let mut packages = Vec::new();
        for name in parts(&String::from_utf8_lossy(&output.stdout), release) {
            if self.find(&name)?.is_none() {
                let output = self.run("apt-get", &["download", &name])?;
                if !output.status.success() {
                    return Ok(Err(format!("{name}: {}", last_lines(&output.stderr))));
                }
            }
            match self.find(&name)? {
                Some(path) => packages.push(path),
                None => return Ok(Err(format!("{name}: fetched, and not there"))),
            }
        }
        Ok(Ok(packages))
    }

    /// A package that is there already.
    fn find(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        let start = format!("{name}_");
        let doing = || format!("read the folder {}", self.packages.display());
        for entry in fs::read_dir(&self.packages).doing(doing)? {
            let path = entry.doing(doing)?.path();
            let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
            if name.is_some_and(|it| it.starts_with(&start) && it.ends_with(".deb")) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

fn configured(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{folder}/state\";\n\
         Dir::State::status \"{folder}/status\";\n\
         Dir::Cache \"{folder}/cache\";\n\
         Acquire::Languages \"none\";\n\
         APT::Sandbox::User \"root\";\n"
    )
}

/// The packages that a kernel is in: one, or since 6.19 one for the image and one for the modules.
fn parts(shown: &str, release: &str) -> Vec<String> {
    let depends = shown
        .lines()
        .find_map(|line| line.strip_prefix("Depends: "));
    let image = format!("linux-binary-{release}");
    match depends.is_some_and(|it| it.contains(&image)) {
        true => vec![image, format!("linux-modules-{release}")],
        false => vec![format!("linux-image-{release}")],
    }
}

/// What a program said last, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("E:")).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_series_is_found() {
        let releases = [
            "5.10.0-9-cloud-amd64",
            "5.10.0-32-cloud-amd64",
            "6.12.107+deb13-cloud-amd64",
            "6.12.43+deb12-cloud-amd64",
            "7.3-cloud-amd64",
            "cloud-amd64",
        ];
        let newest = newest(&releases.map(str::to_owned));
        let told: Vec<_> = newest
            .iter()
            .map(|(series, release)| (&**series, release.as_deref().unwrap()))
            .collect();
        let expected = [
            ("5.10", "5.10.0-32-cloud-amd64"),
            ("6.12", "6.12.107+deb13-cloud-amd64"),
            ("7.3", "7.3-cloud-amd64"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn series_are_two_numbers() {
        assert_eq!("newest".parse(), Ok(Wanted::Newest));
        let two = Wanted::Series(vec!["5.10".to_owned(), "6.12".to_owned()]);
        assert_eq!("5.10,6.12".parse(), Ok(two));
        for wrong in ["", "6", "6.", "6.12.1", "6.12,", "x.1", "latest"] {
            let error = wrong.parse::<Wanted>().unwrap_err();
            assert!(error.contains("is no series"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_kernel_is_in_one_package_or_in_two() {
        let one = "Package: linux-image-6.1-cloud-amd64\nDepends: kmod, linux-base\n";
        assert_eq!(
            parts(one, "6.1-cloud-amd64"),
            ["linux-image-6.1-cloud-amd64"]
        );
        let two = "Depends: dracut, linux-binary-7.3-cloud-amd64 (= 7.3), linux-modules-7.3-cloud-amd64\n";
        let expected = [
            "linux-binary-7.3-cloud-amd64",
            "linux-modules-7.3-cloud-amd64",
        ];
        assert_eq!(parts(two, "7.3-cloud-amd64"), expected);
    }
}
