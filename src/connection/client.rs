//! A client that no coroutine serves: one that has just been accepted, or one that is parked. It is all that there is of
//! its connection then, a hundred bytes.
//!
//! The subtle rule: nothing of a request is here, so a connection can be left to it only when it has consumed all that it
//! received and sent all that had gathered.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::end::End;
use super::phase::Phase;
use super::shared::Shared;
use crate::config::AccessFormat;
use crate::http::proxy_header::Source;
use crate::log::line::{self, Origin, Peer};
use crate::metrics::Presence;
use crate::sys::socket::{self, PeerAddress};

/// A client that no coroutine serves.
#[derive(Debug)]
pub struct Client {
    pub(super) socket: OwnedFd,
    pub(super) presence: Presence,
    pub(super) visit: Visit,
    /// Whether an end of its stream, or an error, has been announced.
    pub ending: bool,
}

/// What is known of a connection beyond its single requests.
#[derive(Debug)]
pub(super) struct Visit {
    /// The other end, or for whom a balancer's PROXY header has announced the connection.
    pub(super) peer: PeerAddress,
    /// Whether the peer is believed whom it passes requests on for.
    pub(super) believed: bool,
    pub(super) stage: Stage,
    /// Which one this is of the worker's connections.
    pub(super) number: u64,
    /// Requests that were logged, or are to be.
    pub(super) requests: u64,
    /// The end that the log has been told.
    pub(super) told: Option<End>,
    /// The tick by which the next head must be complete, or begun; fixed at the first wait for it.
    pub(super) head_deadline: Option<u32>,
    pub(super) idle_deadline: Option<u32>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The PROXY header that it must begin with is not complete.
    Unannounced,
    /// No request has been complete.
    Fresh,
    /// One has.
    Asked,
}

/// What a client has done while nobody served it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// It has sent something.
    Bytes,
    /// It has gone.
    Gone(End),
}

impl Client {
    /// A client that has just been accepted, by a non-blocking socket; `announced` where a PROXY header must come first.
    pub fn accepted(shared: &Shared, socket: OwnedFd, peer: PeerAddress, announced: bool) -> Client {
        let visit = Visit {
            peer,
            believed: shared.proxies.trust(peer),
            stage: if announced { Stage::Unannounced } else { Stage::Fresh },
            number: shared.connections.fetch_add(1, Relaxed) + 1,
            requests: 0,
            told: None,
            head_deadline: None,
            idle_deadline: None,
        };
        Client { socket, presence: shared.metrics.accepted(), visit, ending: false }
    }

    /// Its socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Says whether it is parked, for the counts.
    pub fn set_parked(&mut self, parked: bool) {
        self.presence.set_parked(parked);
    }

    /// The tick at which it will have been silent for too long; as far as can be for one that was never waited for.
    pub fn deadline(&self) -> u32 {
        self.visit.deadline(self.visit.idle_phase()).unwrap_or(u32::MAX)
    }

    /// Looks what it has done.
    pub fn news(&self) -> News {
        match socket::has_bytes(self.socket()) {
            Ok(true) => News::Bytes,
            Ok(false) => News::Gone(End::PeerClosed),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => News::None,
            Err(_) => News::Gone(End::Broken),
        }
    }

    /// Ends the connection of a client that has gone.
    pub fn end(mut self, shared: &Shared, end: End) {
        conclude(shared, &self.visit, &mut self.presence, end);
    }

    /// Ends the connection of a client whose deadline has come.
    pub fn time_out(self, shared: &Shared) {
        let end = End::TimedOut(self.visit.idle_phase());
        self.end(shared, end);
    }
}

impl Visit {
    /// What the connection is doing while nothing of a request is there.
    pub(super) fn idle_phase(&self) -> Phase {
        if self.stage == Stage::Asked { Phase::Idle } else { Phase::Handshake }
    }

    /// The tick at which `phase` has lasted for too long, if it has been waited in.
    fn deadline(&self, phase: Phase) -> Option<u32> {
        if phase == Phase::Idle { self.idle_deadline } else { self.head_deadline }
    }

    /// The tick at which `phase` has lasted for too long: `otherwise`, when this is the first wait in it. Bytes may
    /// trickle in, yet the time runs from there.
    pub(super) fn fix_deadline(&mut self, phase: Phase, otherwise: u32) -> u32 {
        let fixed = if phase == Phase::Idle { &mut self.idle_deadline } else { &mut self.head_deadline };
        *fixed.get_or_insert(otherwise)
    }

    /// Takes in what the PROXY header has said of the connection.
    pub(super) fn announce(&mut self, shared: &Shared, source: Source) {
        if let Source::Client(address) = source {
            self.peer = PeerAddress::Ip(address);
        }
        // Where the balancer knows no address, nobody is known who could be believed.
        self.believed = matches!(source, Source::Client(_)) && shared.proxies.trust(self.peer);
        self.stage = Stage::Fresh;
    }

    /// Whose the next line of the access log is, which `client` has asked for.
    pub(super) fn origin(&self, shared: &Shared, client: PeerAddress) -> Origin {
        let (worker, connection) = (shared.slot, self.number);
        Origin { worker, connection, request: self.requests, peer: Peer::new(client) }
    }
}

/// Tells log and counts of a connection's end.
#[inline(never)]
pub(super) fn conclude(shared: &Shared, visit: &Visit, presence: &mut Presence, end: End) {
    ::log::trace!("{}: {end:?}", visit.peer);
    log_end(shared, visit, end);
    presence.end(end.reason());
    if let End::TimedOut(phase) = end {
        presence.row().timed_out(phase);
    }
}

/// Tells the access log an end that came after the last request's line, in the format that has it.
fn log_end(shared: &Shared, visit: &Visit, end: End) {
    let Some(access) = &shared.access else { return };
    let due = shared.access_format == AccessFormat::Json && visit.requests > 0;
    if due && visit.told != Some(end) {
        let mut access = access.lock().unwrap_or_else(PoisonError::into_inner);
        line::push_end(
            &mut access,
            &shared.reactor.clock.stamp(),
            &visit.origin(shared, visit.peer),
            end.name(),
        );
    }
}
