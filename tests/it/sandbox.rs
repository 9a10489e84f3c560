//! Confinement, by trying: what a confined process may not do fails or kills it, what the workers' own states
//! say, and that a confined server serves. Where the kernel lacks a part, a test says so and is skipped.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use mayhttpd::background::Background;
use mayhttpd::config::{SandboxMode as Wanted, Settings};
use mayhttpd::metrics::Row;
use mayhttpd::sandbox::Sandbox;
use mayhttpd::store::Store;
use mayhttpd::store::root::OpenedRoot;
use mayhttpd::sys::allowed_calls::AllowedCalls;
use mayhttpd::sys::file::{self, Root};
use mayhttpd::sys::process::fork;
use mayhttpd::time::Now;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::{SendFlags, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open};

use crate::support::confined::{self, BOTH, LANDLOCK, Needs, Outcome, SECCOMP, denied, read, sandbox};
use crate::support::launch::Finished;
use crate::support::process::Process;
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Client, Launch, Tree, eventually, root, skipped};

/// Has a process of its own confine itself as a worker does, and then try something.
#[track_caller]
fn try_in(sandbox: Sandbox, directory: &Path, attempt: impl FnOnce() -> std::io::Result<()>) -> Outcome {
    confined::try_in(sandbox, AllowedCalls::Worker, directory, attempt)
}

#[test]
fn only_what_lies_beneath_the_root_can_be_read() {
    let Some(sandbox) = sandbox("only_what_lies_beneath_the_root_can_be_read", LANDLOCK) else { return };
    let (tree, other) = (Tree::site(), Tree::site());
    let page = tree.at("page.html");
    tree.link("out", "/etc/passwd");
    assert_eq!(try_in(sandbox, tree.path(), || read(&page)), Outcome::Succeeded);
    assert_eq!(try_in(sandbox, tree.path(), || fs::read_dir(tree.path()).map(|_| ())), Outcome::Succeeded);
    for path in ["/etc/passwd", "/proc/self/environ", "/dev/null"] {
        assert_eq!(try_in(sandbox, tree.path(), || read(path.as_ref())), denied(), "{path}");
    }
    for path in [other.at("page.html"), tree.at("out")] {
        assert_eq!(try_in(sandbox, tree.path(), || read(&path)), denied(), "{path:?}");
    }
    let above = tree.path().parent().unwrap();
    assert_eq!(try_in(sandbox, tree.path(), || fs::read_dir(above).map(|_| ())), denied());
}

#[test]
fn a_worker_without_landlock_follows_its_root_within_the_filter() {
    let test = "a_worker_without_landlock_follows_its_root_within_the_filter";
    let Some(sandbox) = sandbox(test, SECCOMP) else { return };
    let tree = Tree::empty();
    tree.dir("one");
    tree.dir("two");
    tree.link("current", "one");
    let current = tree.at("current");
    let now = |tick| Now { tick, wall: SystemTime::now() };
    let root = Some(OpenedRoot::new((Root::open(&current).unwrap(), current.clone())));
    let metrics = Row::alone().unwrap();
    let background = Box::leak(Box::new(Background::start(0, 0, metrics).unwrap()));
    let store = Store::new(&Settings::default(), root, Vec::new(), metrics, background, now(0));
    fs::remove_file(&current).unwrap();
    tree.link("current", "two");
    let look = || {
        store.tick(now(100));
        Ok(())
    };
    assert_eq!(try_in(sandbox, tree.path(), look), Outcome::Succeeded);
}

#[test]
fn nothing_beneath_the_root_can_be_changed() {
    let Some(sandbox) = sandbox("nothing_beneath_the_root_can_be_changed", LANDLOCK) else { return };
    let tree = Tree::site();
    let page = tree.at("page.html");
    let new = tree.at("new");
    assert_eq!(try_in(sandbox, tree.path(), || fs::write(&page, "changed")), denied());
    assert_eq!(try_in(sandbox, tree.path(), || fs::write(&new, "new")), denied());
    assert_eq!(try_in(sandbox, tree.path(), || fs::remove_file(&page)), denied());
    assert_eq!(try_in(sandbox, tree.path(), || fs::create_dir(&new)), denied());
    assert_eq!(fs::read(&page).unwrap(), PAGE);
}

#[test]
fn a_program_beneath_the_root_can_not_be_executed() {
    let Some(sandbox) = sandbox("a_program_beneath_the_root_can_not_be_executed", LANDLOCK) else { return };
    let tree = Tree::empty();
    fs::copy("/bin/true", tree.at("true")).unwrap();
    let program = tree.at("true");
    assert!(Command::new(&program).status().unwrap().success());
    assert_eq!(try_in(sandbox, tree.path(), || Err(Command::new(&program).exec())), denied());
    assert_eq!(try_in(sandbox, tree.path(), || Err(Command::new("/bin/true").exec())), denied());
}

#[test]
fn no_port_can_be_reached_or_taken() {
    let needs = Needs { landlock: 4, seccomp: false };
    let Some(sandbox) = sandbox("no_port_can_be_reached_or_taken", needs) else { return };
    let tree = Tree::empty();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || std::net::TcpStream::connect(address).map(|_| ());
    assert_eq!(try_in(sandbox, tree.path(), connect), denied());
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").map(|_| ());
    assert_eq!(try_in(sandbox, tree.path(), bind), denied());
}

#[test]
fn no_process_outside_can_be_signalled() {
    let needs = Needs { landlock: 6, seccomp: false };
    let Some(sandbox) = sandbox("no_process_outside_can_be_signalled", needs) else { return };
    let tree = Tree::empty();
    let signal = || Ok(rustix::process::test_kill_process(rustix::process::getppid().unwrap())?);
    let refused = Outcome::Refused(rustix::io::Errno::PERM.raw_os_error());
    assert_eq!(try_in(sandbox, tree.path(), signal), refused);
}

/// Something to try, with its name.
type Attempt<'a> = (&'a str, fn() -> std::io::Result<()>);

#[test]
fn a_call_that_no_worker_makes_kills_the_process() {
    let Some(sandbox) = sandbox("a_call_that_no_worker_makes_kills_the_process", SECCOMP) else { return };
    let tree = Tree::empty();
    let attempts: [Attempt<'_>; 10] = [
        ("execve", || Err(Command::new("/bin/true").exec())),
        ("socket", || std::net::UdpSocket::bind("127.0.0.1:0").map(|_| ())),
        ("connect", || std::net::TcpStream::connect("127.0.0.1:9").map(|_| ())),
        ("a unix socket", || std::os::unix::net::UnixStream::pair().map(|_| ())),
        ("fork", || fork().map(|_| ())),
        ("a thread", || std::thread::Builder::new().spawn(|| ()).map(|_| ())),
        ("kill", || Ok(rustix::process::test_kill_process(rustix::process::getpid())?)),
        ("setuid", || Ok(rustix::thread::set_thread_uid(rustix::process::getuid())?)),
        ("a file to write", || fs::write("/dev/null", "x")),
        ("chdir", || std::env::set_current_dir("/")),
    ];
    for (name, attempt) in attempts {
        assert_eq!(try_in(sandbox, tree.path(), attempt), Outcome::KilledBy(Signal::SYS), "{name}");
    }
}

#[test]
fn no_option_of_a_socket_can_be_set_but_those_of_a_drain() {
    let Some(sandbox) = sandbox("no_option_of_a_socket_can_be_set_but_those_of_a_drain", SECCOMP) else {
        return;
    };
    let tree = Tree::empty();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpListener::bind("[::1]:0");
    for listener in other.iter().chain([&listener]) {
        let drain = || mayhttpd::sys::socket::hold_off(listener.as_fd());
        assert_eq!(try_in(sandbox, tree.path(), drain), Outcome::Succeeded);
    }
    type Set = fn(&std::net::TcpListener) -> rustix::io::Result<()>;
    let attempts: [(&str, Set); 7] = [
        ("reuseport", |socket| sockopt::set_socket_reuseport(socket, true)),
        ("receive buffer", |socket| sockopt::set_socket_recv_buffer_size(socket, 1 << 20)),
        ("keep alive", |socket| sockopt::set_socket_keepalive(socket, true)),
        ("no delay", |socket| sockopt::set_tcp_nodelay(socket, false)),
        ("cork", |socket| sockopt::set_tcp_cork(socket, true)),
        ("hops", |socket| sockopt::set_ip_ttl(socket, 1)),
        ("IPv6 alone", |socket| sockopt::set_ipv6_v6only(socket, true)),
    ];
    for (name, set) in attempts {
        let attempt = || Ok(set(&listener)?);
        assert_eq!(try_in(sandbox, tree.path(), attempt), Outcome::KilledBy(Signal::SYS), "{name}");
    }
}

#[test]
fn no_flag_that_processes_share_can_be_changed() {
    let Some(sandbox) = sandbox("no_flag_that_processes_share_can_be_changed", SECCOMP) else { return };
    let tree = Tree::empty();
    let log = fs::File::options().create(true).append(true).open(tree.at("log")).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let flags = || (fcntl_getfl(&log).unwrap(), fcntl_getfl(&listener).unwrap());
    let before = flags();
    assert!(before.0.contains(OFlags::APPEND) && before.1.contains(OFlags::NONBLOCK));
    for (calls, name) in [(AllowedCalls::Worker, "worker"), (AllowedCalls::Admin, "admin")] {
        for flags in [
            OFlags::empty(),
            OFlags::APPEND,
            OFlags::NONBLOCK,
            OFlags::RDWR,
            OFlags::from_bits_retain(0x2000),
        ] {
            let attempt = || Ok(fcntl_setfl(&log, flags).and(fcntl_setfl(&listener, flags))?);
            let outcome = confined::try_in(sandbox, calls, tree.path(), attempt);
            assert_eq!(outcome, Outcome::KilledBy(Signal::SYS), "{name} {flags:?}");
        }
    }
    let block = || Ok(rustix::io::ioctl_fionbio(&listener, false)?);
    assert_eq!(try_in(sandbox, tree.path(), block), Outcome::KilledBy(Signal::SYS));
    assert_eq!(flags(), before);
}

#[test]
fn what_a_worker_does_is_allowed() {
    let Some(sandbox) = sandbox("what_a_worker_does_is_allowed", BOTH) else { return };
    let tree = Tree::site();
    let site = Root::open(tree.path()).unwrap();
    let read_beneath = || match site.open_beneath(b"page.html") {
        Ok(file) => Ok(rustix::io::read(file, &mut [0u8; 64]).map(|_| ())?),
        Err(error) => Err(std::io::Error::other(format!("{error:?}"))),
    };
    assert_eq!(try_in(sandbox, tree.path(), read_beneath), Outcome::Succeeded);
    let list = || {
        let failed = |error| std::io::Error::other(format!("{error:?}"));
        let root = site.open_beneath(b"").and_then(|root| file::reopen_directory(root.as_fd()));
        let root = root.map_err(failed)?;
        let (mut buffer, mut names) = ([std::mem::MaybeUninit::uninit(); 4096], 0);
        file::entries(root.as_fd(), &mut buffer, |_, _| names += 1)?;
        file::stat_of(root.as_fd(), b"page.html").map_err(failed)?;
        if names == 0 { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(()) }
    };
    assert_eq!(try_in(sandbox, tree.path(), list), Outcome::Succeeded);
    let pause = || {
        std::thread::sleep(Duration::from_millis(1));
        std::thread::yield_now();
        // More than the allocator keeps, so that it asks the kernel, and asks it to grow.
        let mut heap = vec![1u8; 1 << 20];
        heap.resize(8 << 20, 2);
        let taken = Instant::now().elapsed();
        if std::hint::black_box(heap).len() > taken.as_secs() as usize {
            Ok(())
        } else {
            Err(std::io::ErrorKind::Other.into())
        }
    };
    assert_eq!(try_in(sandbox, tree.path(), pause), Outcome::Succeeded);
    let panic = || {
        // As a worker's, it shows no backtrace; those read the program's own file.
        std::panic::set_hook(Box::new(|_| ()));
        let caught = std::panic::catch_unwind(|| panic!("caught"));
        if caught.is_err() { Ok(()) } else { Err(std::io::ErrorKind::Other.into()) }
    };
    assert_eq!(try_in(sandbox, tree.path(), panic), Outcome::Succeeded);
    let abort = || std::process::abort();
    // Other C libraries abort by calls that reach any process; those die as by a forbidden one.
    let abort_is_seen = cfg!(target_env = "gnu");
    assert!(
        !abort_is_seen || try_in(sandbox, tree.path(), abort) == Outcome::KilledBy(Signal::ABORT),
        "an abort is no forbidden call"
    );
}

#[test]
fn every_thread_of_every_worker_is_confined() {
    let Some(_) = sandbox("every_thread_of_every_worker_is_confined", SECCOMP) else { return };
    let user: &[&[&str]] = if root() { &[&[], &["--user", "root"]] } else { &[&[]] };
    for flags in user {
        let server = Launch::site().workers(2).flags(flags.iter().copied()).start();
        for worker in server.workers() {
            let threads = worker.threads();
            assert!(threads.len() >= 3, "{threads:?}");
            for thread in threads {
                let state = |name: &str| worker.thread_status(thread, name);
                for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                    assert_eq!(state(set), "0000000000000000", "{set} {flags:?}");
                }
                if root() {
                    assert_eq!(state("CapBnd:"), "0000000000000000", "{flags:?}");
                }
                assert_eq!((state("NoNewPrivs:"), state("Seccomp:")), ("1".into(), "2".into()));
            }
        }
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn without_a_sandbox_a_worker_still_has_no_capability() {
    let server = Launch::site().flags(["--sandbox", "off"]).start();
    let worker = server.workers()[0];
    for thread in worker.threads() {
        let state = |name: &str| worker.thread_status(thread, name);
        assert_eq!((state("CapPrm:"), state("NoNewPrivs:")), ("0000000000000000".into(), "1".into()));
        // A container has a filter around everything in it.
        assert_eq!(state("Seccomp:"), Process::own().status("Seccomp:"));
    }
    assert!(server.log().contains("sandbox: no capabilities, else off"), "{}", server.log());
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn what_the_kernel_gives_is_said_once() {
    let plan = Sandbox::plan(Wanted::On).unwrap();
    for wanted in ["on", "require"] {
        if wanted == "require"
            && Sandbox::plan(Wanted::Require).is_err()
            && skipped("what_the_kernel_gives_is_said_once", "the kernel lacks a part")
        {
            continue;
        }
        let server = Launch::site().workers(2).flags(["--sandbox", wanted]).start();
        let log = server.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("sandbox")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].ends_with(&format!("INFO [master] sandbox: {plan}")), "{log}");
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_kernel_that_lacks_a_required_part_ends_the_start_with_one_line() {
    let name = "a_kernel_that_lacks_a_required_part_ends_the_start_with_one_line";
    if Sandbox::plan(Wanted::Require).is_ok() && skipped(name, "the kernel lacks nothing") {
        return;
    }
    let Finished { code, errors, .. } = Launch::site().flags(["--sandbox", "require"]).run();
    assert_eq!((code, errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("--sandbox require"), "{errors}");
}

#[test]
fn a_worker_killed_for_a_forbidden_call_is_named_and_replaced() {
    let server = Launch::site().start();
    let worker = server.workers()[0];
    worker.signal(Signal::SYS);
    let line = eventually("the log names the signal", || {
        server.log().lines().find(|line| line.contains("SIGSYS")).map(str::to_owned)
    });
    assert!(line.contains("WARN [master] worker 0 ended"), "{line}");
    assert!(line.contains("a system call that the sandbox does not allow"), "{line}");
    eventually("a successor is started", || (server.workers().len() == 1).then_some(()));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_link_that_leads_outside_the_root_leads_nowhere() {
    let tree = Tree::site();
    let other = Tree::site();
    tree.link("outside", other.at("page.html"));
    tree.link("passwd", "/etc/passwd");
    tree.link("inside", "page.html");
    let server = Launch::of(tree).start();
    server.get("/outside").has_status(&[403]);
    server.get("/passwd").has_status(&[403]);
    server.get("/inside").is(200, PAGE);
}

#[test]
fn a_confined_server_does_all_that_it_is_asked_for() {
    let tree = Tree::site();
    let log = tree.at("access.log");
    let flags = ["--listing", "on", "--sendfile", "off", "--cache-valid", "0", "--log-level", "trace"];
    let server =
        Launch::of(tree).workers(1).flags(flags).flags(["--access-log", log.to_str().unwrap()]).start();
    let workers = server.workers();
    server.get("/").is(200, INDEX);
    server.get("/bare/").has_status(&[200]);
    server.get("/large.html").is(200, crate::support::tree::large());
    // Enough coroutines that stacks are mapped, and given back at the end.
    let mut clients: Vec<_> = (0..700).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    drop(clients);
    eventually("the access log is written", || {
        (fs::read_to_string(&log).unwrap().lines().count() >= 703).then_some(())
    });
    assert_eq!(server.workers(), workers, "a worker was killed: {}", server.log());
}

#[test]
fn the_next_generation_follows_the_root_for_a_confined_server() {
    let name = "the_next_generation_follows_the_root_for_a_confined_server";
    let Some(_) = sandbox(name, LANDLOCK) else { return };
    let (server, tree) = switched("on");
    let old = server.workers()[0];
    eventually("the new root is served", || {
        let response = server.get("/index.html");
        // Never anything between the two.
        assert!(matches!(response.body.as_slice(), b"old\n" | b"new\n"), "{}", response.text());
        (response.body == b"new\n").then_some(())
    });
    eventually("the log says why", || {
        server.log().contains("a root's path leads elsewhere now").then_some(())
    });
    eventually("the old worker leaves", || (!old.lives()).then_some(()));
    assert_eq!(server.workers().len(), 1);
    (0..10).for_each(|_| server.get("/index.html").is(200, "new\n"));
    drop(server);
    drop(tree);
}

#[test]
fn a_server_that_is_not_confined_follows_its_root() {
    let (server, tree) = switched("off");
    eventually("the new root is served", || (server.get("/index.html").body == b"new\n").then_some(()));
    drop(server);
    drop(tree);
}

/// A server whose root is a link, which was switched to another directory after the first request.
fn switched(sandbox: &str) -> (crate::support::Server, Tree) {
    let tree = Tree::empty();
    tree.file("releases/1/index.html", "old\n");
    tree.file("releases/2/index.html", "new\n");
    tree.link("current", "releases/1");
    tree.link("next", "releases/2");
    let flags = ["--sandbox", sandbox, "--cache-valid", "0"];
    let server = Launch::of_path(tree.at("current")).flags(flags).start();
    server.get("/index.html").is(200, "old\n");
    fs::rename(tree.at("next"), tree.at("current")).unwrap();
    (server, tree)
}

/// The worker's own end of its link to the master, as a client that has taken it over would have it; none,
/// with a word, where this process may not get it.
fn link_of(test: &str, worker: Process) -> Option<std::os::fd::OwnedFd> {
    let process = pidfd_open(Pid::from_raw(worker.pid as i32).unwrap(), PidfdFlags::empty()).unwrap();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", worker.pid)).ok();
    let numbers = descriptors.into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        numbers.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect();
    let link = numbers.into_iter().find_map(|number| {
        let copy = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
        (sockopt::socket_type(&copy) == Ok(SocketType::SEQPACKET)).then_some(copy)
    });
    if link.is_none() {
        skipped(test, "descriptors of other processes can't be had here");
    }
    link
}

#[test]
fn a_worker_that_sends_its_master_what_no_worker_sends_is_killed_and_replaced() {
    for (message, what) in [
        (&b"nonsense"[..], "sent a message that is not known"),
        (b"ready", "sent a message that is not known or comes at the wrong time"),
        (b"failed for ever", "sent a message that is not known or comes at the wrong time"),
        (&[b'x'; 1025], "sent a message that is too long"),
        (&[b'x'; 60_000], "sent a message that is too long"),
    ] {
        let server = Launch::site().start();
        let worker = server.workers()[0];
        let name = "a_worker_that_sends_its_master_what_no_worker_sends_is_killed_and_replaced";
        let Some(link) = link_of(name, worker) else { return };
        rustix::net::send(&link, message, SendFlags::NOSIGNAL).unwrap();
        server.says("what it did", |line| {
            line.contains(&format!("ERROR [master] worker 0 {what}")) && line.ends_with("and is killed")
        });
        eventually("it is replaced", || (!worker.lives() && server.workers().len() == 1).then_some(()));
        server.get("/page.html").is(200, PAGE);
        assert_eq!(server.log().matches("ERROR").count(), 1, "{}", server.log());
    }
}

#[test]
fn a_worker_that_floods_its_master_is_killed_and_causes_no_flood_of_reloads() {
    let server = Launch::site().start();
    let worker = server.workers()[0];
    // It has a client, and stays until that has gone.
    let mut kept = server.client();
    kept.still_serves();
    let memory = server.master.memory();
    let name = "a_worker_that_floods_its_master_is_killed_and_causes_no_flood_of_reloads";
    let Some(link) = link_of(name, worker) else { return };
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    eventually("it is killed", || {
        // Until the master listens no more.
        while rustix::net::send(&link, b"moved", flags).is_ok() {}
        (!worker.lives()).then_some(())
    });
    drop(link);
    server.says("why", |line| line.contains("sent far more messages than it has to send"));
    eventually("another one serves", || (server.workers().len() == 1).then_some(()));
    (0..10).for_each(|_| server.get("/page.html").is(200, PAGE));
    let reloads = server.log().matches("leads elsewhere now").count();
    assert!(reloads <= 3, "{reloads} reloads: {}", server.log());
    assert!(server.master.memory() < memory + (8 << 20), "the master keeps what it was sent");
}

/// The memory that a process shares with the master, as /proc/PID/smaps has it: for each map its length in
/// bytes, what it allows, and the kernel's flags. None where this process may not look.
fn shared_memory(process: Process) -> Option<Vec<(u64, String, String)>> {
    let text = fs::read_to_string(format!("/proc/{}/smaps", process.pid)).ok()?;
    let mut maps = Vec::new();
    let mut map = None;
    for line in text.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            maps.extend(map.take().map(|(length, access)| (length, access, flags.to_owned())));
        } else if line.contains("memfd:mayhttpd") {
            let (range, rest) = line.split_once(' ').unwrap();
            let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
            let (start, end) = range.split_once('-').unwrap();
            map = Some((address(end) - address(start), rest[..4].to_owned()));
        }
    }
    Some(maps)
}

#[test]
fn a_worker_shares_its_own_counts_alone_and_the_admin_process_may_not_change_any() {
    let name = "a_worker_shares_its_own_counts_alone_and_the_admin_process_may_not_change_any";
    for sandbox in ["on", "off"] {
        let server = Launch::site().workers(3).flags(["--admin", "0", "--sandbox", sandbox]).start();
        let admin = server.admin_address();
        server.get("/page.html").is(200, PAGE);
        let Some(all) = shared_memory(server.master) else {
            skipped(name, "maps of other processes can't be seen here");
            return;
        };
        assert!(all.iter().map(|(length, ..)| length).sum::<u64>() > 1 << 20, "{all:?}");
        for worker in server.workers() {
            let Some(maps) = shared_memory(worker).filter(|maps| !maps.is_empty()) else {
                skipped(name, "maps of other processes can't be seen here");
                return;
            };
            // One row: the counts of a worker, and of up to 1024 hosts a cache line each.
            let row = (68_u64 << 10).next_multiple_of(rustix::param::page_size() as u64);
            assert!(matches!(&maps[..], [(length, ..)] if *length == row), "{maps:?}");
        }
        let maps = shared_memory(server.admin().unwrap()).unwrap();
        assert!(!maps.is_empty());
        for (_, access, flags) in maps {
            assert_eq!(access, "r--s");
            assert!(
                !flags.split_whitespace().any(|flag| flag == "mw"),
                "it could allow itself to write: {flags}"
            );
        }
        let (_, text) = crate::support::plain::get(admin, "/status.json").unwrap();
        assert!(text.contains("\"GET\""), "{text}");
    }
}

#[test]
fn what_a_worker_writes_to_counts_that_are_not_its_own_reaches_no_other() {
    let Some(sandbox) = sandbox("what_a_worker_writes_to_counts_…", SECCOMP) else { return };
    let tree = Tree::empty();
    let words = mayhttpd::sys::shm::map::<4>(3).unwrap();
    // Asked for once, by a call that no list has.
    let _ = rustix::param::page_size();
    words.iter().for_each(|block| block.0[3].store(5, Relaxed));
    let write = |index: usize| {
        move || {
            mayhttpd::sys::shm::keep_only(&words[1].0)?;
            let seen: Vec<u64> = words.iter().map(|block| block.0[3].load(Relaxed)).collect();
            assert_eq!(seen, [0, 5, 0]);
            words[index].0[3].store(7, Relaxed);
            Ok(())
        }
    };
    assert_eq!(try_in(sandbox, tree.path(), write(0)), Outcome::KilledBy(Signal::SEGV));
    assert_eq!(try_in(sandbox, tree.path(), write(2)), Outcome::KilledBy(Signal::SEGV));
    assert_eq!(try_in(sandbox, tree.path(), write(1)), Outcome::Succeeded);
    let seen: Vec<u64> = words.iter().map(|block| block.0[3].load(Relaxed)).collect();
    assert_eq!(seen, [5, 7, 5]);
    let read_and_write = || {
        mayhttpd::sys::shm::only_read()?;
        if words[1].0[3].load(Relaxed) != 7 {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        words[1].0[3].store(8, Relaxed);
        Ok(())
    };
    assert_eq!(try_in(sandbox, tree.path(), read_and_write), Outcome::KilledBy(Signal::SEGV));
    assert_eq!(words[1].0[3].load(Relaxed), 7);
}
