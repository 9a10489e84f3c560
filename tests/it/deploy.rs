//! Several servers behind a real nginx and a real HAProxy, by the files of deploy/: who gets which request,
//! whose address the servers see, and that a server which drains and is replaced costs no client a request.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::balancer::{Balancer, deployed, is_missing};
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, within};

/// Clients of ab at once.
const CLIENTS: usize = 8;

/// More than all sockets and buffers on the way take together.
const HUGE: u64 = 64 << 20;

/// Bytes at the beginning of the huge file that name its server.
const HUGE_NAME: usize = 5;

/// Three servers that can be told apart by what they answer to `/who`.
struct Farm {
    servers: Vec<Server>,
    logs: Tree,
}

/// The balancers, each with what its file calls its policies.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Nginx,
    Haproxy,
}

impl Farm {
    #[track_caller]
    fn start(flags: &[&str]) -> Self {
        let mut farm = Self { servers: Vec::new(), logs: Tree::empty() };
        for name in ["one", "two", "three"] {
            farm.servers.push(farm.launch(name, flags).start());
        }
        farm
    }

    fn launch(&self, name: &str, flags: &[&str]) -> Launch {
        let tree = Tree::empty();
        tree.file("who", name);
        tree.file("page.html", PAGE);
        let huge = tree.file("huge.bin", format!("{name:HUGE_NAME$}"));
        File::options().write(true).open(huge).unwrap().set_len(HUGE).unwrap();
        let log = self.logs.at(name);
        let trust = ["--trusted-proxies", "127.0.0.1/32", "--access-log", log.to_str().unwrap()];
        Launch::of(tree).flags(trust).flags(flags)
    }

    fn addresses(&self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|index| self.servers[index].address())
    }

    /// Lines of all access logs that are of this request.
    fn logged(&self, target: &str) -> Vec<String> {
        let request = format!("\"GET {target} HTTP/");
        let text =
            ["one", "two", "three"].map(|name| fs::read_to_string(self.logs.at(name)).unwrap_or_default());
        text.iter()
            .flat_map(|text| text.lines())
            .filter(|line| line.contains(&request))
            .map(str::to_owned)
            .collect()
    }
}

impl Kind {
    #[track_caller]
    fn start(self, policy: &str, farm: &Farm) -> Balancer {
        let balancer = match self {
            Kind::Nginx => Balancer::nginx(policy, "site", farm.addresses()),
            Kind::Haproxy => Balancer::haproxy("haproxy", &policy.replace('-', "_"), farm.addresses()),
        };
        within(DEADLINE, "the balancer has an answer", || {
            (ask(&balancer, Ipv4Addr::LOCALHOST, "/page.html", "") == PAGE).then_some(())
        });
        balancer
    }

    /// Nothing where it is not installed.
    fn is_missing(self, test: &str) -> bool {
        let program = match self {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        };
        is_missing(program, test)
    }
}

/// The body that a client gets that comes from this address; nothing unless the status is 200. HAProxy writes
/// names of fields in small letters, so that this is no answer of the server's own.
#[track_caller]
fn ask(balancer: &Balancer, source: Ipv4Addr, target: &str, fields: &str) -> Vec<u8> {
    let mut client = Client::from_address(source.into(), balancer.address());
    client.send(format!("GET {target} HTTP/1.1\r\nHost: site\r\n{fields}Connection: close\r\n\r\n"));
    let answer = client.rest();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.filter(|_| answer.starts_with(b"HTTP/1.1 200 ")).map_or(Vec::new(), |end| answer[end + 4..].to_vec())
}

/// Who answers a client that comes from this address.
#[track_caller]
fn who_answers(balancer: &Balancer, source: Ipv4Addr) -> String {
    String::from_utf8(ask(balancer, source, "/who", "")).unwrap()
}

/// How many of so many requests each server gets.
#[track_caller]
fn spread(balancer: &Balancer, requests: usize) -> [usize; 3] {
    let answers: Vec<_> = (0..requests).map(|_| who_answers(balancer, Ipv4Addr::LOCALHOST)).collect();
    ["one", "two", "three"].map(|name| answers.iter().filter(|answer| *answer == name).count())
}

#[track_caller]
fn in_turn_and_by_weight(kind: Kind) {
    let farm = Farm::start(&[]);
    let balancer = kind.start("round-robin", &farm);
    assert_eq!(spread(&balancer, 30), [10, 10, 10]);
    let balancer = kind.start("weights", &farm);
    assert_eq!(spread(&balancer, 60), [30, 20, 10]);
}

#[track_caller]
fn by_address(kind: Kind) {
    let farm = Farm::start(&[]);
    let balancer = kind.start("ip-hash", &farm);
    let mut used = BTreeSet::new();
    for network in 1..=30 {
        let source = Ipv4Addr::new(127, 0, network, 1);
        let first = who_answers(&balancer, source);
        (0..4).for_each(|_| assert_eq!(who_answers(&balancer, source), first, "{source}"));
        used.insert(first);
    }
    assert_eq!(used.len(), 3, "of 30 clients' networks none leads to some server: {used:?}");
}

#[track_caller]
fn by_connections(kind: Kind) {
    let farm = Farm::start(&[]);
    let balancer = kind.start("least-connections", &farm);
    // Two downloads of each server, by clients that take next to nothing; then those of one end.
    let mut downloads: Vec<_> = (0..6).map(|_| begin_download(&balancer)).collect();
    let names: Vec<_> = downloads.iter().map(|(name, _)| name.clone()).collect();
    for name in ["one", "two", "three"] {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 2, "{names:?}");
    }
    let idle = downloads[0].0.clone();
    downloads.retain(|(name, _)| *name != idle);
    eventually("the idle one gets all", || {
        let counts = spread(&balancer, 12);
        let all = ["one", "two", "three"].map(|name| if name == idle { 12 } else { 0 });
        (counts == all).then_some(())
    });
}

/// A download of the huge file that goes on for ever, and whose it is.
#[track_caller]
fn begin_download(balancer: &Balancer) -> (String, Client) {
    let mut client = Client::with_small_window(balancer.address());
    client.send("GET /huge.bin HTTP/1.1\r\nHost: site\r\n\r\n");
    let mut begin = Vec::new();
    loop {
        let mut buffer = [0; 512];
        let count = client.read(&mut buffer);
        assert!(count > 0, "the download ends at once");
        begin.extend_from_slice(&buffer[..count]);
        let body = begin.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| end + 4);
        if let Some(name) = body.and_then(|body| begin.get(body..body + HUGE_NAME)) {
            return (String::from_utf8_lossy(name).trim_end().to_owned(), client);
        }
    }
}

/// Clients' addresses reach the log, whatever they say themselves.
#[track_caller]
fn addresses_are_right(farm: &Farm, balancer: &Balancer) {
    for host in 2..12 {
        let source = Ipv4Addr::new(127, 0, 9, host);
        let target = format!("/who?{host}");
        let lies = "X-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nForwarded: for=192.0.2.3\r\n";
        assert!(!ask(balancer, source, &target, lies).is_empty());
        let line = eventually("the request is in a log", || farm.logged(&target).pop());
        assert!(line.starts_with(&format!("{source} ")), "{line} is not from {source}");
    }
}

/// What a run of ab ends with.
#[derive(Debug)]
struct Run {
    failed: usize,
    text: String,
}

/// Loads an address with run after run of ab, with kept connections and without in turn, until told to stop.
fn load(address: SocketAddr, stop: &AtomicBool, tell: impl Fn(Run)) {
    for round in 0.. {
        let mut ab = Command::new("ab");
        ab.args(["-q", "-n", "2000", "-c", &CLIENTS.to_string(), "-s", "15"]);
        if round % 2 == 0 {
            ab.arg("-k");
        }
        let run = ab.arg(format!("http://{address}/page.html")).output().unwrap();
        let text = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim().parse::<usize>().unwrap()
        };
        let left = 2000 - figure("Complete requests:");
        tell(Run { failed: figure("Failed requests:") + figure("Non-2xx responses:") + left, text });
        if stop.load(Relaxed) {
            return;
        }
    }
}

/// Waits for runs that have begun after now: one may be under way.
#[track_caller]
fn next_runs(runs: &Receiver<Run>) -> Vec<Run> {
    let mut seen: Vec<Run> = runs.try_iter().collect();
    (0..3).for_each(|_| seen.push(runs.recv_timeout(Duration::from_secs(60)).expect("ab ends")));
    seen
}

#[track_caller]
fn a_server_may_go(kind: Kind, test: &str) {
    if kind.is_missing(test) || is_missing("ab", test) {
        return;
    }
    let mut farm = Farm::start(&["--drain-timeout", "5s"]);
    let balancer = kind.start("round-robin", &farm);
    let (tell, runs) = channel();
    let stop = AtomicBool::new(false);
    let address = balancer.address();
    std::thread::scope(|scope| {
        scope.spawn(|| load(address, &stop, |run| drop(tell.send(run))));
        let _stop = Stop(&stop);
        let mut calm = next_runs(&runs);
        // One is drained, and another takes its place. What balancers keep of connections and don't use, it
        // waits for.
        let mut old = farm.servers.remove(1);
        old.signal(Signal::QUIT);
        assert_eq!(old.exit_code(), Some(0));
        calm.extend(next_runs(&runs));
        let place = old.address().to_string();
        let new = farm.launch("new", &[]).listen(&[&place]).start();
        within(DEADLINE * 2, "the new one is asked", || {
            fs::read_to_string(farm.logs.at("new")).is_ok_and(|log| log.contains("/page.html")).then_some(())
        });
        calm.extend(next_runs(&runs));
        for run in &calm {
            assert_eq!(run.failed, 0, "{kind:?}: {}", run.text);
        }
        // One is killed. What it was about to answer may be lost, if the balancer does not ask another.
        farm.servers[0].kill();
        let lost: usize = next_runs(&runs).iter().map(|run| run.failed).sum();
        assert!(lost <= CLIENTS, "{kind:?}: {lost} requests failed of a killed server");
        for run in next_runs(&runs) {
            assert_eq!(run.failed, 0, "{kind:?}, after a kill: {}", run.text);
        }
        drop(new);
    });
}

/// Ends the load, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn nginx_asks_servers_in_turn_and_by_weight() {
    if !Kind::Nginx.is_missing("nginx_asks_servers_in_turn_and_by_weight") {
        in_turn_and_by_weight(Kind::Nginx);
    }
}

#[test]
fn haproxy_asks_servers_in_turn_and_by_weight() {
    if !Kind::Haproxy.is_missing("haproxy_asks_servers_in_turn_and_by_weight") {
        in_turn_and_by_weight(Kind::Haproxy);
    }
}

#[test]
fn nginx_asks_the_same_server_for_the_same_client() {
    if !Kind::Nginx.is_missing("nginx_asks_the_same_server_for_the_same_client") {
        by_address(Kind::Nginx);
    }
}

#[test]
fn haproxy_asks_the_same_server_for_the_same_client() {
    if !Kind::Haproxy.is_missing("haproxy_asks_the_same_server_for_the_same_client") {
        by_address(Kind::Haproxy);
    }
}

#[test]
fn nginx_asks_the_server_with_the_fewest_connections() {
    if !Kind::Nginx.is_missing("nginx_asks_the_server_with_the_fewest_connections") {
        by_connections(Kind::Nginx);
    }
}

#[test]
fn haproxy_asks_the_server_with_the_fewest_connections() {
    if !Kind::Haproxy.is_missing("haproxy_asks_the_server_with_the_fewest_connections") {
        by_connections(Kind::Haproxy);
    }
}

#[test]
fn a_server_behind_nginx_is_drained_and_replaced_and_another_killed() {
    a_server_may_go(Kind::Nginx, "a_server_behind_nginx_is_drained_and_replaced_and_another_killed");
}

#[test]
fn a_server_behind_haproxy_is_drained_and_replaced_and_another_killed() {
    a_server_may_go(Kind::Haproxy, "a_server_behind_haproxy_is_drained_and_replaced_and_another_killed");
}

#[test]
fn clients_behind_nginx_are_known_by_their_address() {
    if Kind::Nginx.is_missing("clients_behind_nginx_are_known_by_their_address") {
        return;
    }
    let farm = Farm::start(&[]);
    addresses_are_right(&farm, &Kind::Nginx.start("round-robin", &farm));
}

#[test]
fn clients_behind_haproxy_are_known_by_their_address() {
    if Kind::Haproxy.is_missing("clients_behind_haproxy_are_known_by_their_address") {
        return;
    }
    let farm = Farm::start(&["--real-ip-header", "x-real-ip"]);
    addresses_are_right(&farm, &Kind::Haproxy.start("round-robin", &farm));
}

#[test]
fn haproxy_passes_connections_on_with_their_address() {
    if Kind::Haproxy.is_missing("haproxy_passes_connections_on_with_their_address") {
        return;
    }
    let farm = Farm::start(&["--proxy-protocol", "all"]);
    let balancer = Balancer::haproxy("tcp", "round_robin", farm.addresses());
    within(DEADLINE, "HAProxy lets a request through", || {
        (ask(&balancer, Ipv4Addr::LOCALHOST, "/page.html", "") == PAGE).then_some(())
    });
    addresses_are_right(&farm, &balancer);
    assert_eq!(spread(&balancer, 30), [10, 10, 10]);
}

#[test]
fn nginx_does_the_tls() {
    let test = "nginx_does_the_tls";
    if is_missing("nginx", test) || is_missing("openssl", test) || is_missing("curl", test) {
        return;
    }
    let farm = Farm::start(&[]);
    let balancer = Balancer::nginx("round-robin", "tls", farm.addresses());
    let authority = balancer.file("mayhttpd/certificate.pem");
    let secure = balancer.addresses[1];
    let text =
        within(DEADLINE, "nginx answers by TLS", || curl(&authority, &format!("https://{secure}/page.html")));
    assert!(text.starts_with("HTTP/2 200"), "{text}");
    assert!(text.as_bytes().ends_with(PAGE), "{text}");
    let moved = curl(&authority, &format!("http://{}/page.html?a=b", balancer.address())).unwrap();
    assert!(moved.starts_with("HTTP/1.1 301"), "{moved}");
    assert!(moved.contains("Location: https://127.0.0.1/page.html?a=b\r\n"), "{moved}");
}

/// Head and body that curl gets, by HTTP/2 where it can.
fn curl(authority: &Path, url: &str) -> Option<String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--include", "--max-time", "10", "--http2", "--cacert"]).arg(authority).arg(url);
    let run = curl.output().unwrap();
    run.status.success().then(|| String::from_utf8(run.stdout).unwrap())
}

/// Every flag, variable and path of the manifest is one that the program and its image have.
#[test]
fn the_kubernetes_manifest_fits_the_program() {
    let text = deployed("kubernetes/mayhttpd.yaml");
    let documents = yaml_rust2::YamlLoader::load_from_str(&text).unwrap();
    let kinds: Vec<_> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]);
    let labels = &documents[0]["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &documents[0]["spec"]["selector"]["matchLabels"],
        &documents[1]["spec"]["selector"],
        &documents[3]["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    assert_eq!(documents[2]["spec"]["scaleTargetRef"]["name"], documents[0]["metadata"]["name"]);
    let pod = &documents[0]["spec"]["template"]["spec"];
    assert_eq!(pod["enableServiceLinks"].as_bool(), Some(false));
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"].as_bool(), Some(true));
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0].as_str(), Some("ALL"));
    // What the kubelet calls safe, of what a pod may have of sysctl.conf, and the port.
    let safe = ["net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"];
    let own = include_str!("../../sysctl.conf");
    for sysctl in security["sysctls"].as_vec().unwrap() {
        let (name, value) = (sysctl["name"].as_str().unwrap(), sysctl["value"].as_str().unwrap());
        assert!(safe.contains(&name), "{name} is not safe");
        let ours = own.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        assert!(ours.is_none_or(|ours| ours.trim() == value), "{name} is {ours:?} in sysctl.conf");
    }
    let dockerfile = include_str!("../../Dockerfile");
    let user = security["runAsUser"].as_i64().unwrap();
    assert!(dockerfile.contains(&format!("USER {user}:{}", security["runAsGroup"].as_i64().unwrap())));
    let port = &container["ports"][0];
    assert!(dockerfile.contains(&format!("EXPOSE {}", port["containerPort"].as_i64().unwrap())));
    assert_eq!(documents[1]["spec"]["ports"][0]["targetPort"], port["name"]);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let command: Vec<_> = container[probe]["exec"]["command"]
            .as_vec()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        assert_eq!(command, ["/usr/local/bin/mayhttpd", "healthcheck"], "{probe}");
    }
    assert!(dockerfile.contains("/usr/local/bin/mayhttpd"));
    let words = container["args"].as_vec().unwrap().iter().map(|word| word.as_str().unwrap());
    let mut launch = Launch::site().flags(["-t"]).flags(words);
    for variable in container["env"].as_vec().unwrap() {
        let (name, value) = (variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
        launch = launch.environment(name, value);
    }
    let checked = launch.run();
    assert_eq!(checked.code, Some(0), "{}", checked.errors);
    assert!(!checked.errors.contains("WARN"), "{}", checked.errors);
    // The drain, which -t has judged, has its time.
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    let drain = text.split("\"--drain-timeout\", \"").nth(1).unwrap().split('s').next().unwrap();
    assert!(grace > pause + drain.parse::<i64>().unwrap());
}
