//! The fixed settings that every host starts with, so that a test means the same on every machine.

use crate::error::{Doing, Error};
use std::fs;
use std::sync::OnceLock;

/// One setting of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, such as `net.ipv4.tcp_sack`.
    pub name: &'static str,
    /// Its value; where there are several, the first that the kernel accepts.
    pub values: &'static [&'static str],
    /// Whether a kernel that does not have it (or has it for the whole machine only) will do.
    pub optional: bool,
}

const fn required(name: &'static str, values: &'static [&'static str]) -> Setting {
    Setting {
        name,
        values,
        optional: false,
    }
}

const fn optional(name: &'static str, values: &'static [&'static str]) -> Setting {
    Setting {
        name,
        values,
        optional: true,
    }
}

/// What every host starts with; it is applied before the links are made, which inherit from `default`.
pub const BASELINE: &[Setting] = &[
    // What is negotiated in the handshake.
    required("net.ipv4.tcp_timestamps", &["1"]),
    required("net.ipv4.tcp_sack", &["1"]),
    required("net.ipv4.tcp_window_scaling", &["1"]),
    required("net.ipv4.tcp_ecn", &["0"]),
    // How much is sent when: the distribution's choice (often cubic or bbr) would change every trace.
    required("net.ipv4.tcp_congestion_control", &["reno", "cubic"]),
    required("net.ipv4.tcp_slow_start_after_idle", &["1"]),
    required("net.ipv4.tcp_mtu_probing", &["0"]),
    optional("net.ipv4.tcp_autocorking", &["0"]),
    optional("net.ipv4.tcp_pacing_ss_ratio", &["200"]),
    // Windows: minimum, default and maximum size of the buffers, in bytes.
    optional("net.ipv4.tcp_rmem", &["4096 131072 6291456"]),
    optional("net.ipv4.tcp_wmem", &["4096 16384 4194304"]),
    optional("net.ipv4.tcp_adv_win_scale", &["1"]),
    required("net.ipv4.tcp_moderate_rcvbuf", &["1"]),
    // A connection must not remember an earlier one.
    required("net.ipv4.tcp_no_metrics_save", &["1"]),
    optional("net.ipv4.tcp_fastopen", &["1"]),
    required("net.ipv4.ip_local_port_range", &["32768\t60999"]),
    // Nothing but the test decides which packets are dropped.
    required("net.ipv4.conf.all.rp_filter", &["0"]),
    required("net.ipv4.conf.default.rp_filter", &["0"]),
    optional("net.ipv4.tcp_invalid_ratelimit", &["500"]),
    // IPv6 without its own conversations, and usable at once.
    required("net.ipv6.conf.all.disable_ipv6", &["0"]),
    required("net.ipv6.conf.default.disable_ipv6", &["0"]),
    required("net.ipv6.conf.default.accept_dad", &["0"]),
    required("net.ipv6.conf.default.accept_ra", &["0"]),
    required("net.ipv6.conf.default.router_solicitations", &["0"]),
];

/// Applies the baseline to the network namespace of the calling thread, which is a new one.
///
/// All new namespaces begin with the same values: what the first of them had already is not looked at again.
pub(crate) fn apply_baseline() -> Result<(), Error> {
    static TO_BE_SET: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    if let Some(settings) = TO_BE_SET.get() {
        return settings
            .iter()
            .try_for_each(|(name, value)| write(name, value));
    }
    let mut settings = Vec::new();
    for setting in BASELINE {
        settings.extend(apply(setting)?);
    }
    // Who comes second has found the same.
    let _ = TO_BE_SET.set(settings);
    Ok(())
}

/// Returns the name and the value that it had to be given, if it had another.
fn apply(setting: &Setting) -> Result<Option<(&'static str, &'static str)>, Error> {
    let mut result = Ok(None);
    for &value in setting.values {
        let had_to = ensure(setting.name, value);
        result = had_to.map(|had_to| had_to.then_some((setting.name, value)));
        if result.is_ok() {
            break;
        }
    }
    match result {
        Err(error) if setting.optional && error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        result => result,
    }
}

/// Sets `name` unless it has that value already; returns whether it had to.
///
/// The kernel lets a write of some settings of IPv6 spin until nobody holds the lock of all links, also one that changes
/// nothing: where many hosts are built at once, that takes more time than all else.
fn ensure(name: &str, value: &str) -> Result<bool, Error> {
    let same = |now: String| now.split_whitespace().eq(value.split_whitespace());
    if read(name).is_ok_and(same) {
        return Ok(false);
    }
    write(name, value).map(|()| true)
}

/// Sets `name` in the network namespace of the calling thread, which is the one that /proc/sys/net shows.
pub(crate) fn write(name: &str, value: &str) -> Result<(), Error> {
    fs::write(path(name)?, value).doing(|| format!("set sysctl {name} to {value:?}{}", hint(name)))
}

/// Reads `name` in the network namespace of the calling thread, without the newline at its end.
pub(crate) fn read(name: &str) -> Result<String, Error> {
    fs::read_to_string(path(name)?)
        .map(|text| text.trim_end().to_owned())
        .doing(|| format!("read sysctl {name}"))
}

/// Whether the kernel has no such setting, or has it for the whole machine only.
pub(crate) fn is_unknown(name: &str) -> bool {
    read(name).is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT))
}

/// What a refusal usually means.
fn hint(name: &str) -> &'static str {
    let read_only = nix::unistd::access("/proc/sys/net", nix::unistd::AccessFlags::W_OK)
        == Err(nix::errno::Errno::EROFS);
    if read_only {
        " (/proc/sys is read-only, as in most containers: start it with --privileged)"
    } else if name.starts_with("net.ipv6.") && fs::metadata("/proc/sys/net/ipv6").is_err() {
        " (this kernel has no IPv6: boot it without ipv6.disable=1)"
    } else {
        ""
    }
}

/// The file of a setting. Only `net`: everything else belongs to the machine, not to a namespace.
fn path(name: &str) -> Result<String, Error> {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    if name.starts_with("net.") && name.split('.').all(plain) {
        Ok(format!("/proc/sys/{}", name.replace('.', "/")))
    } else {
        Err(Error::Invalid {
            what: "the name of a sysctl",
            value: format!("{name:?}"),
            why: "it has to look like net.ipv4.tcp_sack",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_below_net_only() {
        assert_eq!(
            path("net.ipv4.tcp_sack").unwrap(),
            "/proc/sys/net/ipv4/tcp_sack"
        );
        for name in [
            "kernel.hostname",
            "net",
            "net..x",
            "net.ipv4/../../kernel.x",
            "net.ipv4.",
        ] {
            assert!(path(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_baseline_names_each_setting_once() {
        let mut names: Vec<_> = BASELINE.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        for setting in BASELINE {
            path(setting.name).unwrap();
            assert!(!setting.values.is_empty());
        }
    }
}
