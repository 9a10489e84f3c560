//! Media types: one for every kind of file, told by the name alone and in any case.

use crate::support::tree::TYPES;
use crate::support::{Server, Tree, every, pattern};

#[test]
fn every_kind_of_file_has_its_type_and_length() {
    let server = Server::start(&[]);
    every(TYPES.iter().map(|row| (row.0, row)), |(name, length, media)| {
        let response = server.get(format!("/{name}"));
        response.is(200, pattern(*length as u64, *length));
        assert_eq!(response.length(), Some(*length as u64));
        assert_eq!(response["content-type"], *media);
    });
}

#[test]
fn head_tells_the_same_types_and_lengths() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (name, length, media) in TYPES {
        client.send(format!("HEAD /{name} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let response = client.response_to_head();
        response.has_status(&[200]);
        assert_eq!((response.length(), response["content-type"].as_str()), (Some(*length as u64), *media));
    }
}

#[test]
fn a_name_that_tells_nothing_is_octets() {
    let tree = Tree::empty();
    let names = ["README", "data.zzunknown", "dotted.", "x.html.zzunknown"];
    names.iter().for_each(|name| drop(tree.file(name, "?")));
    let server = Server::of(tree, &[]);
    every(names.map(|name| (name, name)), |name| {
        let response = server.get(format!("/{name}"));
        response.is(200, "?");
        assert!(matches!(response.field("content-type"), None | Some("application/octet-stream")));
    });
}
