//! sysctl.conf as the namespaces get it.

use std::path::Path;

use crate::load::network::{Network, SYSCTL_CONF, file_of, settings};

#[test]
fn settings_are_the_lines_that_are_no_comments() {
    let conf = "# net.a = 1\n; net.b = 2\n\nnet.core.somaxconn = 16384\nvm.x=1 2  3\n";
    let expected = [("net.core.somaxconn", "16384"), ("vm.x", "1 2  3")];
    assert_eq!(settings(conf), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(settings(SYSCTL_CONF).iter().any(|(key, _)| key == "net.core.somaxconn"));
}

#[test]
fn a_key_is_a_file_below_proc_sys() {
    assert_eq!(file_of("net.ipv4.tcp_wmem"), Path::new("/proc/sys/net/ipv4/tcp_wmem"));
}

#[test]
fn the_hosts_settings_are_refused_to_be_changed() {
    assert!(Network::host().apply("net.core.somaxconn = 4096").is_err());
}

#[test]
fn namespaces_have_the_settings_and_the_size_that_they_say_and_the_host_keeps_its_own() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: namespaces_have_the_settings…: network namespaces need root");
        return;
    }
    let host = Network::host().record().sysctl;
    let made: Vec<_> = Network::namespaces().unwrap().iter().map(Network::record).collect();
    assert_eq!(made.len(), 4);
    for network in &made {
        let tuned = network.name.starts_with("tuned");
        let mtu = if network.name.ends_with("1500") { "1500" } else { "65536" };
        assert_eq!(network.sysctl["lo mtu"], mtu, "{}", network.name);
        for (key, wanted) in settings(SYSCTL_CONF) {
            // The others are the host's, and a namespace lacks some.
            let value = network.sysctl.get(&key).filter(|_| key.starts_with("net."));
            let Some(value) = value else { continue };
            let wanted: Vec<&str> = wanted.split_whitespace().collect();
            assert!(!tuned || *value == wanted.join(" "), "{}: {key} is {value}", network.name);
        }
        let queue = &network.sysctl["net.core.somaxconn"];
        assert_eq!(tuned, queue != &made[0].sysctl["net.core.somaxconn"], "{}", network.name);
    }
    assert_eq!(Network::host().record().sysctl, host);
}
