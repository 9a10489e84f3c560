//! Cases of conformance: what a client sends, and what must come back. A connection error may show as GOAWAY
//! or as the bare end of the connection, a stream error as RST_STREAM or as a connection error (RFC 9113
//! sections 5.4.1 and 5.4.2).

use std::net::SocketAddr;
use std::time::Duration;

use super::configured::{Configured, site};
use super::every;
use super::h2::{Failure, H2};
use super::h2_frames::*;
use super::transport::End;
use super::tree::PAGE;

/// How long a reaction may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// The last stream that a case may use; those behind it are for what is asked after it.
const LAST_OF_CASES: u32 = 299;

/// The code that may stand in place of a more specific one where a connection ends. Of the crate h2 it is the
/// code of most connection errors; h2spec lets it pass, because the connection ends.
const GENERIC: u32 = PROTOCOL_ERROR;

/// What must come back.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// The connection ends, where a GOAWAY comes with one of these codes.
    Connection(&'static [u32]),
    /// RST_STREAM with one of these codes, or the same as a connection error.
    Stream(&'static [u32]),
    /// A malformed request: RST_STREAM with PROTOCOL_ERROR or status 400, and the connection goes on.
    Malformed(u32),
    /// A request that turns out malformed behind its head: the same, or it was answered before that came.
    Late(u32),
    /// This stream is answered with this status, and the connection goes on.
    Answer(u32, u16),
    /// Nothing, and the connection goes on.
    Ignored,
    /// What RFC 7540 forbids and RFC 9113 does not speak of: streams may be reset, the connection goes on.
    Harmless,
}

/// Its name, what is sent once settings are agreed on, and what must come back.
pub type Case = (&'static str, fn(&mut H2), Expected);

/// The server on trial, with HTTP/2 without TLS. `H2_PEER` may name the address of another one, which has the
/// same page, to see what it makes of the cases.
pub struct Subject {
    address: SocketAddr,
    server: Option<Configured>,
}

impl Subject {
    #[track_caller]
    pub fn start() -> Self {
        match std::env::var("H2_PEER") {
            Ok(address) => Self { address: address.parse().unwrap(), server: None },
            Err(_) => {
                let server = site("http2_plain = true\n");
                Self { address: server.address(), server: Some(server) }
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds the server to still serving, by the worker that it began with.
    #[track_caller]
    fn unharmed(&self) {
        H2::connect(self.address).get("/page.html").is(200, PAGE);
        let log = self.server.as_ref().map(|server| server.log()).unwrap_or_default();
        assert!(!log.contains("panicked") && !log.contains("exited"), "a worker was harmed: {log}");
    }
}

/// Tries each case on a connection of its own.
#[track_caller]
pub fn hold(cases: &[Case]) {
    let subject = Subject::start();
    every(cases.iter().map(|(name, act, expected)| (name, (act, expected))), |(act, expected)| {
        let mut client = H2::connect(subject.address()).patient(PATIENCE);
        client.known(LAST_OF_CASES);
        act(&mut client);
        client.reacts(expected);
    });
    subject.unharmed();
}

impl H2 {
    /// Holds the server to a reaction.
    #[track_caller]
    pub fn reacts(&mut self, expected: &Expected) {
        match *expected {
            Expected::Connection(codes) => self.ends_with(codes),
            Expected::Stream(codes) => self.resets_with(codes),
            Expected::Malformed(stream) => {
                match self.known(stream).outcome(stream) {
                    Ok(response) => response.has_status(&[400]),
                    Err(failure) => assert_eq!(failure, Failure::Reset(PROTOCOL_ERROR), "{}", self.story()),
                }
                self.goes_on();
            }
            Expected::Late(stream) => {
                match self.known(stream).outcome(stream) {
                    Ok(response) => response.has_status(&[400, 405, 200]),
                    Err(failure) => assert_eq!(failure, Failure::Reset(PROTOCOL_ERROR), "{}", self.story()),
                }
                self.goes_on();
            }
            Expected::Answer(stream, status) => {
                self.known(stream).response(stream).has_status(&[status]);
                self.goes_on();
            }
            Expected::Ignored => {
                self.ping();
                // An early answer to a request with a body ends with NO_ERROR.
                let mut resets = self.streams.values().filter_map(|stream| stream.reset);
                assert!(resets.all(|code| code == NO_ERROR) && self.goaway.is_none(), "{}", self.story());
                self.goes_on();
            }
            Expected::Harmless => {
                self.ping();
                let mut codes = self.streams.values().filter_map(|stream| stream.reset);
                assert!(codes.all(|code| code == PROTOCOL_ERROR), "{}", self.story());
                self.goes_on();
            }
        }
    }

    /// Counts a stream as one of which an answer is known, where the test has sent its frames itself.
    pub fn known(&mut self, stream: u32) -> &mut Self {
        while !self.streams.contains_key(&stream) {
            self.begin(&[]);
        }
        self
    }

    #[track_caller]
    fn ends_with(&mut self, codes: &[u32]) {
        while self.goaway.as_ref().is_none_or(|goaway| goaway.code == NO_ERROR && !codes.contains(&0)) {
            if self.frame().is_none() {
                return assert_ne!(self.end, Some(End::Cut), "{}", self.story());
            }
        }
        let code = self.goaway.as_ref().unwrap().code;
        assert!(codes.contains(&code) || code == GENERIC, "wrong code; {}", self.story());
        self.until_end();
    }

    #[track_caller]
    fn resets_with(&mut self, codes: &[u32]) {
        loop {
            let mut resets = self.streams.values().filter_map(|stream| stream.reset);
            // An early answer to a request with a body ends with this.
            if let Some(code) = resets.find(|code| *code != NO_ERROR) {
                return assert!(codes.contains(&code), "wrong code; {}", self.story());
            }
            if self.goaway.as_ref().is_some_and(|goaway| goaway.code != NO_ERROR) {
                return self.ends_with(codes);
            }
            if self.frame().is_none() {
                return assert_ne!(self.end, Some(End::Cut), "{}", self.story());
            }
        }
    }

    /// Holds the server to answering another request here.
    #[track_caller]
    fn goes_on(&mut self) {
        let stream = self.known(LAST_OF_CASES).ask("GET", "/page.html", &[]);
        if self.initial_window() < PAGE.len() as i64 {
            self.open_window(stream, 1000);
        }
        self.response(stream).is(200, PAGE);
    }
}
