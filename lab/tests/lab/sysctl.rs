//! Sysctls: the baseline, and what a test sets itself.

use crate::Case;
use lab::sysctl::BASELINE;
use lab::{Error, Family, Pair};
use libtest_mimic::Failed;
use std::fs;

pub(crate) const CASES: &[Case] = &[
    ("sysctl/the_baseline_is_in_force", the_baseline_is_in_force),
    ("sysctl/a_host_has_its_own", a_host_has_its_own),
    (
        "sysctl/a_builder_sets_both_hosts",
        a_builder_sets_both_hosts,
    ),
    (
        "sysctl/what_is_not_of_the_network_is_refused",
        what_is_not_of_the_network_is_refused,
    ),
    (
        "sysctl/a_refusal_names_the_setting",
        a_refusal_names_the_setting,
    ),
];

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn the_baseline_is_in_force() -> Result<(), Failed> {
    let pair = Pair::new()?;
    for host in pair.hosts() {
        for setting in BASELINE {
            match host.read_sysctl(setting.name) {
                Ok(value) => assert!(
                    setting.values.iter().any(|it| words(it) == words(&value)),
                    "{} is {value}, not one of {:?}",
                    setting.name,
                    setting.values
                ),
                // Not on this kernel, or for the whole machine only.
                Err(error) if setting.optional && error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let control = host.read_sysctl("net.ipv4.tcp_congestion_control")?;
        assert!(["reno", "cubic"].contains(&control.as_str()), "{control}");
    }
    let connection = pair.connection(Family::V4).open()?;
    let control = socket2::SockRef::from(&connection.client).tcp_congestion()?;
    assert!(control.starts_with(b"reno") || control.starts_with(b"cubic"));
    Ok(())
}

fn a_host_has_its_own() -> Result<(), Failed> {
    const NAME: &str = "net.ipv4.tcp_timestamps";
    let pair = Pair::new()?;
    let outside = fs::read_to_string("/proc/sys/net/ipv4/tcp_timestamps")?;
    pair.a().sysctl(NAME, "0")?;
    assert_eq!(pair.a().read_sysctl(NAME)?, "0");
    assert_eq!(pair.b().read_sysctl(NAME)?, "1");
    assert_eq!(
        fs::read_to_string("/proc/sys/net/ipv4/tcp_timestamps")?,
        outside
    );

    let capture = pair.a().capture()?;
    let connection = pair.connection(Family::V4).open()?;
    let trace = capture.trace()?;
    let syn = trace.first_syn(&connection.flow()).ok_or("a SYN")?;
    assert_eq!(syn.timestamps(), None);
    Ok(())
}

fn a_builder_sets_both_hosts() -> Result<(), Failed> {
    let pair = Pair::builder()
        .sysctl("net.ipv4.tcp_sack", "0")
        .sysctl_if_known("net.ipv4.tcp_timestamps", "0")
        .sysctl_if_known("net.ipv4.tcp_of_no_kernel", "0")
        // This one is there only after the link.
        .sysctl("net.ipv4.conf.veth0.log_martians", "1")
        .build()?;
    for host in pair.hosts() {
        assert_eq!(host.read_sysctl("net.ipv4.tcp_sack")?, "0");
        assert_eq!(host.read_sysctl("net.ipv4.tcp_timestamps")?, "0");
        assert_eq!(host.read_sysctl("net.ipv4.conf.veth0.log_martians")?, "1");
    }
    let control = "net.ipv4.tcp_congestion_control";
    let refused = Pair::builder().sysctl_if_known(control, "of_no_kernel");
    let error = refused.build().err().ok_or("a value that nobody knows")?;
    assert!(error.to_string().contains(control), "{error}");
    Ok(())
}

fn what_is_not_of_the_network_is_refused() -> Result<(), Failed> {
    let pair = Pair::new()?;
    for name in [
        "kernel.hostname",
        "vm.swappiness",
        "",
        "net",
        "net.",
        "net..x",
        "net.ipv4/../../kernel.x",
    ] {
        for result in [
            pair.a().sysctl(name, "1"),
            pair.a().read_sysctl(name).map(|_| ()),
        ] {
            assert!(
                matches!(result, Err(Error::Invalid { .. })),
                "{name:?}: {result:?}"
            );
        }
    }
    Ok(())
}

fn a_refusal_names_the_setting() -> Result<(), Failed> {
    let pair = Pair::new()?;
    for (name, value, errno) in [
        ("net.ipv4.tcp_no_such_thing", "1", libc::ENOENT),
        (
            "net.ipv4.tcp_congestion_control",
            "no_such_algorithm",
            libc::ENOENT,
        ),
        ("net.ipv4.tcp_sack", "many", libc::EINVAL),
    ] {
        let error = pair.a().sysctl(name, value).err().ok_or(name)?;
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        let built = Pair::builder().sysctl(name, value).build().map(|_| ());
        assert!(matches!(built, Err(Error::Os { .. })), "{name}: {built:?}");
    }
    Ok(())
}
