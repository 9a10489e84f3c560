//! Output of real runs, recorded: against the floor, against a server that errs on purpose, and against none.

use crate::load::content::Directory;
use crate::load::generator::{Generator, Load, Order, ab, h2load, siege, wrk};
use crate::load::protocol::Protocol;
use crate::load::tls;

#[test]
fn wrk_is_read_from_the_line_of_its_hook() {
    let load = wrk::parse(include_str!("recorded/wrk.txt")).unwrap();
    let expected = Load {
        requests: 66353,
        seconds: 1.003696,
        bytes: 5109181.0,
        p50_us: Some(33.0),
        p99_us: Some(4039.0),
        p999_us: Some(7199.0),
        ..Load::default()
    };
    assert_eq!(load, expected);
}

#[test]
fn wrk_tells_broken_connections_and_bad_statuses() {
    let load = wrk::parse(include_str!("recorded/wrk-bad.txt")).unwrap();
    assert_eq!((load.requests, load.failed, load.non_2xx), (13477, 2694, 1926));
}

#[test]
fn wrk_is_read_from_its_plain_summary_too() {
    let load = wrk::parse(include_str!("recorded/wrk-plain.txt")).unwrap();
    assert_eq!((load.requests, load.seconds, load.bytes), (51844, 1.01, 3.81 * 1048576.0));
    let near = |time: Option<f64>, wanted: f64| (time.unwrap() - wanted).abs() < 0.001;
    assert!(near(load.p50_us, 33.0) && near(load.p99_us, 5920.0) && load.p999_us.is_none(), "{load:?}");
    let load = wrk::parse(include_str!("recorded/wrk-plain-bad.txt")).unwrap();
    assert_eq!((load.requests, load.failed, load.non_2xx), (9599, 1918, 1371));
}

#[test]
fn a_percentile_that_wrk_does_not_find_is_none() {
    let line = include_str!("recorded/wrk.txt").replace("\"p99\":4039", "\"p99\":0");
    let load = wrk::parse(&line).unwrap();
    assert_eq!((load.p50_us, load.p99_us), (Some(33.0), None));
}

#[test]
fn ab_is_read_from_its_report() {
    let load = ab::parse(include_str!("recorded/ab.txt")).unwrap();
    let expected = Load {
        requests: 500,
        seconds: 500.0 / 11047.04,
        bytes: 48000.0,
        // Its median is below a millisecond, which it has no number for.
        p50_us: None,
        p99_us: Some(4000.0),
        ..Load::default()
    };
    assert_eq!(load, expected);
}

#[test]
fn ab_tells_failures_and_bad_statuses() {
    let load = ab::parse(include_str!("recorded/ab-bad.txt")).unwrap();
    assert_eq!((load.requests, load.failed, load.non_2xx), (500, 110, 71));
}

#[test]
fn h2load_is_read_from_its_report_and_its_log() {
    let load =
        h2load::parse(include_str!("recorded/h2load.txt"), include_str!("recorded/h2load.log")).unwrap();
    let expected = Load {
        requests: 50979,
        seconds: 1.0,
        bytes: 3925383.0,
        p50_us: Some(41.0),
        p99_us: Some(183.0),
        p999_us: Some(183.0),
        ..Load::default()
    };
    assert_eq!(load, expected);
}

#[test]
fn h2load_tells_bad_statuses_once() {
    let load = h2load::parse(include_str!("recorded/h2load-bad.txt"), "").unwrap();
    assert_eq!((load.requests, load.failed, load.non_2xx, load.p50_us), (20, 0, 3, None));
}

#[test]
fn siege_is_read_from_its_object() {
    let load = siege::parse(include_str!("recorded/siege.txt")).unwrap();
    let bytes = 0.91 * 1048576.0;
    assert_eq!(load, Load { requests: 25021, seconds: 0.92, bytes, ..Load::default() });
    let load = siege::parse(include_str!("recorded/siege-bad.txt")).unwrap();
    assert_eq!((load.requests, load.failed, load.non_2xx), (1027, 1024, 147));
}

#[test]
fn a_server_that_is_not_there_is_an_error_or_answers_nothing() {
    let wrk = wrk::parse("unable to connect to 127.0.0.1:5601 Connection refused\n").unwrap_err();
    assert!(wrk.contains("Connection refused"), "{wrk}");
    let ab = ab::parse(include_str!("recorded/ab-refused.txt")).unwrap_err();
    assert!(ab.contains("Connection refused"), "{ab}");
    let h2load = h2load::parse(include_str!("recorded/h2load-refused.txt"), "").unwrap();
    assert_eq!(h2load, Load::default());
    assert!(siege::parse("siege aborted due to excessive socket failure\n").is_err());
}

/// The command of a run of 3 seconds.
fn command(generator: &Generator, protocol: Protocol) -> String {
    let directory = Directory::make().unwrap();
    let (port, target, fields) = (6001, "/x", &[][..]);
    let (close, quick, seconds, threads) = (false, false, 3, 1);
    let (program, at) = (generator.program(), directory.path());
    let order =
        Order { program, port, protocol, target, fields, close, seconds, threads, quick, directory: at };
    generator.command(&order).unwrap().join(" ").replace(&at.display().to_string(), "DIR")
}

#[test]
fn clients_by_tls_offer_one_suite_and_one_group() {
    let wrk = command(&Generator::wrk(64), Protocol::Tls);
    assert!(wrk.starts_with("env OPENSSL_CONF=DIR/openssl.cnf wrk --latency"), "{wrk}");
    assert!(wrk.ends_with(" https://127.0.0.1:6001/x"), "{wrk}");
    let settings = tls::openssl_settings();
    for line in ["MinProtocol = TLSv1.3", "Ciphersuites = TLS_AES_256_GCM_SHA384", "Groups = X25519"] {
        assert!(settings.lines().any(|it| it == line), "{settings}");
    }
    let h2load = Generator::H2load { connections: 64, streams: 16, requests: 1600 };
    let words = command(&h2load, Protocol::Http2);
    let offer = "--tls13-ciphers=TLS_AES_256_GCM_SHA384 --groups=X25519";
    // So many requests a second, for three of them.
    assert!(words.starts_with(&format!("h2load -m 16 {offer} -c 64 -t 1 -n 4800 ")), "{words}");
}

#[test]
fn without_tls_nothing_is_said_about_it() {
    let wrk = command(&Generator::wrk(64), Protocol::Plain);
    assert!(wrk.starts_with("wrk --latency") && wrk.ends_with(" http://127.0.0.1:6001/x"), "{wrk}");
    let h2load = Generator::H2load { connections: 64, streams: 1, requests: 1600 };
    let words = command(&h2load, Protocol::Plain);
    assert!(words.starts_with("h2load --h1 -c 64 "), "{words}");
}

#[test]
fn h2load_must_have_spoken_http2() {
    let spoken = |protocol: &str| format!("TLS Protocol: TLSv1.3\nApplication protocol: {protocol}\n");
    assert_eq!(h2load::check(&spoken("h2"), Protocol::Http2), Ok(()));
    assert_eq!(h2load::check("", Protocol::Plain), Ok(()));
    let why = h2load::check(&spoken("http/1.1"), Protocol::Http2).unwrap_err();
    assert_eq!(why, "the server speaks http/1.1");
    assert!(h2load::check("", Protocol::Http2).is_err());
}
