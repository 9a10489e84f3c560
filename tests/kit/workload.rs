//! The workloads: their list, and what makes an answer good.

use crate::load::http_client::Answer;
use crate::load::peers::{self, Ability};
use crate::load::workload::{Good, Workload};
use crate::load::workloads::ALL;

fn named(name: &str) -> &'static Workload {
    ALL.iter().find(|workload| workload.name == name).unwrap()
}

#[test]
fn names_are_unique_and_every_one_applies_to_a_server() {
    for (index, workload) in ALL.iter().enumerate() {
        assert!(ALL[..index].iter().all(|other| other.name != workload.name), "{}", workload.name);
        assert!(peers::ALL.iter().any(|peer| workload.applies(peer, workload.workers)));
    }
}

#[test]
fn sites_beyond_files_are_compared_with_nginx_and_static_web_server() {
    let servers = |name: &str| -> Vec<&str> {
        let workload = named(name);
        peers::ALL.iter().filter(|peer| workload.applies(peer, 1)).map(|peer| peer.name).collect()
    };
    let three = ["mayhttpd", "nginx", "static-web-server"];
    for name in [
        "precompressed",
        "redirects-20",
        "redirects-10000",
        "redirects-10000-all",
        "hosts-1000",
        "listing-10000",
        "authenticated",
    ] {
        assert_eq!(servers(name), three, "{name}");
    }
    assert_eq!(servers("compressed"), ["mayhttpd", "nginx", "nginx-gzip", "static-web-server"]);
}

#[test]
fn tls_and_http2_are_compared_with_nginx_and_h2o() {
    let encrypted = || ALL.iter().filter(|workload| workload.protocol.is_encrypted());
    for workload in encrypted() {
        let servers = peers::ALL.iter().filter(|peer| workload.applies(peer, 1)).map(|peer| peer.name);
        assert_eq!(servers.collect::<Vec<_>>(), ["mayhttpd", "nginx", "h2o"], "{}", workload.name);
        assert!(workload.quick, "{}", workload.name);
    }
    assert_eq!(encrypted().count(), 10);
}

#[test]
fn a_server_must_be_able_to_do_what_a_workload_needs() {
    let floor = peers::ALL.iter().find(|peer| peer.name == peers::FLOOR).unwrap();
    assert!(named("keep-64").applies(floor, 1) && !named("authenticated").applies(floor, 1));
    assert_eq!(named("hosts-1000").needs, [Ability::Hosts]);
}

#[test]
fn an_answer_is_good_by_its_length_its_coding_or_its_location() {
    let answer = |length, coding: Option<&str>, location: Option<&str>| Answer {
        status: 200,
        length,
        etag: None,
        last_modified: None,
        coding: coding.map(str::to_owned),
        location: location.map(str::to_owned),
    };
    let cases = [
        (Good::Length(38), answer(38, None, None), true),
        (Good::Length(38), answer(37, None, None), false),
        (Good::AtLeast(300), answer(300, None, None), true),
        (Good::AtLeast(300), answer(299, None, None), false),
        (Good::Coded, answer(50_000, Some("br"), None), true),
        (Good::Coded, answer(200_000, None, None), false),
        (Good::Location("/new/0"), answer(0, None, Some("/new/0")), true),
        (Good::Location("/new/0"), answer(162, None, Some("http://127.0.0.1:6001/new/0")), true),
        (Good::Location("/new/0"), answer(0, None, Some("/new/1")), false),
        (Good::Location("/new/0"), answer(0, None, None), false),
    ];
    for (good, answer, is_good) in cases {
        assert_eq!(good.fault(&answer).is_none(), is_good, "{good:?} {answer:?}");
    }
}
