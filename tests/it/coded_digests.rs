//! Digest fields (RFC 9530) of files in a content coding: of the bytes that are sent, and of the whole form
//! that they are a part of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::support::{Response, Server, Tree, eventually, every};

const WANTS: &str = "Want-Repr-Digest: sha-256=5\r\nWant-Content-Digest: sha-256=5\r\n";

/// A script of this many bytes.
fn script(length: usize) -> Vec<u8> {
    let line = |number: u32| format!("export const part{number} = {};\n", number.wrapping_mul(2_654_435_761));
    (0..).flat_map(|number| line(number).into_bytes()).take(length).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// The value of a digest field for these bytes.
fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Sha256::digest(bytes)))
}

/// Files with variants and without, kept in memory and open.
fn tree() -> Tree {
    let tree = Tree::empty();
    for (name, length) in [("short.js", 10_000), ("long.js", 600_000)] {
        tree.file(name, script(length));
        tree.file(format!("variant/{name}"), script(length));
        tree.file(format!("variant/{name}.gz"), gzip(&script(length)));
    }
    tree
}

/// Checks the digest fields of a response by its body and the whole form.
#[track_caller]
fn check(response: &Response, status: u16, whole: &[u8]) {
    response.has_status(&[status]);
    assert_eq!(response["content-digest"], digest(&response.body));
    assert_eq!(response["repr-digest"], digest(whole));
}

#[test]
fn a_digest_is_of_the_form_that_is_sent() {
    let server = Server::of(tree(), &["--compress"]);
    let targets = ["/short.js", "/long.js", "/variant/short.js", "/variant/long.js"];
    let rows = targets.iter().flat_map(|target| ["gzip", "br", "identity"].map(|coding| (*target, coding)));
    every(rows.map(|row| (format!("{row:?}"), row)), |(target, coding)| {
        let ask =
            |fields: &str| server.get_with(target, &format!("Accept-Encoding: {coding}\r\n{WANTS}{fields}"));
        let expected = (coding != "identity").then_some(coding);
        let form = eventually("it is compressed", || {
            let form = ask("");
            (form.field("content-encoding") == expected).then_some(form)
        });
        check(&form, 200, &form.body);
        let file = server.tree().at(&target[1..]);
        let plain = std::fs::read(&file).unwrap();
        match (coding, target.contains("variant")) {
            ("identity", _) => form.is(200, &plain),
            ("gzip", true) => form.is(200, gzip(&plain)),
            _ => assert!(form.body.len() < plain.len()),
        }
        let size = form.body.len();
        let ranges = [(0, 0), (10, 999), (size - 20, size - 1), (0, size - 1)];
        for (first, last) in ranges {
            let part = ask(&format!("Range: bytes={first}-{last}\r\n"));
            assert_eq!(part.field("content-encoding"), expected);
            check(&part, 206, &form.body);
            part.is(206, &form.body[first..=last]);
        }
        let mut client = server.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n{WANTS}\r\n"));
        let head = client.response_to_head();
        assert_eq!((head["repr-digest"].clone(), head.field("content-digest")), (digest(&form.body), None));
    });
}
