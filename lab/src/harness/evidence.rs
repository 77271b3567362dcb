//! What is kept of a test that has failed: what was on the links of its lab.

use crate::capture::Capture;
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::together::drop_together;
use crate::trace::Trace;
use libtest_mimic::Failed;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder below cargo's target directory, and the environment variable that names another.
const FOLDER: &str = "lab-failures";
const VARIABLE: &str = "LAB_FAILURES";
/// So many lines of a trace are printed, the last ones: the file has them all.
const LINES: usize = 60;

/// Captures on the hosts of a test.
pub(super) struct Evidence(Vec<Capture>);

impl Evidence {
    pub(super) fn collect(hosts: &[&Host]) -> Result<Self, Error> {
        hosts
            .iter()
            .map(|host| host.capture())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The failure with the packets as the first host saw them, and where those of all hosts are written.
    pub(super) fn append_to(mut self, failed: Failed, test: &str) -> Failed {
        let captures = std::mem::take(&mut self.0);
        let traces: Vec<_> = captures.into_iter().map(Capture::finish).collect();
        let Some(first) = traces.first() else {
            return failed;
        };
        let reason = failed.message().unwrap_or("it gave no reason");
        let place = match write(&traces, test) {
            Ok(folder) => format!("all packets are in {}", folder.display()),
            Err(error) => format!("the packets are not written to files: {error}"),
        };
        format!("{reason}\n\n{}\n{place}", end_of(first)).into()
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        drop_together(self.0.drain(..));
    }
}

/// The first line of a trace, which says where it is from, and the last ones.
fn end_of(trace: &Trace) -> String {
    let text = trace.to_string();
    let (title, packets) = text.split_once('\n').unwrap_or((&text, ""));
    let packets: Vec<_> = packets.lines().collect();
    let left_out = packets.len().saturating_sub(LINES);
    let mut lines = vec![title.to_owned()];
    if left_out > 0 {
        lines.push(format!("(the last {LINES} lines; {left_out} before them)"));
    }
    lines.extend(packets.into_iter().skip(left_out).map(str::to_owned));
    lines.join("\n")
}

/// Writes `PROGRAM/TEST/HOST.pcapng` below the folder for failures; and of two hosts what was between them.
fn write(traces: &[Trace], test: &str) -> Result<PathBuf, Error> {
    let exe = env::current_exe().doing(|| "look for the file of this program".to_owned())?;
    let program = exe.file_stem().unwrap_or_default().to_string_lossy();
    // Without the hash that cargo appends: the next build is the same program.
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let folder = env::var_os(VARIABLE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| target_directory(&exe).join(FOLDER));
    let folder = folder.join(program).join(test.replace('/', "_"));
    fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
    for trace in traces {
        let host = trace.link().split('/').next().unwrap_or_default();
        trace.write_pcapng(folder.join(format!("{host}.pcapng")))?;
    }
    if let [left, right] = traces {
        left.ladder_to(right).write_svg(folder.join("ladder.svg"))?;
    }
    Ok(folder)
}

/// The nearest directory above the program that cargo has marked as its own; else that for temporary files.
fn target_directory(exe: &Path) -> PathBuf {
    let marked = |directory: &&Path| directory.join("CACHEDIR.TAG").is_file();
    let found = exe.ancestors().find(marked);
    found.map_or_else(env::temp_dir, Path::to_owned)
}
