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
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::authority::Authority;
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

/// The documents of a manifest, and their kinds.
fn manifest(name: &str) -> (Vec<Yaml>, Vec<String>) {
    let documents = YamlLoader::load_from_str(&deployed(name)).unwrap();
    let kinds =
        documents.iter().filter_map(|document| document["kind"].as_str().map(str::to_owned)).collect();
    (documents, kinds)
}

#[track_caller]
fn text(value: &Yaml) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value:?}"))
}

fn list(value: &Yaml) -> &[Yaml] {
    value.as_vec().map_or(&[], Vec::as_slice)
}

#[test]
fn the_kubernetes_manifest_fits_the_program() {
    let (documents, kinds) = manifest("kubernetes/mayhttpd.yaml");
    assert_eq!(kinds, ["Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]);
    let labels = &documents[0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&documents[3]["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(documents[2]["spec"]["scaleTargetRef"]["name"], documents[0]["metadata"]["name"]);
    fits_the_program(&documents, &[]);
}

#[test]
fn the_kubernetes_manifest_with_tls_fits_the_program_and_the_other_one() {
    let (documents, kinds) = manifest("kubernetes/tls.yaml");
    assert_eq!(kinds, ["Deployment", "Service"]);
    let authority = Authority::new();
    let issued = authority.issue(&["test"]);
    let (chain, key) = (issued.chain.to_str().unwrap(), issued.key.to_str().unwrap());
    fits_the_program(&documents, &[("/certificates/tls.crt", chain), ("/certificates/tls.key", key)]);
    let pod = &documents[0]["spec"]["template"]["spec"];
    // The key of a Secret is read by its group.
    assert_eq!(pod["securityContext"]["fsGroup"], pod["securityContext"]["runAsGroup"]);
    let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"].as_str() == Some("certificates"));
    assert!(volume.is_some_and(|volume| !volume["secret"]["secretName"].is_badvalue()));
    let mounts = list(&pod["containers"][0]["volumeMounts"]);
    let mount = mounts.iter().find(|mount| mount["name"].as_str() == Some("certificates")).unwrap();
    assert_eq!(text(&mount["mountPath"]), "/certificates");
    assert!(mount["subPath"].is_badvalue(), "a file that is mounted by itself is never replaced");
    // What both have is the same.
    let (others, _) = manifest("kubernetes/mayhttpd.yaml");
    let other = &others[0]["spec"]["template"]["spec"];
    for key in ["enableServiceLinks", "terminationGracePeriodSeconds", "topologySpreadConstraints"] {
        assert_eq!(pod[key], other[key], "{key}");
    }
    let [container, other] = [pod, other].map(|pod| &pod["containers"][0]);
    for key in ["image", "args", "securityContext", "resources", "lifecycle", "readinessProbe"] {
        assert_eq!(container[key], other[key], "{key}");
    }
}

/// Every flag, variable and path of the Deployment and its Service is one that the program and its image
/// have, with these values in place of others.
#[track_caller]
fn fits_the_program(documents: &[Yaml], replaced: &[(&str, &str)]) {
    let labels = &documents[0]["spec"]["template"]["metadata"]["labels"];
    for selector in [&documents[0]["spec"]["selector"]["matchLabels"], &documents[1]["spec"]["selector"]] {
        assert_eq!(selector, labels);
    }
    let pod = &documents[0]["spec"]["template"]["spec"];
    assert_eq!(pod["enableServiceLinks"].as_bool(), Some(false));
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"].as_bool(), Some(true));
    let container = &pod["containers"][0];
    let image = text(&container["image"]);
    assert_eq!(image, concat!("mayhttpd:", env!("CARGO_PKG_VERSION")));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0].as_str(), Some("ALL"));
    // What the kubelet calls safe, of what a pod may have of sysctl.conf, and the port.
    let safe = ["net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"];
    let own = include_str!("../../sysctl.conf");
    for sysctl in list(&security["sysctls"]) {
        let (name, value) = (text(&sysctl["name"]), text(&sysctl["value"]));
        assert!(safe.contains(&name), "{name} is not safe");
        let ours = own.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        assert!(ours.is_none_or(|ours| ours.trim() == value), "{name} is {ours:?} in sysctl.conf");
    }
    let dockerfile = include_str!("../../Dockerfile");
    let user = security["runAsUser"].as_i64().unwrap();
    assert!(dockerfile.contains(&format!("USER {user}:{}", security["runAsGroup"].as_i64().unwrap())));
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let ports = list(&container["ports"]);
    assert_eq!(list(&documents[1]["spec"]["ports"]).len(), ports.len());
    for (port, public) in ports.iter().zip(list(&documents[1]["spec"]["ports"])) {
        let number = port["containerPort"].as_i64().unwrap();
        assert!(exposed.split(' ').any(|known| known == number.to_string()), "{number} is not in {exposed}");
        assert_eq!((&public["targetPort"], public["port"].as_i64()), (&port["name"], Some(number)));
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let command: Vec<_> = list(&container[probe]["exec"]["command"]).iter().map(text).collect();
        assert_eq!(command, ["/usr/local/bin/mayhttpd", "healthcheck"], "{probe}");
    }
    assert!(dockerfile.contains("/usr/local/bin/mayhttpd"));
    let words: Vec<&str> = list(&container["args"]).iter().map(text).collect();
    let environment =
        list(&container["env"]).iter().map(|entry| (text(&entry["name"]), text(&entry["value"])));
    is_understood(environment, &words, replaced);
    // The drain, which -t has judged, has its time.
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap();
    let drain = words.iter().skip_while(|word| **word != "--drain-timeout").nth(1).unwrap();
    assert!(grace > pause + drain.trim_end_matches('s').parse::<i64>().unwrap());
}

/// The settings are right by these variables and words in the image, with these values in place of others.
#[track_caller]
fn is_understood<'a>(
    environment: impl Iterator<Item = (&'a str, &'a str)>,
    words: &[&str],
    replaced: &[(&str, &str)],
) {
    let defaults = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/docker/defaults.toml");
    let mut launch = Launch::site().by_default().flags(["-t", "--defaults", defaults]).flags(words);
    for (name, value) in environment {
        let other = replaced.iter().find(|(told, _)| *told == value);
        launch = launch.environment(name, other.map_or(value, |(_, other)| *other));
    }
    let checked = launch.run();
    assert_eq!(checked.code, Some(0), "{}", checked.errors);
    assert!(!checked.errors.contains("WARN"), "{}", checked.errors);
}

#[test]
fn compose_with_tls_fits_the_program_and_its_image() {
    let (documents, _) = manifest("compose/tls.yaml");
    let services = &documents[0]["services"];
    let server = &services["mayhttpd"];
    let authority = Authority::new();
    let (issued, challenges) = (authority.issue(&["test"]), Tree::empty());
    let live = "/etc/letsencrypt/live/${NAME:-example.org}";
    let replaced = [
        (&*format!("{live}/fullchain.pem"), issued.chain.to_str().unwrap()),
        (&*format!("{live}/privkey.pem"), issued.key.to_str().unwrap()),
        ("/challenges", challenges.path().to_str().unwrap()),
    ];
    let environment = server["environment"].as_hash().unwrap().iter();
    is_understood(environment.map(|(name, value)| (text(name), text(value))), &[], &replaced);
    // The files that it reads are in what certbot writes to, and it can't write there.
    let volumes = |service: &str| -> Vec<(String, String)> {
        let volumes = list(&services[service]["volumes"]).iter().map(text);
        let ours = volumes.filter(|volume| !volume.starts_with('$'));
        ours.map(|volume| volume.split_once(':').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
    };
    let written = volumes("certbot");
    let read: Vec<_> = written.iter().map(|(name, path)| (name.clone(), format!("{path}:ro"))).collect();
    assert_eq!(volumes("mayhttpd"), read);
    let declared: Vec<&str> = documents[0]["volumes"].as_hash().unwrap().keys().map(text).collect();
    assert!(written.iter().map(|(name, _)| name).eq(&declared), "{written:?} {declared:?}");
    let exposed =
        include_str!("../../Dockerfile").lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let ports = list(&server["ports"]).iter().map(text);
    assert!(ports.eq(exposed.split(' ').map(|port| format!("{port}:{port}"))));
}
