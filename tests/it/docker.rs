//! The image: what it says of itself, what it serves by default, and how it bears what an engine does to it.
//! All of it in containers of the image that MAYHTTPD_IT_IMAGE names; tests/docker/run.sh builds one and runs
//! these.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::container::{docker, image, is_missing, master, published};
use crate::support::network;
use crate::support::tree::{INDEX, PAGE, large};
use crate::support::{
    Client, Launch, Server, Stop, Tree, eventually, every, pattern, plain, skipped, within,
};

/// Served as the image does it when nothing is said.
fn by_default() -> Launch {
    Launch::site().by_default()
}

/// What the engine says of the image, by a template of Go's.
#[track_caller]
fn inspected(format: &str) -> String {
    docker(&["image", "inspect", "--format", format, image().unwrap().to_str().unwrap()])
}

/// A number of workers, once so many are there.
#[track_caller]
fn has_workers(server: &Server, count: usize) {
    eventually(&format!("{count} workers"), || (server.workers().len() == count).then_some(()));
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn the_image_is_small_and_says_what_it_is() {
    if is_missing("the_image_is_small_and_says_what_it_is") {
        return;
    }
    let size: u64 = inspected("{{.Size}}").parse().unwrap();
    assert!(size < 15_000_000, "{size} bytes");
    let user = inspected("{{.Config.User}}");
    assert!(user.split(':').all(|part| part.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let labels = "{{range $key, $value := .Config.Labels}}{{$key}}={{$value}}\n{{end}}";
    let labels = inspected(labels);
    let has = |line: &str| assert!(labels.lines().any(|found| found == line), "no {line} in {labels}");
    has("org.opencontainers.image.title=mayhttpd");
    has(concat!("org.opencontainers.image.version=", env!("CARGO_PKG_VERSION")));
    has(concat!("org.opencontainers.image.licenses=", env!("CARGO_PKG_LICENSE")));
    for (format, value) in [
        ("{{.Config.StopSignal}}", "SIGQUIT"),
        ("{{json .Config.ExposedPorts}}", "{\"443/tcp\":{},\"80/tcp\":{}}"),
        ("{{json .Config.Entrypoint}}", "[\"/usr/local/bin/mayhttpd\"]"),
        ("{{json .Config.Healthcheck.Test}}", "[\"CMD\",\"/usr/local/bin/mayhttpd\",\"healthcheck\"]"),
    ] {
        assert_eq!(inspected(format), value, "{format}");
    }
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn a_mounted_folder_is_all_it_takes() {
    if is_missing("a_mounted_folder_is_all_it_takes") {
        return;
    }
    let server = by_default().start();
    server.get("/").is(200, INDEX);
    server.get("/large.html").is(200, large());
    assert!(server.workers().iter().all(|worker| worker.user() == 65534));
    // Docker's own filter of system calls is around all this, and leaves the server its own.
    server.says("that it is confined", |line| {
        line.contains("sandbox: no capabilities") && line.contains("seccomp")
    });
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn it_serves_with_few_processes_and_little_memory() {
    if is_missing("it_serves_with_few_processes_and_little_memory") {
        return;
    }
    let tight = ["--pids-limit", "50", "--memory", "32m", "--shm-size", "64k", "--workers", "1"];
    let server = by_default().docker(&tight[..6]).flags(&tight[6..]).start();
    server.get("/large.html").is(200, large());
    assert!(server.admin().is_some(), "the admin process lives");
    server.replace_worker();
    server.get("/page.html").is(200, PAGE);
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn a_mounted_file_wins_over_the_image_and_a_variable_and_a_flag_over_both() {
    if is_missing("a_mounted_file_wins_over_the_image…") {
        return;
    }
    let site = Tree::site();
    // The engine publishes port 80, so what moves it is read from the line that says where the server
    // listens.
    let started = |text: &str, environment: &[(&str, &str)], flags: &[&str]| {
        let file = site.file("settings/httpd.conf", text);
        let mounts = [
            format!("{}:/etc/httpd.conf:ro", file.display()),
            format!("{}:/srv:ro", site.path().join("dir").display()),
        ];
        let mut launch = by_default().docker(["--volume", &mounts[0], "--volume", &mounts[1]]);
        for (name, value) in environment {
            launch = launch.environment(name, value);
        }
        launch.flags(flags.iter().copied()).start()
    };
    let server = started("# nothing\n", &[], &[]);
    server.get("/").is(200, INDEX);
    let server = started("document_root /srv # mounted too\n", &[], &[]);
    server.get("/").is(200, "index of dir\n");
    let both = "document_root /srv\nlisten 0.0.0.0:81\n";
    for (environment, flags, port) in [
        (&[][..], &[][..], 81),
        (&[("MAYHTTPD_PORT", "82")], &[], 82),
        (&[("MAYHTTPD_PORT", "82")], &["--port", "83"], 83),
    ] {
        let server = started(both, environment, flags);
        let said = format!("http://127.0.0.1:{port}/\n");
        assert!(server.output().contains(&said), "no {said} in {}", server.output());
    }
    let server = started(both, &[("MAYHTTPD_NAME", "by-variable")], &["--listen", "80"]);
    assert_eq!(server.get("/")["server"], "by-variable");
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn there_are_as_many_workers_as_the_engine_leaves_cpus() {
    if is_missing("there_are_as_many_workers_as_the_engine_leaves_cpus") {
        return;
    }
    let all = std::thread::available_parallelism().unwrap().get();
    let mut cases = vec![(vec![], all), (vec!["--cpus", "1"], 1), (vec!["--cpuset-cpus", "0"], 1)];
    if all > 1 {
        // A part of a CPU is not worth another worker.
        cases.extend([(vec!["--cpus", "1.5"], 1), (vec!["--cpus", "2"], 2)]);
    }
    every(cases.into_iter().map(|row| (row.0.join(" "), row)), |(flags, count)| {
        has_workers(&by_default().docker(flags).start(), count);
    });
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn root_becomes_nobody_though_the_image_has_no_list_of_users() {
    if is_missing("root_becomes_nobody…") {
        return;
    }
    let rights = ["--user", "0", "--cap-add", "SETUID", "--cap-add", "SETGID"];
    let server = by_default().docker(rights).start();
    server.get("/").is(200, INDEX);
    assert!(server.workers().iter().all(|worker| worker.user() == 65534), "workers are nobody");

    let refused = Command::new("docker")
        .args(["run", "--rm", "--user", "0"])
        .arg(image().unwrap())
        .args(["--user", "www"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(words, "mayhttpd: cannot run workers as \"www\": there is no user 'www'\n");
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn health_goes_bad_when_serving_does_and_comes_back() {
    if is_missing("health_goes_bad_when_serving_does_and_comes_back") {
        return;
    }
    let often = ["--health-interval", "100ms", "--health-retries", "2", "--health-start-period", "1ms"];
    // Without an index page too: what is asked for is no page of the site.
    for tree in [Tree::site(), Tree::empty()] {
        let server = Launch::of(tree).by_default().docker(often).start();
        server.container().gets("healthy");
        let workers = server.workers();
        workers.iter().for_each(|worker| worker.stop());
        server.container().gets("unhealthy");
        workers.iter().for_each(|worker| worker.signal(Signal::CONT));
        server.container().gets("healthy");
    }
    // Where a variable does without the admin listener, it is a page, at the port of the file.
    let site = Tree::site();
    let file = site.file("settings/httpd.conf", "port 81\n");
    let mount = format!("{}:/etc/httpd.conf:ro", file.display());
    let launch = by_default().docker(often).docker(["--volume", &mount]);
    let server = launch.environment("MAYHTTPD_ADMIN", "off").start();
    assert!(server.admin().is_none());
    server.container().gets("healthy");
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn large_pages_arrive_whole_through_the_bridge_at_a_slow_client_too() {
    if is_missing("large_pages_arrive_whole_through_the_bridge…") {
        return;
    }
    const HUGE: usize = 300_000_000;
    let tree = Tree::site();
    let huge = pattern(3, HUGE);
    tree.file("huge.bin", &huge);
    let tree = std::sync::Arc::new(tree);
    for sendfile in ["on", "off"] {
        let server = Launch::of(tree.clone()).by_default().flags(["--sendfile", sendfile]).start();
        for (target, body) in [("/large.html", &large()), ("/huge.bin", &huge)] {
            let mut fast = server.client();
            fast.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            fast.response().is(200, body);
            fast.still_serves();

            // This one takes little at once, and stops reading again and again, so that the server waits for
            // it.
            let mut slow = Client::with_small_window(server.address());
            slow.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            let head = slow.head().unwrap();
            head.has_status(&[200]);
            let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
            let pause = body.len() / 20;
            while at < body.len() {
                let room = buffer.len().min(body.len() - at);
                let count = slow.read(&mut buffer[..room]);
                assert!(count > 0, "{target} was cut at {at}");
                assert!(buffer[..count] == body[at..at + count], "{target} is wrong after {at}");
                if at / pause != (at + count) / pause {
                    // The case itself: the socket's buffer fills before the client reads on.
                    std::thread::sleep(Duration::from_millis(50));
                }
                at += count;
            }
            slow.still_serves();
        }
    }
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn a_stop_under_load_loses_nothing() {
    if is_missing("a_stop_under_load_loses_nothing") {
        return;
    }
    let big = pattern(5, 40_000_000);
    let tree = Tree::site();
    tree.file("big.bin", &big);
    let mut server = Launch::of(tree).by_default().flags(["--workers", "2"]).start();
    let address = server.address();
    let end = AtomicBool::new(false);
    let [answers, under_way, whole] = [0; 3].map(AtomicUsize::new);
    std::thread::scope(|scope| {
        let _end = Stop(&end);
        for number in 0..8 {
            // Half of the clients keep their connections for as long as the answers say that they may, the
            // others ask once on each. A client that could connect gets an answer.
            let (end, answers) = (&end, &answers);
            scope.spawn(move || {
                let field = if number % 2 == 0 { "keep-alive" } else { "close" };
                let request = format!("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: {field}\r\n\r\n");
                while !end.load(Ordering::Relaxed) {
                    let Ok(stream) = TcpStream::connect(address) else { break };
                    let mut client = Client::from(stream);
                    let mut closes = false;
                    while !closes {
                        client.send(&request);
                        let response = client.response();
                        response.is(200, PAGE);
                        closes = response.closes();
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..4 {
            // Downloads that are under way when the stop comes, with more to come than the buffers on the way
            // hold.
            scope.spawn(|| {
                let mut client = Client::connect(address);
                client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
                let head = client.head().unwrap();
                head.has_status(&[200]);
                under_way.fetch_add(1, Ordering::Relaxed);
                server.says("that it drains", |line| line.contains("is draining"));
                let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
                while at < big.len() {
                    let room = buffer.len().min(big.len() - at);
                    let count = client.read(&mut buffer[..room]);
                    assert!(count > 0, "a download was cut at {at}");
                    assert!(buffer[..count] == big[at..at + count], "wrong content after {at}");
                    at += count;
                }
                whole.fetch_add(1, Ordering::Relaxed);
            });
        }
        eventually("load", || {
            let asked = answers.load(Ordering::Relaxed) > 500;
            (asked && under_way.load(Ordering::Relaxed) == 4).then_some(())
        });
        docker(&["stop", "--time", "30", &server.container().name]);
    });
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert_eq!(whole.into_inner(), 4, "downloads that arrived whole");
}

/// What compose.yaml describes, under a name of its own; it is taken down when this goes.
struct Composed {
    program: &'static [&'static str],
    tree: Tree,
}

const PROJECT: &str = "mayhttpd-it";

impl Composed {
    /// None, with a plain word, where something is missing.
    fn up(test: &str, tree: Tree) -> Option<Self> {
        let works = |words: &&[&str]| {
            let version = Command::new(words[0]).args(&words[1..]).arg("version").output();
            version.is_ok_and(|output| output.status.success())
        };
        let programs: [&'static [&'static str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let Some(program) = programs.into_iter().find(works) else {
            skipped(test, "there is neither docker compose nor docker-compose");
            return None;
        };
        if docker(&["image", "ls", "--quiet", "nginx:1-alpine"]).is_empty() {
            skipped(test, "there is no image of nginx");
            return None;
        }
        let composed = Self { program, tree };
        let output = composed.run(&["up", "--detach", "--no-build"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(composed)
    }

    fn run(&self, words: &[&str]) -> std::process::Output {
        Command::new(self.program[0])
            .args(&self.program[1..])
            .args(["--project-name", PROJECT, "--file", concat!(env!("CARGO_MANIFEST_DIR"), "/compose.yaml")])
            .args(words)
            // A free port.
            .env("PORT", "0")
            .env("DOCUMENT_ROOT", self.tree.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The containers of a service that run.
    fn of(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={PROJECT}");
        let service = format!("label=com.docker.compose.service={service}");
        let found = docker(&["ps", "--quiet", "--filter", &project, "--filter", &service]);
        found.lines().map(str::to_owned).collect()
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--timeout", "5"]);
    }
}

/// How many GETs a container has answered, by its admin listener, which only it can reach.
fn answered(container: &str) -> u64 {
    let namespace = format!("/proc/{}/ns/net", master(container).pid);
    let page = network::enter(&namespace, || plain::get("127.0.0.1:9480".parse().unwrap(), "/metrics"));
    let (_, text) = page.expect("the admin listener answers");
    let get = |line: &str| {
        line.starts_with("mayhttpd_requests_total") && line.contains("method=\"GET\",status=\"2xx\"")
    };
    let counts =
        text.lines().filter(|line| get(line)).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

#[test]
#[ignore = "needs an engine with the image; tests/docker/run.sh has both"]
fn three_servers_serve_behind_nginx_and_one_may_go() {
    let test = "three_servers_serve_behind_nginx_and_one_may_go";
    if is_missing(test) {
        return;
    }
    let Some(composed) = Composed::up(test, Tree::site()) else { return };
    let servers = composed.of("mayhttpd");
    assert_eq!(servers.len(), 3);
    let address = published(&composed.of("nginx")[0]);
    let get = |target: &str| {
        let mut client = Client::connect(address);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        client.response()
    };
    within(Duration::from_secs(60), "nginx serves", || TcpStream::connect(address).ok());
    for _ in 0..30 {
        get("/page.html").is(200, PAGE);
    }
    get("/large.html").is(200, large());
    for server in &servers {
        assert!(answered(server) >= 5, "every server has its share");
        let sysctl = |key: &str| {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            let namespace = format!("/proc/{}/ns/net", master(server).pid);
            network::enter(&namespace, || std::fs::read_to_string(path).unwrap().trim().to_owned())
        };
        assert_eq!(sysctl("net.core.somaxconn"), "16384");
        assert_eq!(sysctl("net.ipv4.tcp_slow_start_after_idle"), "0");
    }
    // nginx keeps connections to it that it may not use any more, so that the stop takes all its time.
    let gone = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _gone = Stop(&gone);
            docker(&["stop", "--time", "2", &servers[0]]);
        });
        while !gone.load(Ordering::Relaxed) {
            get("/page.html").is(200, PAGE);
        }
    });
    for _ in 0..30 {
        get("/page.html").is(200, PAGE);
    }
}
