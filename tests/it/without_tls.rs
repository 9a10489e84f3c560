//! What requests without TLS get beside TLS listeners: redirects to https, ACME challenges, and what the
//! conditions of header rules and sign-ins say of them.

use std::sync::Arc;

use crate::support::certificate::Certificate;
use crate::support::configured::{Configured, launched};
use crate::support::tree::PAGE;
use crate::support::{Launch, Response, Tree, eventually, every};

const USERS: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n";

/// A server with a TLS listener, and its port.
struct WithTls {
    server: Configured,
    port: u16,
    _certificate: Certificate,
}

impl std::ops::Deref for WithTls {
    type Target = Configured;
    fn deref(&self) -> &Configured {
        &self.server
    }
}

/// A site with these settings and flags. Its TLS listener has a port that the kernel chooses.
#[track_caller]
fn start(tree: impl Into<Arc<Tree>>, settings: &str, flags: &[&str]) -> WithTls {
    let certificate = Certificate::for_localhost();
    let launch = Launch::of(tree).flags(["--tls-listen", "127.0.0.1:0"]).flags(certificate.flags());
    let server = launched(launch.flags(flags.iter().copied()), settings);
    let port = eventually("the port of TLS", || {
        let output = server.output();
        let line = output.lines().find_map(|line| line.strip_prefix("  https://127.0.0.1:"))?;
        line.strip_suffix('/')?.parse().ok()
    });
    WithTls { server, port, _certificate: certificate }
}

impl WithTls {
    /// The answer to a request of this line and these fields.
    #[track_caller]
    fn answer(&self, line: &str, fields: &str) -> Response {
        self.ask(format!("{line}\r\n{fields}\r\n"))
    }
}

#[test]
fn every_request_is_redirected_to_the_same_target() {
    let users = Tree::empty();
    let file = users.file("users", USERS);
    let settings = format!(
        "unknown_hosts = 'reject'\nsecurity_headers = true\nhsts = '365d'\n\
         auth = {{ realm = 'a', users_file = {file:?}, health = ['/health'] }}\n\
         [[redirect]]\nfrom = '/old'\nto = '/new'\n[[host]]\nnames = ['known.example']\n\
         [[host.location]]\npath = '/fixed'\nauth = false\nreturn = {{ status = 200 }}\n"
    );
    let server = start(Tree::site(), &settings, &["--https-redirect"]);
    let port = server.port;
    every(
        [
            ("GET /page.html HTTP/1.1", "known.example", "known.example:PORT/page.html"),
            ("HEAD / HTTP/1.1", "known.example:80", "known.example:PORT/"),
            ("POST /a?b=c&d HTTP/1.1", "other.example", "other.example:PORT/a?b=c&d"),
            ("OPTIONS / HTTP/1.1", "other.example", "other.example:PORT/"),
            ("FROB /x HTTP/1.1", "OTHER.example.", "other.example:PORT/x"),
            ("GET /fixed HTTP/1.1", "known.example", "known.example:PORT/fixed"),
            ("GET /health HTTP/1.1", "known.example", "known.example:PORT/health"),
            ("GET /old HTTP/1.1", "known.example", "known.example:PORT/old"),
            ("GET /%zz/../..\\<x> HTTP/1.1", "[::1]:8080", "[::1]:PORT/%zz/../..%5C%3Cx%3E"),
            ("GET /.well-known/acme-challenge/a HTTP/1.1", "a", "a:PORT/.well-known/acme-challenge/a"),
            ("GET http://known.example:81/p?q HTTP/1.1", "other", "known.example:PORT/p?q"),
        ]
        .map(|row| (row.0, row)),
        |(line, host, location)| {
            let response = server.answer(line, &format!("Host: {host}\r\n"));
            response.has_status(&[308]);
            assert_eq!(
                response["location"],
                format!("https://{}", location.replace("PORT", &port.to_string()))
            );
            assert_eq!(response.field("strict-transport-security"), None);
            assert_eq!(response.field("www-authenticate"), None);
        },
    );
    for (line, fields) in
        [("GET / HTTP/1.0", ""), ("GET / HTTP/1.1", "Host:\r\n"), ("OPTIONS * HTTP/1.1", "Host: a\r\n")]
    {
        server.answer(line, fields).has_status(&[400]);
    }
}

#[test]
fn challenges_are_answered_for_any_host_before_everything_else() {
    let (users, challenges, outside) = (Tree::empty(), Tree::empty(), Tree::empty());
    let file = users.file("users", USERS);
    challenges.file(".well-known/acme-challenge/webroot-1_A", "by webroot");
    challenges.file("alone-2", "alone");
    challenges.file("dir/file", "no challenge");
    challenges.file("with.dot", "no challenge");
    challenges.link(".well-known/acme-challenge/out", outside.file("secret", "secret"));
    let settings = format!(
        "unknown_hosts = 'reject'\nhidden = 'deny'\nlisting = true\nacme_challenges = {:?}\n\
         auth = {{ realm = 'a', users_file = {file:?} }}\n[[host]]\nnames = ['known.example']\n",
        challenges.path()
    );
    for flags in [&["--https-redirect"][..], &[]] {
        let server = start(Tree::site(), &settings, flags);
        let get = |name: &str, host: &str| {
            let line = format!("GET /.well-known/acme-challenge{name} HTTP/1.1");
            server.answer(&line, &format!("Host: {host}\r\n"))
        };
        for host in ["known.example", "other.example", ""] {
            get("/webroot-1_A", host).is(200, "by webroot");
            get("/alone-2", host).is(200, "alone");
            get("/%61lone-2", host).is(200, "alone");
            for name in
                ["", "/", "/absent", "/dir", "/dir/", "/dir/file", "/with.dot", "/alone-2/", "/.well-known"]
            {
                get(name, host).has_status(&[404]);
            }
            get("/out", host).has_status(&[403, 404]);
        }
        server.answer("HEAD /.well-known/acme-challenge/alone-2 HTTP/1.0", "").is(200, "");
        let refused = if flags.is_empty() { 421 } else { 308 };
        for line in ["POST /.well-known/acme-challenge/alone-2 HTTP/1.1", "GET /alone-2 HTTP/1.1"] {
            server.answer(line, "Host: other.example\r\n").has_status(&[refused]);
        }
        challenges.file("new-3", "new");
        get("/new-3", "a").is(200, "new");
        std::fs::remove_file(challenges.at("new-3")).unwrap();
        get("/new-3", "a").has_status(&[404]);
    }
}

#[test]
fn a_directory_of_the_site_has_challenges_at_their_whole_path_alone() {
    let (users, tree) = (Tree::empty(), Tree::site());
    let file = users.file("users", USERS);
    tree.file("secret", "secret");
    tree.file(".well-known/acme-challenge/token", "token");
    let settings =
        format!("acme_challenges = {:?}\nauth = {{ realm = 'a', users_file = {file:?} }}\n", tree.path());
    let server = start(tree, &settings, &[]);
    let get = |name: &str| server.get(format!("/.well-known/acme-challenge/{name}"));
    get("token").is(200, "token");
    get("secret").has_status(&[404]);
    server.get("/secret").has_status(&[401]);
}

#[test]
fn the_directory_of_challenges_must_exist_and_needs_a_listener_without_tls() {
    let certificate = Certificate::for_localhost();
    let launch = |flags: &[&str]| {
        let launch = Launch::site().flags(["--tls-listen", "127.0.0.1:0"]).flags(certificate.flags());
        launch.flags(flags.iter().copied())
    };
    let finished = launch(&["--acme-challenges", "/absent/acme"]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.errors.contains("cannot serve /absent/acme: no such file"), "{finished:?}");
    let finished = launch(&["--acme-challenges", "/"]).listen(&[]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.errors.contains("--acme-challenges: needs a listener without TLS"), "{finished:?}");
}

#[test]
fn a_header_rule_may_be_for_tls_alone_or_for_its_absence() {
    let settings = "[[header]]\npath = '/**'\nhttps = false\nset = { X-Plain = '1' }\n\
                    [[header]]\npath = '/**'\nhttps = true\nset = { X-Tls = '1' }\n";
    let response = start(Tree::site(), settings, &[]).get("/page.html");
    response.is(200, PAGE);
    assert_eq!((response.field("x-plain"), response.field("x-tls")), (Some("1"), None));
}

#[test]
fn a_location_may_take_passwords_over_tls_alone() {
    let users = Tree::empty();
    let file = users.file("users", USERS);
    let auth = format!("{{ realm = 'a', users_file = {file:?}, health = ['/empty.txt'], https = true }}");
    let settings = format!(
        "auth = {auth}\n[[rewrite]]\nfrom = '/open/*'\nto = '/:splat'\n\
         [[location]]\npath = '/open'\nauth = false\n"
    );
    let right = "Host: a\r\nAuthorization: Basic YW5uYTpyaWdodA==\r\n";
    let server = start(Tree::site(), &settings, &[]);
    for (target, fields) in [
        ("/page.html", "Host: a\r\n"),
        ("/page.html?b", right),
        ("/open/page.html", right),
        ("/absent", right),
    ] {
        let response = server.answer(&format!("GET {target} HTTP/1.1"), fields);
        response.has_status(&[308]);
        assert_eq!(response["location"], format!("https://a:{}{target}", server.port));
        assert_eq!(response.field("www-authenticate"), None);
    }
    server.get("/empty.txt").is(200, "");
    let without = launched(Launch::site(), &settings);
    for target in ["/page.html", "/open/page.html"] {
        without.ask(format!("GET {target} HTTP/1.1\r\n{right}\r\n")).has_status(&[403]);
    }
    without.get("/empty.txt").is(200, "");
}
