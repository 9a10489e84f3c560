//! Sign-in by name and password: who is let in where, what hostile credentials get, and how a users file that
//! changes is taken up.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::Signal;

use crate::support::configured::{Configured, refused, serve};
use crate::support::exposition::Exposition;
use crate::support::launch::run_with;
use crate::support::{Client, Response, Server, Tree, eventually, skipped};

/// anna has "right", ben has "other"; by SHA-256-crypt, which is quick with so few rounds.
const ANNA: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB";
const BEN: &str = "ben:$5$rounds=1000$other$5U0XBcGnplQ0pNbIlW2Cf2I4nGQuqRQ6y9R.h.PD0O9";
/// "user:password", encoded.
const RIGHT: &str = "Authorization: Basic YW5uYTpyaWdodA==\r\n";
const OTHER: &str = "Authorization: Basic YmVuOm90aGVy\r\n";
const WRONG: &str = "Authorization: Basic YW5uYTp3cm9uZw==\r\n";
/// zoe, who does not exist.
const UNKNOWN: &str = "Authorization: Basic em9lOnJpZ2h0\r\n";

const CHALLENGE: &str = "Basic realm=\"staff\", charset=\"UTF-8\"";

/// A server and its users files.
struct Protected {
    server: Configured,
    /// `users` and, where the settings name it, `others`.
    files: Tree,
}

impl std::ops::Deref for Protected {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Protected {
    /// A site with files in several places. `USERS` in the settings is the directory of the users files.
    #[track_caller]
    fn start(settings: &str, flags: &[&str]) -> Protected {
        let tree = Tree::empty();
        for name in ["index.html", "a.txt", "open/o.txt", "staff/s.txt", "health", "staff/deep/index.html"] {
            tree.file(name, format!("{name}\n"));
        }
        let files = Tree::empty();
        files.file("users", format!("# staff\n{ANNA}\n{BEN}\n"));
        files.file("others", format!("{BEN}\n"));
        let text = settings.replace("USERS", files.path().to_str().unwrap());
        Protected { server: serve(tree, &text, flags), files }
    }

    /// Replaces a file at once, as an editor does.
    fn replace(&self, name: &str, text: &str) {
        let next = self.files.file("next", text);
        fs::rename(next, self.files.at(name)).unwrap();
    }

    /// Waits until a request has this status.
    #[track_caller]
    fn becomes(&self, target: &str, fields: &str, status: u16) {
        eventually(&format!("{target} is {status}"), || {
            (self.get_with(target, fields).status == status).then_some(())
        });
    }

    /// How many passwords were verified.
    fn verified(&self) -> f64 {
        Exposition::of(self.admin_address())
            .sum("mayhttpd_background_jobs_ended_total", "kind=\"password\",outcome=\"done\"")
    }
}

const STAFF: &str = "auth = { realm = 'staff', users_file = 'USERS/users' }\n";

/// Checks a 401.
#[track_caller]
fn is_refused(response: &Response) {
    response.has_status(&[401]);
    assert_eq!(response.all("www-authenticate"), [CHALLENGE]);
    assert_eq!(response.all("cache-control"), ["private"]);
}

#[test]
fn each_level_says_who_is_let_in_and_a_location_may_let_in_all() {
    let settings = format!(
        "{STAFF}[[location]]\npath = '/open'\nauth = false\n\
         [[location]]\npath = '/staff'\nauth = {{ realm = 'few', users_file = 'USERS/others' }}\n\
         [[location]]\npath = '/fixed'\nreturn = {{ status = 302 }}\nheaders = {{ Location = '/elsewhere' }}\n\
         [[location]]\npath = '/denied'\ndeny = ['all']\n\
         [[host]]\nnames = ['free.example']\nauth = false\n\
         [[host]]\nnames = ['own.example']\n[[host.location]]\npath = '/open'\nauth = false\n"
    );
    let server = Protected::start(&settings, &[]);
    for target in ["/", "/a.txt", "/absent", "/%61.txt", "/open/../a.txt", "/x/..//a.txt", "/fixed"] {
        is_refused(&server.get(target));
    }
    is_refused(&server.get_with("/fixed", WRONG));
    for (target, fields, status) in [
        ("/a.txt", RIGHT, 200),
        ("/a.txt", OTHER, 200),
        ("/absent", RIGHT, 404),
        ("/fixed", RIGHT, 302),
        ("/open/o.txt", "", 200),
        ("/open/o.txt", WRONG, 200),
        ("/staff/../open/o.txt", "", 200),
        ("/staff/s.txt", RIGHT, 401),
        ("/staff/s.txt", OTHER, 200),
        ("/open/../staff/s.txt", "", 401),
        ("/staff", OTHER, 301),
        ("/staff", "", 401),
        // Before a password is looked at.
        ("/denied", RIGHT, 403),
        ("/denied", "", 403),
        ("/a.txt", "Host: free.example\r\n", 200),
    ] {
        let host = if fields.starts_with("Host") { "" } else { "Host: a\r\n" };
        let response = server.ask(format!("GET {target} HTTP/1.1\r\n{host}{fields}\r\n"));
        assert_eq!(response.status, status, "{target} {fields}");
    }
    for (host, target, status) in [("own.example", "/a.txt", 401), ("own.example", "/open/o.txt", 200)] {
        server.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).has_status(&[status]);
    }
}

#[test]
fn every_method_needs_the_sign_in() {
    let server = Protected::start(STAFF, &[]);
    let ask = |method: &str, fields: &str| {
        let mut client = server.client();
        client.send(format!("{method} /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{fields}\r\n"));
        if method == "HEAD" { client.response_to_head() } else { client.response() }
    };
    for (method, status) in [("GET", 200), ("HEAD", 200), ("POST", 405), ("DELETE", 405)] {
        is_refused(&ask(method, ""));
        assert_eq!(ask(method, RIGHT).status, status, "{method}");
    }
    // It tells nothing of the path, and preflight requests have no credentials.
    ask("OPTIONS", "").has_status(&[204]);
}

#[test]
fn a_page_for_401_keeps_the_challenge() {
    let settings = format!(
        "{STAFF}cors = {{ origins = ['https://app.example'], headers = ['authorization'], credentials = true }}\n\
         error_pages = {{ 401 = {{ body = 'who are you', type = 'text/plain' }} }}\n"
    );
    let server = Protected::start(&settings, &[]);
    let refused = server.get_with("/a.txt", "Origin: https://app.example\r\n");
    is_refused(&refused);
    refused.is(401, "who are you");
    // Without it scripts could not see that it is a 401.
    assert_eq!(refused["access-control-allow-origin"], "https://app.example");
}

#[test]
fn header_rules_apply_to_what_is_not_let_in() {
    let settings = format!(
        "{STAFF}[[header]]\npath = '/**'\nset = {{ X-Rule = 'let in' }}\n\
         [[header]]\npath = '/**'\nstatus = [401]\nset = {{ X-Refused = 'yes', Cache-Control = 'public' }}\n"
    );
    let server = Protected::start(&settings, &[]);
    for fields in ["", WRONG] {
        let refused = server.get_with("/a.txt", fields);
        refused.has_status(&[401]);
        assert_eq!(refused.all("www-authenticate"), [CHALLENGE]);
        assert_eq!((refused.field("x-refused"), refused.field("x-rule")), (Some("yes"), None));
        assert_eq!(refused.all("cache-control"), ["public", "private"]);
    }
    let allowed = server.get_with("/a.txt", RIGHT);
    assert_eq!((allowed.field("x-rule"), allowed.field("x-refused")), (Some("let in"), None));
    let refused = server.ask("POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    refused.has_status(&[401]);
    assert_eq!((refused.field("x-refused"), refused.field("x-rule")), (Some("yes"), None));
}

#[test]
fn no_page_of_a_protected_path_is_sent_for_an_open_one() {
    let settings = format!(
        "{STAFF}fallback = '/index.html'\n\
         [[location]]\npath = '/open'\nauth = false\nclean_urls = true\n\
         [[location]]\npath = '/open/s.html'\nauth = {{ realm = 'few', users_file = 'USERS/others' }}\n"
    );
    let server = Protected::start(&settings, &[]);
    server.tree().file("open/s.html", "s\n");
    server.tree().file("open/p.html", "p\n");
    server.get("/open/p").is(200, "p\n");
    server.get("/open/s").has_status(&[404]);
    server.get("/open/s.html").has_status(&[401]);
    server.get_with("/open/page", "Accept: text/html\r\n").has_status(&[404]);
    server.get_with("/page", &format!("Accept: text/html\r\n{RIGHT}")).is(200, "index.html\n");
    is_refused(&server.get_with("/page", "Accept: text/html\r\n"));
}

#[test]
fn a_directory_protects_the_variants_of_its_files_and_a_path_protects_one_name() {
    let server = Protected::start(
        "[[location]]\npath = '/staff'\nauth = { realm = 'staff', users_file = 'USERS/users' }\n\
         [[location]]\npath = '/a.txt'\nauth = { realm = 'staff', users_file = 'USERS/users' }\n\
         [[location]]\npath = '/health'\ndeny = ['all']\n",
        &[],
    );
    for name in ["staff/s.txt.gz", "a.txt.gz", "health.gz"] {
        server.tree().file(name, "coded");
    }
    is_refused(&server.get("/staff/s.txt"));
    is_refused(&server.get("/staff/s.txt.gz"));
    is_refused(&server.get_with("/staff/s.txt", "Accept-Encoding: gzip\r\n"));
    is_refused(&server.get_with("/a.txt", "Accept-Encoding: gzip\r\n"));
    server.get("/health").has_status(&[403]);
    for target in ["/a.txt.gz", "/health.gz"] {
        server.get(target).is(200, "coded");
    }
}

#[test]
fn a_health_path_gives_out_no_page_that_needs_the_sign_in() {
    let settings = "auth = { realm = 'staff', users_file = 'USERS/users', health = ['/check', '/clean'] }\n\
                    fallback = '/index.html'\nclean_urls = true\n";
    let server = Protected::start(settings, &[]);
    server.tree().file("clean.html", "clean\n");
    for target in ["/check", "/clean"] {
        server.get_with(target, "Accept: text/html\r\n").has_status(&[404]);
        server.get_with(target, &format!("Accept: text/html\r\n{RIGHT}")).has_status(&[404]);
    }
    server.get_with("/clean.html", RIGHT).has_status(&[200, 301]);
}

#[test]
fn a_rewrite_to_a_protected_path_needs_the_sign_in_there() {
    let settings = format!(
        "[[rewrite]]\nfrom = '/short/*'\nto = '/staff/:splat'\n\
         [[rewrite]]\nfrom = '/denied/*'\nto = '/both/:splat'\n\
         [[location]]\npath = '/staff'\n{STAFF}\
         [[location]]\npath = '/both'\ndeny = ['all']\n{STAFF}"
    );
    let server = Protected::start(&settings, &["--admin", "0"]);
    is_refused(&server.get("/short/s.txt"));
    let response = server.get_with("/short/s.txt", RIGHT);
    response.is(200, "staff/s.txt\n");
    assert_eq!(response.all("cache-control"), ["private"]);
    assert_eq!(server.get("/a.txt").field("cache-control"), None);
    let verified = server.verified();
    server.get_with("/denied/s.txt", WRONG).has_status(&[403]);
    assert_eq!(server.verified(), verified, "a client that is denied makes no guess");
}

#[test]
fn shared_caches_keep_nothing_of_a_protected_path() {
    let settings = format!(
        "{STAFF}cache_control = 'public'\nexpires = '1h'\n\
         [[location]]\npath = '/staff'\ncache_control = 'no-store'\nexpires = 'off'\n\
         [[location]]\npath = '/open'\nauth = false\n"
    );
    let server = Protected::start(&settings, &[]);
    let response = server.get_with("/a.txt", RIGHT);
    assert_eq!(response.all("cache-control"), ["public, max-age=3600", "private"]);
    let tag = response["etag"].to_owned();
    let response = server.get_with("/a.txt", &format!("{RIGHT}If-None-Match: {tag}\r\n"));
    response.has_status(&[304]);
    assert!(response.all("cache-control").contains(&"private"));
    assert_eq!(server.get_with("/absent", RIGHT).all("cache-control"), ["private"]);
    assert_eq!(server.get_with("/staff/s.txt", RIGHT).all("cache-control"), ["no-store"]);
    assert_eq!(server.get("/open/o.txt").all("cache-control"), ["public, max-age=3600"]);
}

#[test]
fn health_paths_need_no_sign_in_and_open_nothing_else() {
    let settings = "auth = { realm = 'staff', users_file = 'USERS/users', health = ['/health', '/no/'] }\n\
                    [[location]]\npath = '/'\nfind_by_name = true\n\
                    [[location]]\npath = '/x y'\n\
                    auth = { realm = 'staff', users_file = 'USERS/users', health = ['/x y/', '/x y/h'] }\n";
    let server = Protected::start(settings, &[]);
    server.get("/health").is(200, "health\n");
    assert_eq!(server.get("/health").field("cache-control"), None);
    server.get("/%68ealth").has_status(&[200]);
    for target in ["/no", "/x%20y", "/x%20y/", "/x%20y/%68"] {
        server.get(target).has_status(&[404]);
    }
    for target in ["/x%20y/health", "/health/x", "/healthy", "/Health", "/", "/?=health", "/x/health"] {
        is_refused(&server.get(target));
    }
    server.get_with("/x/health", RIGHT).has_status(&[200]);
}

#[test]
fn a_search_by_name_finds_nothing_that_needs_another_sign_in() {
    let settings = format!(
        "{STAFF}[[location]]\npath = '/open'\nauth = false\nfind_by_name = true\n\
         [[location]]\npath = '/staff'\nauth = {{ realm = 'few', users_file = 'USERS/others' }}\n\
         [[location]]\npath = '/find'\nfind_by_name = true\n"
    );
    let server = Protected::start(&settings, &[]);
    for (target, fields, status) in [
        ("/open/x/o.txt", "", 200),
        ("/open/x/a.txt", "", 404),
        ("/open/x/s.txt", "", 404),
        ("/open?=s.txt", "", 404),
        ("/find/a.txt", "", 401),
        ("/find/a.txt", RIGHT, 200),
        ("/find/o.txt", RIGHT, 200),
        ("/find/s.txt", RIGHT, 404),
    ] {
        let response = server.get_with(target, fields);
        assert_eq!(response.status, status, "{target} {fields}");
    }
}

#[test]
fn hostile_credentials_are_refused_without_a_verification() {
    let server = Protected::start(STAFF, &["--admin", "0"]);
    let long = "A".repeat(20_000);
    let double = RIGHT.repeat(2);
    for fields in [
        "Authorization:\r\n",
        "Authorization: Basic\r\n",
        "Authorization: Basic \r\n",
        "Authorization: Basic ====\r\n",
        "Authorization: Basic YW5uYQ==\r\n",
        "Authorization: Basic OnJpZ2h0\r\n",
        "Authorization: Bearer YW5uYTpyaWdodA==\r\n",
        "Authorization: Digest username=\"anna\"\r\n",
        "Authorization: Basic YW5uYTpyaWdodA==, Basic YW5uYTpyaWdodA==\r\n",
        // "anna:right" with a line feed, and with a NUL.
        "Authorization: Basic YW5uYTpyaWdodAo=\r\n",
        "Authorization: Basic YW5uYTpyaWdodAA=\r\n",
        "Authorization: Basic \u{fc}\r\n",
        "Proxy-Authorization: Basic YW5uYTpyaWdodA==\r\n",
        &format!("Authorization: Basic {long}\r\n"),
        &double,
    ] {
        is_refused(&server.get_with("/a.txt", fields));
    }
    assert_eq!(server.verified(), 0.0);
    server.get_with("/a.txt", "authorization: bAsIc   YW5uYTpyaWdodA\r\n").has_status(&[200]);
}

#[test]
fn a_right_answer_is_remembered_and_a_wrong_one_is_verified_again() {
    let server = Protected::start(STAFF, &["--admin", "0"]);
    for _ in 0..5 {
        server.get_with("/a.txt", RIGHT).has_status(&[200]);
    }
    assert_eq!(server.verified(), 1.0);
    for (verified, fields) in [(2.0, WRONG), (3.0, UNKNOWN), (4.0, WRONG)] {
        is_refused(&server.get_with("/a.txt", fields));
        assert_eq!(server.verified(), verified);
    }
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    assert_eq!(server.verified(), 4.0);
}

#[test]
fn a_client_that_fails_again_and_again_is_sent_away_and_others_are_served() {
    let server = Protected::start(STAFF, &["--admin", "0"]);
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    // "anna:1" to "anna:3".
    for credentials in ["YW5uYTox", "YW5uYToy", "YW5uYToz"] {
        is_refused(&server.get_with("/a.txt", &format!("Authorization: Basic {credentials}\r\n")));
    }
    // All at once, each with another password: "a:a" to "b:i".
    let last = ["h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let credentials = ["YTp", "Yjp"].iter().flat_map(|user| last.map(|last| format!("{user}{last}")));
    let mut clients: Vec<_> = credentials.map(|credentials| (server.client(), credentials)).collect();
    let sent_away = sent_away(&mut clients);
    let seconds: u64 = sent_away["retry-after"].parse().unwrap();
    assert!((10..60).contains(&seconds), "{seconds}");
    // What is remembered does not wait.
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    assert!(server.verified() < 4.0 + clients.len() as f64);
}

/// Has clients sign in, all at once, each with its credentials. Returns the response of one that has to wait.
#[track_caller]
fn sent_away(clients: &mut [(Client, String)]) -> Response {
    for (client, credentials) in clients.iter_mut() {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {credentials}\r\n\r\n"));
    }
    let sent_away = eventually("one is sent away", || {
        let answered =
            clients.iter_mut().filter_map(|(client, _)| client.has_news().then(|| client.response()));
        answered.into_iter().find(|response| response.status != 401)
    });
    sent_away.has_status(&[429]);
    sent_away
}

#[test]
fn one_address_does_not_keep_others_from_signing_in() {
    let server = Protected::start(STAFF, &["--admin", "0"]);
    // Verifications that take a while; no password is right.
    let slow = ANNA.replace("anna", "eva").replace("rounds=1000", "rounds=50000");
    server.replace("users", &format!("{ANNA}\n{slow}\n"));
    server.becomes("/a.txt", OTHER, 401);
    let before = server.verified();
    // "eva:aa", "eva:ab" and so on, all at once from another address.
    let passwords = (b'a'..=b'g').flat_map(|first| (b'a'..=b'j').map(move |second| [first, second]));
    let mut clients: Vec<_> = passwords
        .map(|password| {
            let client = Client::from_address("127.0.0.2".parse().unwrap(), server.address());
            (client, BASE64.encode([&b"eva:"[..], &password].concat()))
        })
        .collect();
    sent_away(&mut clients);
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    assert!(server.verified() - before < 30.0, "{}", server.verified());
}

#[test]
fn a_changed_file_is_taken_up_and_a_faulty_one_leaves_the_users_as_they_were() {
    let server = Protected::start(STAFF, &["--admin", "0"]);
    let pid = server.workers()[0].pid;
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    server.get_with("/a.txt", OTHER).has_status(&[200]);
    let verified = server.verified();
    server.replace("users", &format!("{BEN}\n"));
    server.becomes("/a.txt", RIGHT, 401);
    server.says("how many users there are", |line| line.contains("has changed: 1 users"));

    let before = server.verified();
    server.get_with("/a.txt", OTHER).has_status(&[200]);
    assert!(server.verified() == before && before >= verified, "who has not changed is remembered");

    server.replace("users", "ben:plain\n");
    server.says("the file, the line and the reason", |line| {
        line.contains("/users: line 1: the hash of user ben is DES, plain text or an unknown format")
            && line.contains("its users stay as they were")
    });
    server.get_with("/a.txt", OTHER).has_status(&[200]);
    fs::remove_file(server.files.at("users")).unwrap();
    server.says("that it has gone", |line| line.contains("/users: no such file"));
    server.get_with("/a.txt", OTHER).has_status(&[200]);
    server.replace("users", &format!("{ANNA}\n"));
    server.becomes("/a.txt", OTHER, 401);
    assert_eq!(server.log().matches("line 1:").count(), 1);
    assert!(!server.log().contains("plain\""));
    assert_eq!(server.workers()[0].pid, pid, "no worker was started again");
    // A worker that starts later has what was taken up.
    server.replace_worker();
    server.becomes("/a.txt", RIGHT, 200);
    server.get_with("/a.txt", OTHER).has_status(&[401]);
}

#[test]
fn a_faulty_file_keeps_a_server_from_its_start_and_a_reload_from_its_end() {
    let files = Tree::empty();
    let path = files.at("users");
    let settings = STAFF.replace("USERS", files.path().to_str().unwrap());
    for (text, why) in [
        (None, "no such file"),
        (Some(format!("{ANNA}\n{ANNA}\n")), "line 2: user anna stands in line 1 already"),
        (Some("\nanna".to_owned()), "line 2: there is no colon"),
        (Some("anna:$2y$31$".to_owned()), "line 1: the hash of user anna"),
    ] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let error = refused(&settings);
        let start = format!("mayhttpd: cannot use the users file {}: ", path.display());
        assert!(error.starts_with(&start) && error.contains(why), "{error}");
    }
    let server = Protected::start(STAFF, &[]);
    server.replace("users", "anna");
    server.signal(Signal::HUP);
    server.says("why it does not reload", |line| line.contains("line 1: there is no colon"));
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    server.replace("users", &format!("{ANNA}\n"));
    server.signal(Signal::HUP);
    server.becomes("/a.txt", OTHER, 401);
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
}

#[test]
fn mistakes_are_said_with_their_place() {
    for (text, error) in [
        ("auth = true", "FILE:1:8: auth: is a boolean (expected false or a table: "),
        ("auth = '/etc/users'", "FILE:1:8: auth: is a string (expected false or a table: "),
        ("auth = {}", "FILE:1:8: auth: needs realm (expected "),
        ("auth = { realm = 'a' }", "FILE:1:8: auth: needs users_file (expected "),
        ("auth = { users_file = 'a' }", "FILE:1:8: auth: needs realm (expected "),
        ("auth = { realm = '', users_file = 'a' }", "FILE:1:18: auth.realm: invalid value \"\""),
        ("auth = { realm = 1, users_file = 'a' }", "FILE:1:18: auth.realm: is an integer"),
        ("auth = { realm = \"a\\nb\", users_file = 'a' }", "FILE:1:18: auth.realm: invalid value"),
        ("auth = { realm = 'a', users_file = '' }", "FILE:1:36: auth.users_file: invalid value \"\""),
        ("auth = { realm = 'a', user_file = 'a' }", "auth.user_file: unknown key (did you mean users_file?)"),
        ("auth = { realm = 'a', users_file = 'a', health = '/x' }", "auth.health: is a string"),
        ("auth = { realm = 'a', users_file = 'a', health = ['x'] }", "auth.health: invalid value \"x\""),
        (
            "auth = { realm = 'a', users_file = 'a', health = ['/%68'] }",
            "invalid value \"/%68\" (expected a path w",
        ),
        ("auth = { realm = 'a', users_file = 'a', health = ['/a/../b'] }", "invalid value \"/a/../b\""),
        ("auth = { realm = 'a', users_file = 'a', health = ['/./b'] }", "invalid value \"/./b\""),
        ("auth = { realm = 'a', users_file = 'a', health = ['/..'] }", "invalid value \"/..\""),
        ("auth = { realm = 'a', users_file = 'a', health = ['/b', '//x'] }", "invalid value \"//x\""),
        ("auth = { realm = 'a', users_file = 'a', health = ['/x//'] }", "invalid value \"/x//\""),
        (
            "[[location]]\npath = '/a'\nauth = { realm = 'a', users_file = 'a', health = ['/a/b', '/ab'] }",
            "auth.health: /ab is outside the location",
        ),
        ("auth = { realm = 'a', users_file = 'a', health = [] }", "auth.health: is empty"),
    ] {
        let refusal = refused(&format!("{text}\n"));
        assert!(refusal.contains(error), "{text}: {refusal}");
    }
}

#[test]
fn the_access_log_has_the_user() {
    let logs = Tree::empty();
    let log = logs.at("access.log");
    let spaced = BEN.replacen("ben", "ben b", 1);
    for (format, anna, none, spaced_name) in [
        ("combined", " - anna [", " - - [", " - ben\\x20b ["),
        ("json", "\"user\":\"anna\",", "\"method\":\"GET\"", "\"user\":\"ben b\","),
    ] {
        let flags = ["--access-log", log.to_str().unwrap(), "--access-format", format];
        let rules = "[[rewrite]]\nfrom = '/in/*'\nto = '/staff/:splat'\n\
                     [[location]]\npath = '/in'\nauth = false\n";
        let server = Protected::start(&format!("{STAFF}{rules}"), &flags);
        server.replace("users", &format!("{ANNA}\n{spaced}\n"));
        server.becomes("/a.txt", "Authorization: Basic YmVuIGI6b3RoZXI=\r\n", 200);
        server.get_with("/a.txt?anna", RIGHT).has_status(&[200]);
        server.get_with("/a.txt?none", WRONG).has_status(&[401]);
        server.get_with("/in/s.txt?rewritten", RIGHT).has_status(&[200]);
        server.get_with("/in/s.txt?unknown", UNKNOWN).has_status(&[401]);
        let has = |target: &str, wanted: &str| {
            eventually(&format!("{wanted} in the line of {target}"), || {
                let text = fs::read_to_string(&log).unwrap_or_default();
                text.lines().any(|line| line.contains(target) && line.contains(wanted)).then_some(())
            });
        };
        has("?anna", anna);
        has("?none", none);
        has("?rewritten", anna);
        has("?unknown", none);
        has("/a.txt", spaced_name);
        let text = fs::read_to_string(&log).unwrap();
        for (target, user) in [("?none", "anna"), ("?unknown", "zoe")] {
            assert!(!text.lines().any(|line| line.contains(target) && line.contains(user)), "{text}");
        }
        fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_file_that_only_root_may_read_serves_workers_of_another_user() {
    let test = "a_file_that_only_root_may_read_serves_workers_of_another_user";
    if !rustix::process::geteuid().is_root() {
        skipped(test, "not root");
        return;
    }
    let server = Protected::start(&format!("user = 'nobody'\n{STAFF}"), &[]);
    let path: PathBuf = server.files.at("users");
    let lock = |path: &PathBuf| {
        chown(path, Some(0), Some(0)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    };
    lock(&path);
    assert_ne!(server.workers()[0].user(), 0);
    server.get_with("/a.txt", RIGHT).has_status(&[200]);
    let next = server.files.file("next", format!("{BEN}\n"));
    lock(&next);
    fs::rename(next, &path).unwrap();
    server.becomes("/a.txt", RIGHT, 401);
    server.get_with("/a.txt", OTHER).has_status(&[200]);
}

#[test]
fn a_line_of_the_command_lets_its_user_in() {
    let tree = Tree::empty();
    tree.file("a.txt", "a");
    let files = Tree::empty();
    let mut lines = String::new();
    for kind in [&["password", "bcrypt"][..], &["password", "argon2id", "--argon2id"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_mayhttpd"));
        child.args([&kind[..1], &kind[2..], &kind[1..2]].concat());
        let input = files.file("input", "right\n");
        child.stdin(fs::File::open(input).unwrap());
        lines.push_str(&String::from_utf8(child.output().unwrap().stdout).unwrap());
    }
    files.file("users", lines);
    let server = serve(tree, &STAFF.replace("USERS", files.path().to_str().unwrap()), &[]);
    // "bcrypt:right", "argon2id:right", "argon2id:wrong".
    for (credentials, status) in
        [("YmNyeXB0OnJpZ2h0", 200), ("YXJnb24yaWQ6cmlnaHQ=", 200), ("YXJnb24yaWQ6d3Jvbmc=", 401)]
    {
        let response = server.get_with("/a.txt", &format!("Authorization: Basic {credentials}\r\n"));
        assert_eq!(response.status, status, "{credentials}");
    }
}

#[test]
fn a_dump_has_what_was_set() {
    let files = Tree::empty();
    let file = files.file(
        "may.toml",
        "[[location]]\npath = '/a'\nauth = { realm = 'a\"b', users_file = '/u', health = ['/a/x'] }\n\
         [[location]]\npath = '/b'\nauth = false\n",
    );
    let dump = run_with(&["-T", "-c", file.to_str().unwrap()]).output;
    for line in ["auth = { realm = \"a\\\"b\", users_file = \"/u\", health = [\"/a/x\"] }", "auth = false"] {
        assert!(dump.contains(line), "{dump}");
    }
}

#[test]
fn a_rewrite_leads_past_no_sign_in_and_what_is_behind_stays_private() {
    let server = Protected::start(
        "[[rewrite]]\nfrom = '/in/*'\nto = '/staff/:splat'\n\
         [[rewrite]]\nfrom = '/lost'\nto = '/staff/s.txt'\nstatus = 404\n\
         [[header]]\npath = '/**'\nset = { Cache-Control = 'public, max-age=60' }\n\
         [[location]]\npath = '/staff'\nauth = { realm = 'staff', users_file = 'USERS/users' }\n",
        &[],
    );
    for (target, status) in [("/in/s.txt", 200), ("/lost", 404)] {
        let refused = server.get(target);
        refused.has_status(&[401]);
        assert_eq!(refused.field("www-authenticate"), Some(CHALLENGE));
        let response = server.get_with(target, RIGHT);
        response.is(status, "staff/s.txt\n");
        assert!(response.all("cache-control").contains(&"private"), "{target}: {response:?}");
    }
    assert_eq!(server.get("/a.txt").all("cache-control"), ["public, max-age=60"]);
}
