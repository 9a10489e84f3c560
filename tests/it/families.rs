//! Addresses of IPv4 and IPv6: which of them a listener has, by default and by what is asked for, and what
//! becomes of that at a reload, an upgrade, and where there is no IPv6.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::launch::{Finished, run_with};
use crate::support::network::Network;
use crate::support::process::{Process, Stray};
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, every, skipped};

const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The server's port at another address.
fn at(server: &Server, ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, server.address().port())
}

#[track_caller]
fn serves(address: SocketAddr) {
    let mut client = Client::connect(address);
    client.send(ASK_PAGE);
    client.response().is(200, PAGE);
}

#[track_caller]
fn refuses(address: SocketAddr) {
    let error = TcpStream::connect_timeout(&address, DEADLINE).expect_err("a server listens there");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// The access log, once it has so many lines.
#[track_caller]
fn logged(file: &Path, lines: usize) -> String {
    eventually("the log is written", || {
        let text = fs::read_to_string(file).ok()?;
        // In JSON the end of a connection has a line of its own.
        let text: String =
            text.lines().filter(|line| line.contains("/page.html")).map(|l| l.to_owned() + "\n").collect();
        (text.lines().count() == lines).then_some(text)
    })
}

/// A port that was free a moment ago in both families.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("[::]:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A server with these flags, which are given a free port.
#[track_caller]
fn start_at_free_port(flags: impl Fn(u16) -> Vec<String>) -> Server {
    Launch::site().by_default().flags(flags(free_port())).start()
}

#[test]
fn a_listener_has_the_families_that_are_asked_for() {
    every(
        [
            ("nothing but a port", &["--port", "0"][..], [true, true]),
            ("*", &["--port", "0", "--host", "*"], [true, true]),
            ("PORT", &["--listen", "0"], [true, true]),
            (":PORT", &["--listen", ":0"], [true, true]),
            ("*:PORT", &["--listen", "*:0"], [true, true]),
            ("0.0.0.0", &["--port", "0", "-a", "0.0.0.0"], [true, false]),
            ("::", &["--port", "0", "-a", "::"], [false, true]),
            ("0.0.0.0:PORT", &["--listen", "0.0.0.0:0"], [true, false]),
            ("[::]:PORT", &["--listen", "[::]:0"], [false, true]),
            ("127.0.0.1", &["--port", "0", "-a", "127.0.0.1"], [true, false]),
            ("::1", &["--port", "0", "-a", "::1"], [false, true]),
        ]
        .map(|(name, flags, families)| (name, (flags, families))),
        |(flags, families)| {
            let server = Launch::site().by_default().flags(flags.iter().copied()).flags(["-w", "2"]).start();
            for (ip, served) in [IPV4, IPV6].into_iter().zip(families) {
                let address = at(&server, ip);
                // More than once, since each of the workers has a listener of its own.
                (0..8).for_each(|_| if served { serves(address) } else { refuses(address) });
            }
        },
    );
}

#[test]
fn a_flat_file_with_a_port_alone_listens_in_both_families() {
    let settings = Tree::empty();
    let file = settings.file("httpd.conf", "listen 0\n");
    let server = Launch::site().by_default().flags(["-c", file.to_str().unwrap()]).start();
    [IPV4, IPV6].into_iter().for_each(|ip| serves(at(&server, ip)));
}

#[test]
fn both_families_can_be_asked_for_one_by_one() {
    for list in ["0.0.0.0:PORT,[::]:PORT", "PORT,[::]:PORT", "[::]:PORT,:PORT", "127.0.0.1:PORT,[::]:PORT"] {
        let server =
            start_at_free_port(|port| vec!["--listen".into(), list.replace("PORT", &port.to_string())]);
        eventually("both are printed", || (server.output().matches("http://").count() == 2).then_some(()));
        [IPV4, IPV6].into_iter().for_each(|ip| serves(at(&server, ip)));
    }
}

#[test]
fn addresses_that_overlap_are_an_error_of_the_settings() {
    every(
        ["80,0.0.0.0:80", "80,[::1]:80", "127.0.0.1:80,80", "[::1]:80,[::]:80", "*:80,80"].map(|l| (l, l)),
        |list| {
            let Finished { code, errors, .. } = run_with(&["-t", "--listen", list]);
            assert_eq!(code, Some(2), "{errors}");
            assert!(errors.contains("overlaps") || errors.contains("is given twice"), "{errors}");
        },
    );
}

#[test]
fn the_settings_are_shown_in_a_form_that_means_the_same() {
    for (flags, shown) in [
        (&["-p", "81"][..], "*:81"),
        (&["-p", "81", "-a", "0.0.0.0"], "0.0.0.0:81"),
        (&["-p", "81", "-a", "::"], "[::]:81"),
    ] {
        let Finished { output, .. } = run_with(&[&["-T"], flags].concat());
        let line = format!("listen = [\"{shown}\"]");
        assert!(output.contains(&line), "{flags:?}: no {line} in {output}");
        let settings = Tree::empty();
        let file = settings.file("may.toml", output);
        let Finished { output, .. } = run_with(&["-T", "-c", file.to_str().unwrap()]);
        assert!(output.contains(&line), "read again, no {line} in {output}");
    }
}

#[test]
fn an_ipv4_client_of_both_families_is_logged_by_its_ipv4_address() {
    let logs = Tree::empty();
    for format in ["combined", "json"] {
        let log = logs.path().join(format);
        let flags = ["--access-log", log.to_str().unwrap(), "--access-format", format];
        let server = Launch::site().listen(&["*:0"]).flags(flags).start();
        [IPV4, IPV6].into_iter().for_each(|ip| serves(at(&server, ip)));
        let text = logged(&log, 2);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("127.0.0.1") && lines[1].contains("::1"), "{text}");
        assert!(!text.contains("ffff"), "{text}");
    }
}

#[test]
fn an_ipv4_proxy_of_a_socket_for_both_families_is_trusted_by_its_ipv4_address() {
    let logs = Tree::empty();
    let log = logs.path().join("log");
    let flags = ["--access-log", log.to_str().unwrap(), "--trusted-proxies", "127.0.0.1"];
    let server = Launch::site().listen(&["*:0"]).flags(flags).start();
    for ip in [IPV4, IPV6] {
        let mut client = Client::connect(at(&server, ip));
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
        client.response().is(200, PAGE);
    }
    let text = logged(&log, 2);
    let clients: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(clients, ["192.0.2.1", "::1"]);
}

/// Sends HUP, and waits until the server says that the next generation serves, or that there is none.
#[track_caller]
fn reload(server: &Server, generation: u32) {
    server.signal(Signal::HUP);
    let serves = format!("generation {generation} serves");
    server.says("that it has reloaded", |line| line.contains(&serves));
}

#[test]
fn a_reload_goes_from_one_family_to_both_and_back_at_the_same_port() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "");
    let port = free_port();
    let write = |host: &str| {
        let text = format!("host = \"{host}\"\nport = {port}\nworkers = 2\n");
        fs::write(&file, text).unwrap();
    };
    write("0.0.0.0");
    let server = Launch::site().by_default().by_file(&file).start();
    let both = ["0.0.0.0", "*", "::", "*", "127.0.0.1", "*", "::1", "0.0.0.0", "127.0.0.1", "0.0.0.0"];
    for (number, host) in (1..).zip(both) {
        if number > 1 {
            write(host);
            reload(&server, number);
        }
        for ip in [IPV4, IPV6] {
            let served = match host {
                "*" => true,
                host => ip.is_ipv6() == host.contains(':'),
            };
            let address = at(&server, ip);
            if served {
                (0..8).for_each(|_| serves(address));
            } else {
                // The workers of the generation before close what is not listened on any more.
                eventually("it is closed", || TcpStream::connect(address).is_err().then_some(()));
            }
        }
    }
}

#[test]
fn a_reload_to_both_families_leaves_alone_what_another_program_has() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "");
    let port = free_port();
    let write = |host: &str| fs::write(&file, format!("host = \"{host}\"\nport = {port}\n")).unwrap();
    write("0.0.0.0");
    let server = Launch::site().by_default().by_file(&file).start();
    let other = Launch::site().by_default().flags(["-a", "::1", "-p", &port.to_string()]).start();
    write("*");
    server.signal(Signal::HUP);
    server.says("that the address is in use", |line| line.contains("already in use"));
    serves(at(&server, IPV4));
    drop(other);
    refuses(at(&server, IPV6));
}

#[test]
fn an_upgrade_takes_over_listeners_of_both_families() {
    let place = Tree::empty();
    let file = place.path().join("pid");
    let launch = Launch::site().by_default();
    let flags = ["-p", "0", "-w", "2", "--pid-file", file.to_str().unwrap()];
    let mut server = launch.flags(flags).start();
    server.signal(Signal::USR2);
    let new = eventually("the new program writes its pid", || successor(&file, &server));
    eventually("the new program has workers", || (new.children().len() == 2).then_some(()));
    let _new = Stray(new);
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    [IPV4, IPV6].into_iter().for_each(|ip| (0..8).for_each(|_| serves(at(&server, ip))));
}

fn successor(file: &Path, server: &Server) -> Option<Process> {
    let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    if pid == server.master.pid { None } else { Process::of(pid) }
}

#[test]
fn a_slot_that_is_taken_away_loses_no_client_of_either_family() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "");
    let write = |workers: u32| fs::write(&file, format!("workers = {workers}\nlisten = \"*:0\"\n")).unwrap();
    write(4);
    let server = Launch::site().by_default().by_file(&file).start();
    for (generation, workers) in (2..8).zip([1, 4].into_iter().cycle()) {
        write(workers);
        server.signal(Signal::HUP);
        // Some of these are in the queue of a listener when its worker closes it.
        for _ in 0..40 {
            [IPV4, IPV6].into_iter().for_each(|ip| serves(at(&server, ip)));
        }
        let serves = format!("generation {generation} serves");
        server.says("that it has reloaded", |line| line.contains(&serves));
    }
}

#[test]
fn the_admin_listener_is_for_the_families_that_are_asked_for() {
    for (address, families) in [
        ("*:0", [true, true]),
        ("0.0.0.0:0", [true, false]),
        ("0", [true, false]),
        ("[::1]:0", [false, true]),
    ] {
        let server = Server::start(&["--admin", address]);
        let port = server.admin_address().port();
        for (ip, served) in [IPV4, IPV6].into_iter().zip(families) {
            let address = SocketAddr::new(ip, port);
            assert_eq!(TcpStream::connect(address).is_ok(), served, "{address}");
        }
    }
}

#[test]
fn a_healthcheck_finds_a_server_of_both_families() {
    for host in ["*", "0.0.0.0", "::"] {
        let server =
            start_at_free_port(|port| ["-a", host, "-p", &port.to_string()].map(str::to_owned).into());
        let port = server.address().port().to_string();
        let Finished { code, errors, .. } = run_with(&["healthcheck", "-a", host, "-p", &port]);
        assert_eq!(code, Some(0), "{host}: {errors}");
    }
}

/// A program that becomes another one for which there is no IPv6: a filter of its system calls says so, as
/// systemd's RestrictAddressFamilies= does. It is what a kernel without IPv6 says.
fn without_ipv6() -> Option<Vec<String>> {
    let (prctl, socket) = match std::env::consts::ARCH {
        "x86_64" => (157, 41),
        "aarch64" => (167, 198),
        _ => return None,
    };
    // linux/filter.h: load the call's number; if it is socket(2), load its first argument; if that is
    // AF_INET6 (10), the call fails with EAFNOSUPPORT (97).
    let script = format!(
        "my @program = ([0x20, 0, 0, 0], [0x15, 0, 3, {socket}], [0x20, 0, 0, 16], [0x15, 0, 1, 10],
            [0x06, 0, 0, 0x00050000 | 97], [0x06, 0, 0, 0x7fff0000]);
        my $filter = join '', map {{ pack 'SCCL', @$_ }} @program;
        my $argument = pack 'S x![P] P', scalar @program, $filter;
        syscall({prctl}, 38, 1, 0, 0, 0) == 0 && syscall({prctl}, 22, 2, $argument, 0, 0) == 0 or die \"no filter: $!\";
        exec {{ $ARGV[0] }} @ARGV;"
    );
    Some(vec!["perl".into(), "-e".into(), script, "--".into()])
}

#[test]
fn where_the_system_has_no_ipv6_the_default_is_ipv4() {
    let Some(wrapper) = without_ipv6() else {
        skipped("where_the_system_has_no_ipv6_the_default_is_ipv4", "its filter is not written for this CPU");
        return;
    };
    let settings = Tree::empty();
    let file = settings.file("may.toml", "");
    let port = free_port();
    fs::write(&file, format!("port = {port}\nworkers = 2\nadmin = \"*:0\"\n")).unwrap();
    let server = Launch::site().by_default().by_file(&file).under(wrapper.clone()).start();
    assert!(server.log().contains("no IPv6"), "{}", server.log());
    assert_eq!(server.address(), SocketAddr::new(IPV4, port));
    (0..8).for_each(|_| serves(server.address()));
    refuses(at(&server, IPV6));
    server.admin_address();
    for (number, text) in [(2, "host = \"0.0.0.0\"\n"), (3, ""), (4, "host = \"127.0.0.1\"\n"), (5, "")] {
        fs::write(&file, format!("{text}port = {port}\nworkers = 3\nadmin = \"*:0\"\n")).unwrap();
        reload(&server, number);
        (0..8).for_each(|_| serves(server.address()));
    }
    drop(server);
    // Where IPv6 is asked for by name, there is no other address to take.
    let refused = Launch::site().by_default().flags(["-p", "0", "-a", "::"]).under(wrapper).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("cannot listen on [::]:0"), "{refused:?}");
}

#[test]
fn where_ipv6_is_switched_off_the_default_serves_ipv4() {
    const NAME: &str = "where_ipv6_is_switched_off_the_default_serves_ipv4";
    let network = match Network::make(65536) {
        Ok(network) => network,
        Err(why) => {
            skipped(NAME, &why);
            return;
        }
    };
    network.enter(|| {
        for key in ["all", "default", "lo"] {
            let path = format!("/proc/sys/net/ipv6/conf/{key}/disable_ipv6");
            if let Err(error) = fs::write(&path, "1") {
                skipped(NAME, &format!("{path}: {error}"));
                return;
            }
        }
        let server = Launch::site().by_default().flags(["-p", "0"]).start();
        serves(at(&server, IPV4));
        assert!(TcpStream::connect(at(&server, IPV6)).is_err());
    });
}
