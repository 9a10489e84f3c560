//! The admin process's confinement: what it can't do any more, by trying, and that all it is there for goes
//! on. The same for the port that it needs a right for which it gives up.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use mayhttpd::sandbox::Sandbox;
use mayhttpd::sys::allowed_calls::AllowedCalls;
use mayhttpd::sys::process::{fork, id, usage};
use rustix::process::Signal;

use crate::support::confined::{self, BOTH, LANDLOCK, Needs, Outcome, SECCOMP, denied, read, sandbox};
use crate::support::exposition::Exposition;
use crate::support::network::Network;
use crate::support::process::Process;
use crate::support::{Launch, Server, eventually, plain, root, skipped};

fn try_in(sandbox: Sandbox, attempt: impl FnOnce() -> std::io::Result<()>) -> Outcome {
    confined::try_in(sandbox, AllowedCalls::Admin, "/proc".as_ref(), attempt)
}

#[test]
fn the_admin_can_read_nothing_but_proc() {
    let Some(sandbox) = sandbox("the_admin_can_read_nothing_but_proc", LANDLOCK) else { return };
    for path in ["/proc/self/stat", "/proc/1/stat", "/proc/stat"] {
        assert_eq!(try_in(sandbox, || read(path.as_ref())), Outcome::Succeeded, "{path}");
    }
    // What leads out of /proc is where it leads to.
    for path in ["/etc/passwd", "/dev/null", "/proc/self/root/etc/passwd", "/proc/self/exe"] {
        assert_eq!(try_in(sandbox, || read(path.as_ref())), denied(), "{path}");
    }
    assert_eq!(try_in(sandbox, || fs::write("/proc/self/comm", "x")), denied());
    assert_eq!(try_in(sandbox, || fs::write("/tmp/mayhttpd-it-new", "x")), denied());
    assert!(!Path::new("/tmp/mayhttpd-it-new").exists());
}

#[test]
fn the_admin_can_not_look_into_other_processes() {
    let Some(sandbox) = sandbox("the_admin_can_not_look_into_other_processes", LANDLOCK) else { return };
    // Of the same user; what they have in memory is theirs all the same.
    for name in ["mem", "environ", "maps"] {
        let path = format!("/proc/{}/{name}", id());
        assert!(read(path.as_ref()).is_ok() || name == "mem", "{path}");
        let tried = try_in(sandbox, || read(path.as_ref()));
        assert!(matches!(tried, Outcome::Refused(_)), "{path}: {tried:?}");
    }
}

#[test]
fn the_admin_can_take_no_other_port_and_reach_none() {
    let name = "the_admin_can_take_no_other_port_and_reach_none";
    let Some(sandbox) = sandbox(name, Needs { landlock: 4, seccomp: false }) else { return };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(try_in(sandbox, || TcpStream::connect(address).map(drop)), denied());
    assert_eq!(try_in(sandbox, || TcpListener::bind("127.0.0.1:0").map(drop)), denied());
}

/// Something to try, with its name.
type Attempt<'a> = (&'a str, fn() -> std::io::Result<()>);

#[test]
fn a_call_that_the_admin_does_not_make_kills_it() {
    let Some(sandbox) = sandbox("a_call_that_the_admin_does_not_make_kills_it", SECCOMP) else { return };
    let attempts: [Attempt<'_>; 10] = [
        ("execve", || Command::new("/bin/true").status().map(drop)),
        ("a socket", || TcpListener::bind("127.0.0.1:0").map(drop)),
        ("a unix socket", || std::os::unix::net::UnixStream::pair().map(drop)),
        ("fork", || fork().map(drop)),
        ("a thread", || std::thread::Builder::new().spawn(|| ()).map(drop)),
        ("kill", || Ok(rustix::process::test_kill_process(rustix::process::getpid())?)),
        ("setuid", || Ok(rustix::thread::set_thread_uid(rustix::process::getuid())?)),
        ("a file to write", || fs::write("/dev/null", "x")),
        ("a directory's names", || fs::read_dir("/proc")?.next().map_or(Ok(()), |name| name.map(drop))),
        ("chdir", || std::env::set_current_dir("/")),
    ];
    for (name, attempt) in attempts {
        assert_eq!(try_in(sandbox, attempt), Outcome::KilledBy(Signal::SYS), "{name}");
    }
}

#[test]
fn what_the_workers_take_can_be_read_when_confined() {
    let Some(sandbox) = sandbox("what_the_workers_take_can_be_read_when_confined", BOTH) else { return };
    let (this, _) = (id(), usage(id()).unwrap());
    let attempt = || usage(this).map(drop).ok_or_else(|| std::io::ErrorKind::NotFound.into());
    assert_eq!(try_in(sandbox, attempt), Outcome::Succeeded);
}

#[test]
fn every_thread_of_the_admin_is_confined() {
    let Some(_) = sandbox("every_thread_of_the_admin_is_confined", SECCOMP) else { return };
    let user: &[&[&str]] = if root() { &[&[], &["--user", "root"]] } else { &[&[]] };
    for flags in user {
        let server = Launch::site().flags(["--admin", "0"]).flags(flags.iter().copied()).start();
        server.admin_address();
        let admin = server.admin().unwrap();
        // The filter comes last, a moment after the listener.
        let filtered = || (admin.thread_status(admin.pid, "Seccomp:") == "2").then_some(());
        eventually("the filter is there", filtered);
        let threads = admin.threads();
        assert!(threads.len() >= 3, "{threads:?}");
        for thread in threads {
            let state = |name: &str| admin.thread_status(thread, name);
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(state(set), "0000000000000000", "{set} {flags:?}");
            }
            if root() {
                assert_eq!(state("CapBnd:"), "0000000000000000", "{flags:?}");
            }
            let uid = state("Uid:");
            assert_eq!(uid.starts_with("0\t"), flags.contains(&"root"), "{uid} {flags:?}");
            assert_eq!((state("NoNewPrivs:"), state("Seccomp:")), ("1".into(), "2".into()));
        }
    }
}

#[test]
fn without_a_sandbox_the_admin_still_has_no_capability() {
    let server = Launch::site().flags(["--admin", "0", "--sandbox", "off"]).start();
    all_pages(&server, server.admin_address());
    let admin = server.admin().unwrap();
    // The main thread gives up the right to its port a moment after it listens.
    let gave_up = || (admin.thread_status(admin.pid, "CapPrm:") == "0".repeat(16)).then_some(());
    eventually("the right to the port is given up", gave_up);
    // A container has a filter around everything in it.
    let around = Process::own().status("Seccomp:");
    for thread in admin.threads() {
        let state = |name: &str| admin.thread_status(thread, name);
        let found = (state("CapPrm:"), state("CapEff:"), state("NoNewPrivs:"), state("Seccomp:"));
        assert_eq!(found, ("0".repeat(16), "0".repeat(16), "1".into(), around.clone()));
    }
}

/// Asks for everything there is, some of it wrong, again and again.
#[track_caller]
fn all_pages(server: &Server, admin: SocketAddr) {
    let process = server.admin().unwrap();
    for _ in 0..20 {
        for (path, status) in [
            ("/status", 200),
            ("/status.json", 200),
            ("/metrics", 200),
            ("/healthz", 200),
            ("/", 302),
            ("/x", 404),
        ] {
            assert_eq!(plain::get(admin, path).unwrap_or_else(|| panic!("no {path}")).0, status, "{path}");
        }
        let raw = format!("POST /metrics HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(plain::ask(admin, raw.trim_end_matches('x')).unwrap().0, 405);
        // With the body unread it closes by a reset, which may overtake the answer.
        assert!(plain::ask(admin, &raw).is_none_or(|(status, _)| status == 405));
        let raw = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: y\r\n\r\n";
        assert_eq!(plain::ask(admin, raw).unwrap().0, 200);
    }
    // Many at once, whose stacks are mapped and given back.
    let connect = || TcpStream::connect(admin).unwrap();
    drop((0..300).map(|_| connect()).collect::<Vec<_>>());
    let metrics = Exposition::parse(&plain::get(admin, "/metrics").unwrap().1);
    let memory = metrics.value("mayhttpd_worker_resident_memory_bytes{worker=\"0\"}");
    assert!(memory > 1e6, "{memory}");
    metrics.value("mayhttpd_worker_cpu_seconds_total{worker=\"0\"}");
    assert_eq!(server.admin(), Some(process), "it was killed: {}", server.log());
}

#[test]
fn all_pages_work_when_the_admin_is_confined() {
    let name = "all_pages_work_when_the_admin_is_confined";
    if sandbox(name, BOTH).is_none() {
        return;
    }
    let server =
        Launch::site().flags(["--admin", "0", "--sandbox", "require", "--log-level", "trace"]).start();
    all_pages(&server, server.admin_address());
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn a_proc_that_hides_processes_costs_their_figures_and_a_line_that_says_so() {
    let name = "a_proc_that_hides_processes_costs_their_figures_and_a_line_that_says_so";
    if sandbox(name, LANDLOCK).is_none() {
        return;
    }
    let hide = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    let under = ["unshare", "-m", "sh", "-c", hide, "sh"];
    let possible = Command::new(under[0]).args(&under[1..]).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        skipped(name, "a mount namespace with a /proc of its own needs root, unshare and setpriv");
        return;
    }
    let start =
        |sandbox: &str| Launch::site().flags(["--admin", "0", "--sandbox", sandbox]).under(under).start();
    let metrics = |server: &Server| plain::get(server.admin_address(), "/metrics").unwrap().1;
    let server = start("on");
    server.says("so", |line| line.contains("WARN [admin] this /proc hides processes (hidepid)"));
    let text = metrics(&server);
    Exposition::parse(&text);
    assert!(!text.contains("mayhttpd_worker_resident_memory_bytes{"), "{text}");
    assert!(text.contains("mayhttpd_worker_up{worker=\"0\"} 1"), "{text}");

    let server = start("off");
    assert!(metrics(&server).contains("mayhttpd_worker_resident_memory_bytes{"));
    assert!(!server.log().contains("hidepid"), "{}", server.log());
}

#[test]
fn an_admin_killed_for_a_forbidden_call_is_named_and_replaced() {
    let server = Launch::site().flags(["--admin", "0"]).start();
    let address = server.admin_address();
    let admin = server.admin().unwrap();
    admin.signal(Signal::SYS);
    server.says("why", |line| {
        line.contains("admin ended") && line.contains("a system call that the sandbox does not allow")
    });
    eventually("another one answers", || {
        server.admin().filter(|found| *found != admin)?;
        plain::get(address, "/healthz")
    });
}

#[test]
fn an_admin_port_below_1024_is_served_by_a_process_without_the_right_to_it() {
    let name = "an_admin_port_below_1024_is_served_by_a_process_without_the_right_to_it";
    // In a namespace of its own every port is free, and those below 1024 need the right, whatever this
    // machine says.
    let network = match Network::make(65536) {
        Ok(network) => network,
        Err(why) => {
            skipped(name, &why);
            return;
        }
    };
    network.enter(|| {
        let limit = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
        assert_eq!(limit.trim(), "1024");
        for (port, flags) in [(81, &[][..]), (82, &["--user", "root"]), (83, &["--sandbox", "off"])] {
            let flags = flags.iter().copied().chain(["--admin"]).map(str::to_owned);
            let server = Launch::site().flags(flags.chain([port.to_string()])).start();
            let address = server.admin_address();
            assert_eq!(address.port(), port);
            let first = server.admin().unwrap();
            assert_eq!(first.user() == 0, port == 82);
            first.signal(Signal::KILL);
            eventually("the next one has the port as well", || {
                server.admin().filter(|found| *found != first)?;
                plain::get(address, "/healthz")
            });
            all_pages(&server, address);
        }
    });
}
