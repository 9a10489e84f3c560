//! One client, from accept to close: [`Connection`].
//!
//! The same value travels from the acceptor to a coroutine, to the idle set, and back to a coroutine, until
//! it is closed. It owns the socket, the permit, the entry in the idle set, the counts and the deadlines.
//! Buffers and the state of the current request are in [`active::ActiveConnection`], which exists only while
//! a coroutine serves the connection. `http1.rs` has the loop that serves it.

pub mod access_logs;
pub mod active;
pub mod buffer_pool;
pub mod client_address;
pub mod context;
mod file_body;
pub mod file_sending;
pub mod http1;
pub mod http2;
pub mod idle_handle;
pub mod idle_order;
mod job_wait;
pub mod leadership;
mod lingering_close;
mod log_line;
pub mod multiplexed;
pub mod permit;
mod protocol;
mod proxy_header;
pub mod read_buffer;
mod rejection;
pub mod rendered_time;
mod request_body;
mod request_head;
pub mod response;
mod send_timeout;
pub mod service;
pub mod socket;
pub mod socket_timers;
pub mod stopwatch;
pub mod timeouts;
mod tls_handshake;
pub mod tls_transport;
pub mod uptake;
pub mod writer;

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use crate::config::AccessFormat;
use crate::http::proxy_header::Source;
use crate::log::line;
use crate::log::peer::Peer;
use crate::log::request::RequestOrigin;
use crate::metrics::HostNumber;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::connection_counter::ConnectionCounter;
use crate::metrics::phase::Phase;
use crate::sys::socket::{self as sys_socket, PeerAddress};

use context::Context;
use idle_handle::IdleHandle;
use leadership::Leadership;
use multiplexed::Multiplexed;
use permit::ConnectionPermit;
use socket::{Received, Socket};
use timeouts::Deadlines;
use tls_transport::TlsTransport;
use uptake::Uptake;

/// One client's connection, in a box of at most 200 bytes. Besides that, a worker holds for an idle client
/// only its entries in the idle set, the timer wheel and the idle order.
pub struct Connection {
    context: &'static Context,
    socket: Socket,
    /// What a connection has on a TLS listener or with HTTP/2. Boxed, since those of plain listeners have
    /// none of it.
    extension: Option<Box<Extension>>,
    counter: ConnectionCounter,
    /// Bytes sent in all.
    sent: u64,
    /// The number of the connection in its worker, from 1.
    number: u64,
    /// Requests that the access log has, or will have.
    requests: u64,
    deadlines: Deadlines,
    /// The tick since which the connection waits for a request; not used in other phases.
    idle_since: u32,
    /// The other end, or the client that a PROXY header named.
    peer: PeerAddress,
    /// Whether `peer` is a trusted proxy.
    trusted: bool,
    stage: Stage,
    /// Empty lines since the last request.
    empty_lines: u8,
    /// The number of the access log that has the last request of those that are logged; before there is one,
    /// that of the server, if it is on.
    log: Option<u16>,
    /// The host that the current request is counted by, if the settings have hosts.
    counted: Option<HostNumber>,
    /// The close reason that the access log has already.
    logged_close: Option<CloseReason>,
    /// Held until the socket is closed.
    _permit: ConnectionPermit,
    idle_handle: Option<IdleHandle>,
}

/// What is between the socket and HTTP/1.1, or in place of it.
#[derive(Default)]
struct Extension {
    /// TLS over the socket. Without it the handshake of a TLS listener fails.
    tls: Option<TlsTransport>,
    /// HTTP/2, once the client speaks it.
    multiplexed: Option<Box<dyn Multiplexed<Connection>>>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The PROXY header that it must begin with is not complete.
    ProxyHeader,
    /// The TLS handshake is not complete.
    TlsHandshake,
    /// No request has been complete.
    FirstRequest,
    /// One request has been complete, or more.
    LaterRequests,
}

/// What a client has done while its connection was idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing.
    Nothing,
    /// It has sent something.
    Bytes,
    /// The client has gone.
    Close(CloseReason),
}

/// What a connection has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// For a request, or the rest of one.
    Request,
    /// For the client to take more of a response.
    Uptake,
    /// For nothing: the client takes its responses slowly.
    Nothing,
}

/// An accepted, non-blocking socket, and what goes with it.
pub struct Accepted {
    /// The socket, which is non-blocking.
    pub socket: OwnedFd,
    /// The address of the other end.
    pub peer: PeerAddress,
    /// Whether the connection must begin with a PROXY header.
    pub proxy_header: bool,
    /// Whether the connection begins with TLS, after the PROXY header.
    pub tls: bool,
    /// The permit of the connection under the connection limit.
    pub permit: ConnectionPermit,
}

impl Connection {
    /// Makes the connection of a client that has just been accepted. It is boxed, so that handing it on
    /// copies a pointer, and a coroutine's stack holds only that pointer.
    pub fn accept(
        context: &'static Context,
        leadership: &'static dyn Leadership,
        accepted: Accepted,
    ) -> Box<Connection> {
        let Accepted { socket, peer, proxy_header, tls, permit } = accepted;
        let first = if tls { Stage::TlsHandshake } else { Stage::FirstRequest };
        // It fails for no configuration that the master has checked.
        let transport = || context.tls.as_ref().and_then(|tls| TlsTransport::new(tls).ok());
        let extension = tls.then(|| Box::new(Extension { tls: transport(), multiplexed: None }));
        Box::new(Connection {
            context,
            socket: Socket::new(socket, &context.timers, leadership),
            extension,
            counter: ConnectionCounter::accepted(context.metrics),
            sent: 0,
            number: context.accepted.fetch_add(1, Relaxed) + 1,
            requests: 0,
            deadlines: Deadlines::default(),
            idle_since: 0,
            peer,
            trusted: context.trusted_proxies.trust(peer),
            stage: if proxy_header { Stage::ProxyHeader } else { first },
            empty_lines: 0,
            log: context.access.default,
            counted: context.site.counted_first(),
            logged_close: None,
            _permit: permit,
            idle_handle: None,
        })
    }

    /// The socket's descriptor.
    ///
    /// # Errors
    /// `NotConnected` when the kernel refused to watch the socket, which closed it.
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.socket.fd()
    }

    /// The number of the connection's entry in the idle set, if it has an entry.
    pub fn idle_key(&self) -> Option<usize> {
        self.idle_handle.as_ref().map(IdleHandle::key)
    }

    /// Sets the connection's entry in the idle set.
    pub fn set_idle_handle(&mut self, handle: IdleHandle) {
        self.idle_handle = Some(handle);
    }

    /// Counts the connection as part of the idle set. True if it has something to do already.
    pub fn enter_idle_set(&mut self) -> bool {
        self.counter.set_idle(true);
        match (self.multiplexed(), self.idle_key()) {
            (Some(protocol), Some(key)) => protocol.set_idle(key),
            _ => false,
        }
    }

    /// Counts the connection as served by a coroutine.
    pub fn leave_idle_set(&mut self) {
        self.counter.set_idle(false);
    }

    /// Prepares the connection to be served again; `ending` when an end of stream or an error was reported.
    pub fn resume(&mut self, ending: bool) {
        self.socket.resume(ending);
    }

    /// The tick since which an idle connection waits; `None` while a response is under way, so that it may
    /// not be closed for a new client.
    pub fn idle_since(&self) -> Option<u32> {
        match self.multiplexed() {
            Some(protocol) => protocol.idle_since(),
            None => Some(self.idle_since),
        }
    }

    /// True if it speaks HTTP/2: it has to hear when its socket takes more, and that the worker drains.
    pub fn is_http2(&self) -> bool {
        self.multiplexed().is_some()
    }

    /// What an idle connection waits for whose deadline has come.
    pub fn overdue(&mut self) -> Overdue {
        if self.multiplexed().is_none_or(|protocol| protocol.deadline().0 != Phase::Send) {
            return Overdue::Request;
        }
        let (uptake, now) =
            (self.fd().map_or(Uptake::default(), Uptake::of), self.context.timers.clock.tick());
        let protocol = self.extension.as_mut().and_then(|extension| extension.multiplexed.as_mut());
        if protocol.is_some_and(|protocol| protocol.is_stuck(uptake, now)) {
            Overdue::Uptake
        } else {
            Overdue::Nothing
        }
    }

    /// The tick at which an idle connection times out; `u32::MAX` if it has not waited yet.
    pub fn idle_deadline(&self) -> u32 {
        match self.multiplexed() {
            Some(protocol) => protocol.deadline().1,
            None => self.deadlines.get(self.idle_phase()).unwrap_or(u32::MAX),
        }
    }

    /// Checks what the client has done since the connection became idle.
    pub fn arrival(&self) -> Arrival {
        match self.fd().and_then(sys_socket::has_bytes) {
            Ok(true) => Arrival::Bytes,
            Ok(false) => Arrival::Close(CloseReason::PeerClosed),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Arrival::Nothing,
            Err(_) => Arrival::Close(CloseReason::Broken),
        }
    }

    /// Returns what was spent on the connection since its last wait or yield, and sets that to 0; see
    /// [`YIELD_BUDGET`](socket::YIELD_BUDGET).
    pub fn take_spent(&mut self) -> usize {
        self.socket.take_spent()
    }

    /// Closes an idle connection whose time is up.
    pub fn time_out(self: Box<Self>) {
        let reason = CloseReason::TimedOut(self.idle_phase());
        self.close(reason);
    }

    /// Closes the connection. A panic ends this connection alone: the ticker and the acceptors close some
    /// as well, and the worker would end with them.
    #[allow(clippy::boxed_local, reason = "its owners hold a box; to move it out would copy it")]
    pub fn close(mut self: Box<Self>, reason: CloseReason) {
        // It is logged.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Some(mut protocol) = self.take_multiplexed() {
                protocol.go_away(&mut self, reason);
            }
            self.conclude(reason);
        }));
    }

    /// Logs and counts why the connection closes.
    #[inline(never)]
    fn conclude(&mut self, reason: CloseReason) {
        ::log::trace!("{}: {reason:?}", self.peer);
        if reason.is_orderly() && self.unsent() == 0 {
            self.close_tls();
        }
        self.log_close(reason);
        self.counter.close(reason);
        if let CloseReason::TimedOut(phase) = reason {
            self.counter.row().timed_out(phase);
        }
    }

    /// Writes a line to the access log for a close after the last request's line, if the format has such
    /// lines.
    fn log_close(&self, reason: CloseReason) {
        let context = self.context;
        let is_due = context.access_format == AccessFormat::Json && self.requests > 0;
        if is_due
            && self.logged_close != Some(reason)
            && let Some(mut access) = self.log.and_then(|log| context.access.get(log))
        {
            let (stamp, origin) = (context.rendered_time.stamp(), self.log_origin(self.peer));
            line::push_end(&mut access, &stamp, &origin, reason.log_label());
        }
    }

    /// The origin that the next line of the access log names, for a request of `client`.
    fn log_origin(&self, client: PeerAddress) -> RequestOrigin {
        let (worker, connection) = (self.context.slot, self.number);
        RequestOrigin { worker, connection, request: self.requests, peer: Peer::new(client) }
    }

    /// The phase of the connection while no byte of a request is there.
    fn idle_phase(&self) -> Phase {
        if let Some(protocol) = self.multiplexed() {
            return protocol.deadline().0;
        }
        match self.stage {
            Stage::LaterRequests => Phase::Idle,
            Stage::TlsHandshake => Phase::Tls,
            Stage::ProxyHeader | Stage::FirstRequest => Phase::Handshake,
        }
    }

    /// Sets the peer to the source that the PROXY header names.
    fn set_source(&mut self, source: Source) {
        if let Source::Client(address) = source {
            self.peer = PeerAddress::Ip(address);
        }
        // A balancer that names no client leaves no address to trust.
        let trusted_proxies = &self.context.trusted_proxies;
        self.trusted = matches!(source, Source::Client(_)) && trusted_proxies.trust(self.peer);
        self.stage = if self.extension.is_some() { Stage::TlsHandshake } else { Stage::FirstRequest };
    }

    /// Sets the phase that the connection is in, and the tick at which waits end.
    fn set_deadline(&mut self, phase: Phase, tick: u32) {
        self.counter.enter(phase);
        self.socket.set_deadline(tick);
    }

    /// Appends what has arrived to `buffer`, which must have room; see [`Socket::receive`].
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        match self.extension.as_mut().and_then(|extension| extension.tls.as_mut()) {
            Some(tls) if self.stage != Stage::ProxyHeader => tls.receive(&mut self.socket, buffer),
            _ => self.socket.receive(buffer),
        }
    }

    /// True when bytes of the client may be there that were not received yet.
    fn may_hold_bytes(&self) -> bool {
        self.socket.may_hold_bytes() || self.tls().is_some_and(TlsTransport::may_hold_bytes)
    }

    /// Sends what the socket takes of `first` and then `second`; for `more` see [`Socket::send`]. What TLS
    /// has encrypted counts as sent, see [`Connection::unsent`].
    fn send(&mut self, first: &[u8], second: &[u8], more: bool) -> io::Result<usize> {
        let sent = match self.extension.as_mut().and_then(|extension| extension.tls.as_mut()) {
            None => self.socket.send(first, second, more)?,
            Some(tls) => tls.send(&mut self.socket, first, second, more)?,
        };
        self.count_sent(sent);
        Ok(sent)
    }

    /// Bytes that are encrypted and that the socket has not taken. A send of nothing sends them.
    fn unsent(&self) -> usize {
        self.tls().map_or(0, TlsTransport::unsent)
    }

    /// Says by TLS that nothing more is sent. What the socket does not take of that is unsent.
    fn close_tls(&mut self) {
        if let Some(tls) = self.extension.as_mut().and_then(|extension| extension.tls.as_mut()) {
            tls.close(&mut self.socket);
        }
    }

    /// TLS over the socket.
    fn tls(&self) -> Option<&TlsTransport> {
        self.extension.as_ref()?.tls.as_ref()
    }

    /// TLS, and the socket below it.
    fn tls_and_socket(&mut self) -> Option<(&mut TlsTransport, &mut Socket)> {
        Some((self.extension.as_mut()?.tls.as_mut()?, &mut self.socket))
    }

    /// HTTP/2, if the client speaks it.
    fn multiplexed(&self) -> Option<&dyn Multiplexed<Connection>> {
        self.extension.as_ref()?.multiplexed.as_deref()
    }

    fn take_multiplexed(&mut self) -> Option<Box<dyn Multiplexed<Connection>>> {
        self.extension.as_mut()?.multiplexed.take()
    }

    fn set_multiplexed(&mut self, protocol: Box<dyn Multiplexed<Connection>>) {
        self.extension.get_or_insert_default().multiplexed = Some(protocol);
    }

    /// Sends what the socket takes of a file from `*offset` on, at most `count` bytes; 0 means that the file
    /// ends there.
    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, count: usize) -> io::Result<usize> {
        let sent = self.socket.send_file(file, offset, count)?;
        self.count_sent(sent);
        Ok(sent)
    }

    fn count_sent(&mut self, sent: usize) {
        self.sent += sent as u64;
        self.counter.row().sent(sent as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Connection>() <= 200, "{} bytes", size_of::<Connection>());
    }
}
