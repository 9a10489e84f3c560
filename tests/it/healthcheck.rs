//! The command `healthcheck`: silent and 0 for a server that answers well, else 1 and one line that says why.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::launch::{Finished, run_with};
use crate::support::{Launch, Server, Tree, eventually, every};

#[track_caller]
fn healthy(finished: Finished) {
    assert_eq!((finished.code, &*finished.output, &*finished.errors), (Some(0), "", ""), "{finished:?}");
}

/// Holds the check to having failed, with a line that ends in these words.
#[track_caller]
fn unhealthy(finished: Finished, words: &str) {
    assert_eq!((finished.code, finished.errors.lines().count()), (Some(1), 1), "{finished:?}");
    assert!(finished.errors.ends_with(&format!(" is not healthy: {words}\n")), "{finished:?}");
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address())
}

#[test]
fn a_server_that_answers_is_healthy() {
    let server = Launch::site().start();
    every(["", "/", "/page.html?x#y", "/dir", "/large.html"].map(|path| (path, path)), |path| {
        healthy(run_with(&["healthcheck", &url(&server, path)]));
    });
    let by_name = format!("http://localhost:{}/", server.address().port());
    healthy(run_with(&["healthcheck", &by_name]));
}

#[test]
fn without_a_url_the_settings_say_where_to_ask() {
    let server = Launch::site().start();
    let address = server.address().to_string();
    healthy(run_with(&["--listen", &address, "healthcheck"]));
    let port = server.address().port().to_string();
    healthy(Launch::rootless().listen(&[]).environment("MAYHTTPD_PORT", &port).flags(["healthcheck"]).run());
}

#[test]
fn without_a_url_the_admin_listener_is_asked_where_there_is_one() {
    let tree = Tree::empty();
    let server = Launch::of(tree).workers(1).flags(["--admin", "0"]).start();
    let (address, admin) = (server.address().to_string(), server.admin_address().to_string());
    // The root has no index, so that its first address is no sign of health here.
    unhealthy(run_with(&["--listen", &address, "healthcheck"]), "it answers 403");
    healthy(run_with(&["--listen", &address, "--admin", &admin, "healthcheck"]));
    let by_default = || Launch::rootless().listen(&[&address]);
    healthy(by_default().environment("MAYHTTPD_ADMIN", &admin).flags(["healthcheck"]).run());
    let file = server.tree().file("mayhttpd.toml", format!("admin = \"{admin}\"\n"));
    healthy(by_default().flags(["--config", file.to_str().unwrap(), "healthcheck"]).run());

    let by_admin = || run_with(&["--listen", &address, "--admin", &admin, "healthcheck"]);
    let worker = server.workers()[0];
    worker.stop();
    let failing = eventually("no worker is well", || Some(by_admin()).filter(|found| found.code != Some(0)));
    unhealthy(failing, "it answers 503");
    worker.signal(Signal::CONT);
    eventually("the worker is well again", || (by_admin().code == Some(0)).then_some(()));
}

#[test]
fn a_server_that_drains_is_not_healthy_to_who_sends_clients() {
    let mut server = Launch::site().flags(["--admin", "0"]).start();
    let admin = server.admin_address().to_string();
    let check = || run_with(&["--admin", &admin, "healthcheck"]);
    let mut client = server.client();
    client.still_serves();
    healthy(check());
    server.signal(Signal::QUIT);
    let draining = eventually("the drain shows", || Some(check()).filter(|found| found.code != Some(0)));
    assert!(draining.errors.contains(&format!("http://{admin}/healthz")), "{draining:?}");
    unhealthy(draining, "it answers 503");
    client.still_serves();
    drop(client);
    assert_eq!(server.exit_code(), Some(0));
    unhealthy(check(), "connection refused");
}

#[test]
fn an_answer_that_is_an_error_is_not_healthy() {
    let server = Launch::site().start();
    unhealthy(run_with(&["healthcheck", &url(&server, "/absent")]), "it answers 404");
    unhealthy(run_with(&["healthcheck", &url(&server, "/bare/")]), "it answers 403");
}

#[test]
fn a_server_that_is_not_there_is_not_healthy() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    unhealthy(run_with(&["healthcheck", &format!("http://{address}/")]), "connection refused");
}

#[test]
fn a_server_that_hangs_is_not_healthy_once_the_time_is_up() {
    let server = Launch::site().start();
    let worker = server.workers()[0];
    worker.stop();
    let start = Instant::now();
    let finished = run_with(&["healthcheck", &url(&server, "/"), "--timeout", "300ms"]);
    unhealthy(finished, "no response within 300ms");
    assert!(start.elapsed() >= Duration::from_millis(300));
    worker.signal(Signal::CONT);
}

/// Checks a server that answers its one client as `serve` does.
fn check(serve: impl FnOnce(TcpStream) + Send) -> Finished {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || serve(listener.accept().unwrap().0));
        run_with(&["healthcheck", &url, "--timeout", "500ms"])
    })
}

#[test]
fn a_server_that_answers_in_drops_gets_no_more_time_for_it() {
    let finished = check(|mut stream| {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    unhealthy(finished, "no response within 500ms");
}

#[test]
fn what_is_no_http_is_not_healthy() {
    unhealthy(check(|mut stream| stream.write_all(b"220 ready\r\n").unwrap()), "the response is not HTTP/1");
    let ends = |mut stream: TcpStream| {
        // Read to the end of the head first, for a close with bytes unread would be a reset.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
    };
    unhealthy(check(ends), "it closed the connection without a response");
}

#[test]
fn a_url_that_can_not_be_asked_is_said_so() {
    for url in ["https://localhost/", "localhost", "http://a b/"] {
        unhealthy(run_with(&["healthcheck", url]), "expected http://HOST[:PORT][/PATH]");
    }
}

#[test]
fn wrong_usage_is_refused_with_2() {
    for arguments in
        [&["healthcheck", "--timeout", "0"][..], &["healthcheck", "a", "b"], &["healthcheck", "-x"]]
    {
        assert_eq!(run_with(arguments).code, Some(2), "{arguments:?}");
    }
}
