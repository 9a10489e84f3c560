//! The settings files of docs/examples: each is read as it stands, then served with the paths and addresses
//! of the test in place of its own, and gives the responses that its comments promise. Those of docs/sites.md
//! are read.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::support::json::Json;
use crate::support::launch::run_with;
use crate::support::{Client, Launch, Server, Tree, eventually, every, plain};

/// An example: the files that its requests need, and what is put in place of its addresses. `/srv`,
/// `/var/www/html` and `/var/log/mayhttpd` become directories of the test's own tree.
struct Example {
    name: &'static str,
    files: &'static [&'static str],
    addresses: &'static [(&'static str, &'static str)],
    /// How the client address of a promise comes to the server.
    passed_by: PassedBy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PassedBy {
    Peer,
    Field,
    ProxyHeader,
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "small-site",
        files: &[
            "srv/www/index.html",
            "srv/www/assets/site.css",
            "srv/www/private/plan.txt",
            "srv/www/.git/config",
        ],
        addresses: &[("*:80", "127.0.0.1:0")],
        passed_by: PassedBy::Peer,
    },
    Example {
        name: "behind-nginx",
        files: &["srv/www/index.html", "srv/www/internal/report.txt"],
        addresses: &[("127.0.0.1:8080", "127.0.0.1:0")],
        passed_by: PassedBy::Field,
    },
    Example {
        name: "behind-haproxy",
        files: &["srv/www/index.html", "srv/www/internal/report.txt"],
        addresses: &[("10.0.0.11:8081", "127.0.0.2:0"), ("127.0.0.1:8080", "127.0.0.1:0")],
        passed_by: PassedBy::ProxyHeader,
    },
    Example {
        name: "many-locations",
        files: &[
            "srv/www/index.html",
            "srv/www/notes.log",
            "srv/www/downloads/release.tar.gz",
            "srv/www/admin/index.html",
            "srv/assets/static/app.js",
            "srv/manual/start.html",
            "srv/manual/chapter.html",
            "srv/archive/one/two/deep.txt",
        ],
        addresses: &[("*:80", "127.0.0.1:0")],
        passed_by: PassedBy::Peer,
    },
    Example {
        name: "spa-deployments",
        files: &[
            "srv/app/current/index.html",
            "srv/app/current/404.html",
            "srv/app/current/assets/index-4xK9dQ2b.js",
            "srv/app/previous/index.html",
            "srv/app/previous/old.html",
            "srv/app/previous/assets/index-7fR2mW8c.js",
            "srv/app/next/index.html",
        ],
        addresses: &[("*:80", "127.0.0.1:0")],
        passed_by: PassedBy::Peer,
    },
    Example {
        name: "two-hosts",
        files: &["srv/www/index.html", "srv/www/about.html", "srv/files/notes.txt"],
        addresses: &[("*:80", "127.0.0.1:0")],
        passed_by: PassedBy::Peer,
    },
    Example {
        name: "container",
        files: &["var/www/html/index.html"],
        addresses: &[("*:80", "127.0.0.1:0"), ("127.0.0.1:9480", "127.0.0.1:0")],
        passed_by: PassedBy::Peer,
    },
];

/// A request that a comment of an example promises a response to.
#[derive(Debug)]
struct Promise {
    target: String,
    from: Option<String>,
    status: u16,
    field: Option<(String, String)>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")
}

impl Example {
    fn path(&self) -> PathBuf {
        directory().join(format!("{}.toml", self.name))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Lines such as `#   GET /target  from 10.1.2.3  200  Field: value`; two spaces stand between columns.
    fn promises(&self) -> Vec<Promise> {
        let text = self.text();
        let lines = text.lines().filter_map(|line| line.strip_prefix("#   GET "));
        lines
            .map(|line| {
                let mut columns =
                    line.split("  ").map(str::trim).filter(|column| !column.is_empty()).peekable();
                let target = columns.next().unwrap().to_owned();
                let from = columns.next_if(|column| column.starts_with("from "));
                let status = columns.next().unwrap().parse().unwrap();
                let field = columns.next().map(|field| field.split_once(": ").unwrap());
                Promise {
                    target,
                    from: from.map(|from| from["from ".len()..].to_owned()),
                    status,
                    field: field.map(|(name, value)| (name.to_owned(), value.to_owned())),
                }
            })
            .collect()
    }

    /// The tree with the files, and the settings with its paths and addresses.
    fn adapted(&self) -> (Tree, String) {
        let tree = Tree::empty();
        for file in self.files {
            tree.file(file, format!("{file}\n"));
        }
        tree.dir("log");
        let mut text = self.text();
        for (documented, tested) in self.addresses {
            let (documented, tested) = (format!("\"{documented}\""), format!("\"{tested}\""));
            assert!(text.contains(&documented), "{} has no {documented}", self.name);
            text = text.replace(&documented, &tested);
        }
        for (documented, tested) in
            [("/srv/", "srv/"), ("/var/www/", "var/www/"), ("/var/log/mayhttpd/", "log/")]
        {
            let tested = format!("\"{}/{tested}", tree.path().display());
            text = text.replace(&format!("\"{documented}"), &tested);
        }
        let path = tree.file("settings.toml", text).to_str().unwrap().to_owned();
        (tree, path)
    }

    fn start(&self) -> (Tree, Server) {
        let (tree, path) = self.adapted();
        let server = Launch::rootless().by_default().flags(["-c", &path]).start();
        (tree, server)
    }

    /// Whether the response keeps the promise.
    #[track_caller]
    fn keeps(&self, server: &Server, promise: &Promise) {
        let Promise { target, from, status, field } = promise;
        let (mut before, mut fields) = (String::new(), String::new());
        match (self.passed_by, from) {
            (_, None) => {}
            (PassedBy::Field, Some(from)) => fields = format!("X-Forwarded-For: {from}\r\n"),
            (PassedBy::ProxyHeader, Some(from)) => {
                before = format!("PROXY TCP4 {from} 10.0.0.11 40000 8081\r\n")
            }
            (PassedBy::Peer, Some(from)) => panic!("no way to come from {from}"),
        }
        let mut client = server.client();
        client.send(format!("{before}GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
        let response = client.response();
        response.has_status(&[*status]);
        if let Some((name, value)) = field {
            assert_eq!(response.field(name), Some(value.as_str()), "{promise:?}");
        }
    }
}

fn example(name: &str) -> &'static Example {
    EXAMPLES.iter().find(|example| example.name == name).unwrap()
}

#[test]
fn each_example_is_tested() {
    let mut found: Vec<_> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut tested: Vec<_> = EXAMPLES.iter().map(|example| format!("{}.toml", example.name)).collect();
    found.sort();
    tested.sort();
    assert_eq!(found, tested);
}

#[test]
fn each_example_is_good_as_it_stands_and_passes_the_check_with_paths_that_exist() {
    every(EXAMPLES.iter().map(|example| (example.name, example)), |example| {
        let dumped = run_with(&["-T", "-c", example.path().to_str().unwrap()]);
        assert_eq!((dumped.code, dumped.errors.as_str()), (Some(0), ""), "{dumped:?}");
        let (_tree, path) = example.adapted();
        let checked = run_with(&["-t", "-c", &path]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert!(checked.errors.lines().count() == 1, "a warning: {checked:?}");
    });
}

#[test]
fn each_example_of_a_feature_is_a_settings_file() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sites.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 10, "{blocks:?}");
    let tree = Tree::empty();
    every(blocks.into_iter().map(|block| (block, block)), |block| {
        let path = tree.file("settings.toml", block);
        let dumped = run_with(&["-T", "-c", path.to_str().unwrap()]);
        assert_eq!((dumped.code, dumped.errors.as_str()), (Some(0), ""), "{dumped:?}");
    });
}

#[test]
fn each_example_gives_the_responses_that_its_comments_promise() {
    every(EXAMPLES.iter().map(|example| (example.name, example)), |example| {
        let promises = example.promises();
        assert!(promises.len() > 1, "{promises:?}");
        let (_tree, server) = example.start();
        promises.iter().for_each(|promise| example.keeps(&server, promise));
    });
}

/// The lines of the access log, once the number is reached.
#[track_caller]
fn access_log(tree: &Tree, count: usize) -> Vec<String> {
    eventually("the lines of the access log", || {
        let text = fs::read_to_string(tree.at("log/access.log")).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn behind_a_balancer_the_access_log_has_the_client_addresses() {
    for name in ["behind-nginx", "behind-haproxy"] {
        let example = example(name);
        let (tree, server) = example.start();
        let promises: Vec<_> =
            example.promises().into_iter().filter(|promise| promise.from.is_some()).collect();
        promises.iter().for_each(|promise| example.keeps(&server, promise));
        let mut logged: Vec<String> = access_log(&tree, promises.len())
            .iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        let mut wanted: Vec<_> = promises.into_iter().map(|promise| promise.from.unwrap()).collect();
        logged.sort();
        wanted.sort();
        assert_eq!(logged, wanted, "{name}");
    }
}

#[test]
fn the_listener_for_haproxy_takes_no_plain_request_and_the_other_one_does() {
    let (_tree, server) = example("behind-haproxy").start();
    let other: SocketAddr = eventually("the second address", || {
        let output = server.output();
        let mut addresses = output.lines().filter_map(|line| line.trim().strip_prefix("http://"));
        addresses.nth(1)?.split('/').next()?.parse().ok()
    });
    let ask = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut refused = server.client();
    refused.send(ask);
    refused.closed();
    let mut plain = Client::connect(other);
    plain.send(ask);
    plain.response().has_status(&[200]);
}

#[test]
fn many_locations_keep_health_out_of_the_access_log() {
    let (tree, server) = example("many-locations").start();
    // On one connection, so that one worker has the log of both.
    let mut client = server.client();
    client.send("GET /health HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.response().is(200, "ok\n");
    client.response().has_status(&[200]);
    let lines = access_log(&tree, 1);
    assert!(lines.len() == 1 && lines[0].contains("GET / "), "{lines:?}");
}

#[test]
fn in_a_container_health_is_ready_and_both_logs_are_json() {
    let (_tree, server) = example("container").start();
    let admin = server.admin_address();
    eventually("ready", || (plain::get(admin, "/healthz")? == (200, "ready\n".into())).then_some(()));
    server.get("/").has_status(&[200]);
    let line = eventually("a line of the access log", || {
        let output = server.output();
        output.lines().find(|line| line.starts_with('{')).map(str::to_owned)
    });
    assert_eq!(Json::parse(&line).text("target"), "/");
    let log = server.log();
    assert!(log.lines().count() > 0);
    log.lines().for_each(|line| assert!(!Json::parse(line).text("message").is_empty(), "{line}"));
}
