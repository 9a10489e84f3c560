//! Handshake messages that come in parts, each a whole record: what is told of a connection in the middle of
//! one, by a timeout, by another client, by its own request.

use rustls::ContentType::{ApplicationData, Handshake};

use crate::support::authority::Authority;
use crate::support::client::ASK_PAGE;
use crate::support::configured::{Configured, launched};
use crate::support::process::Process;
use crate::support::records::Records;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Tls, every};

struct Secured {
    server: Configured,
    worker: Process,
    authority: Authority,
}

impl Secured {
    #[track_caller]
    fn start(flags: &[&str]) -> Self {
        let authority = Authority::new();
        let table = authority.issue(&["test"]).table();
        let server = launched(Launch::site().tls().flags(flags.iter().copied()), &table);
        let worker = server.workers()[0];
        Self { server, worker, authority }
    }

    fn each(&self) -> [(&'static str, Tls); 2] {
        [("1.2", Tls::old(&self.authority)), ("1.3", Tls::new(&self.authority))]
    }

    fn connect(&self) -> Client {
        Client::connect(self.server.tls_address())
    }

    fn records(&self, tls: &Tls) -> Records {
        tls.records(self.server.tls_address())
    }

    /// Looks that the worker is the same one and serves, and that nothing in it panicked.
    #[track_caller]
    fn is_well(&self) {
        Tls::trusting(&self.authority).client(self.server.tls_address()).still_serves();
        assert_eq!(self.server.workers(), [self.worker], "{}", self.server.log());
        assert!(!self.server.log().contains("panicked"), "{}", self.server.log());
    }
}

#[test]
fn a_hello_in_records_of_any_length_is_heard_or_times_out() {
    let server = Secured::start(&["--head-timeout", "500ms"]);
    let hello = Tls::trusting(&server.authority).hello();
    let record = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1, length[0], length[1]], bytes].concat()
    };
    every([1, 2, 3, 4, 5, 40, hello.len() - 6].map(|length| (length, length)), |length| {
        let (first, second) = hello[5..].split_at(length);
        let mut client = server.connect();
        client.send(record(first));
        client.rest();
        // With the header of the next record, and with a part of it.
        for more in [1, 5, 6] {
            let mut client = server.connect();
            client.send([record(first), record(second)[..more].to_vec()].concat());
            client.rest();
        }
    });
    server.is_well();
}

#[test]
fn what_is_wrong_in_parts_is_answered_with_an_alert() {
    let server = Secured::start(&[]);
    let rows: [(&str, &[u8]); 4] = [
        ("another record in the middle", &[0x16, 3, 1, 0, 2, 1, 0, 0x15, 3, 1, 0, 2, 1, 0]),
        ("two messages in a record", &[0x16, 3, 1, 0, 10, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0]),
        ("a message and a half", &[0x16, 3, 1, 0, 6, 1, 0, 0, 1, 0, 1]),
        ("a message that is too long", &[0x16, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0]),
    ];
    every(rows, |bytes| {
        let mut client = server.connect();
        client.send(bytes);
        let alert = client.rest();
        assert!(alert.is_empty() || alert.first() == Some(&0x15), "{alert:?}");
    });
    server.is_well();
}

/// The beginnings of a message after the handshake, of which the record is the whole: less than the four
/// bytes before a message, and more.
const PARTS: [&[u8]; 3] = [&[24], &[24, 0, 0], &[24, 0, 0, 1]];

#[test]
fn a_part_behind_a_request_does_not_keep_its_answer() {
    let server = Secured::start(&["--head-timeout", "500ms", "--idle-timeout", "500ms"]);
    for (version, tls) in server.each() {
        every(PARTS.map(|part| (format!("{version} {part:?}"), part)), |part| {
            let mut client = server.records(&tls);
            let request = client.record(ApplicationData, ASK_PAGE);
            let both = [request, client.record(Handshake, part)].concat();
            client.send(&both);
            client.receive(PAGE.len());
            // Nothing may be between the parts.
            let next = client.record(ApplicationData, ASK_PAGE);
            client.send(&next);
            client.rest();
        });
    }
    server.is_well();
}

#[test]
fn a_part_that_stays_one_ends_by_the_idle_timeout() {
    let server = Secured::start(&["--head-timeout", "500ms", "--idle-timeout", "500ms"]);
    for (version, tls) in server.each() {
        every(PARTS.map(|part| (format!("{version} {part:?}"), part)), |part| {
            let mut client = server.records(&tls);
            let part = client.record(Handshake, part);
            client.send(&part);
            client.rest();
        });
    }
    server.is_well();
}

#[test]
fn a_part_that_stays_one_is_closed_for_a_new_client() {
    let server = Secured::start(&["--max-connections", "4"]);
    for (_, tls) in server.each() {
        let mut silent: Vec<Records> = PARTS.map(|_| server.records(&tls)).into();
        for (client, part) in silent.iter_mut().zip(PARTS) {
            let part = client.record(Handshake, part);
            client.send(&part);
        }
        let mut half = server.connect();
        half.send([0x16, 3, 1, 0, 1, 1]);
        for _ in 0..8 {
            tls.client(server.server.tls_address()).still_serves();
        }
        for client in &mut silent {
            client.rest();
        }
        half.rest();
    }
    server.is_well();
}
