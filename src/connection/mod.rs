//! One client: the loop that reads a request, has the site answer it, and sends the reply, until there is an [`End`],
//! or nothing to do for now.
//!
//! The steps of serving:
//!
//! 0. Where a balancer announces its clients: receive until the inbox holds the PROXY header, or there can be none.
//! 1. Receive until the inbox holds a complete head, or the request ends: 400, 408, 414, 431, 501, 505.
//! 2. Have the site answer. From here on nothing of the request is borrowed any more.
//! 3. Pass over the request's body, or decide to close after the reply.
//! 4. Write the head and what of the body is in memory; send a file's bytes.
//! 5. Log. Then the next request: what was pipelined is in the inbox already, and only when it holds no complete head
//!    is what has gathered sent, all answers at once.
//!
//! The subtle rule: before every wait for the client, whatever has gathered for it is sent, or both would wait.

pub mod baton;
pub mod client;
pub mod clock;
pub mod end;
pub mod exchange;
mod farewell;
pub mod inbox;
mod leftover;
pub mod phase;
pub mod proxies;
pub mod shared;
pub mod stopwatch;
pub mod transmit;
pub mod transport;
pub mod wheel;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use crate::http::fields::Field;
use crate::http::framing::Framing;
use crate::http::head;
use crate::http::proxy_header::Preface;
use crate::http::reply::{Body, FieldBlock};
use crate::http::request::{Head, Reject};
use crate::log::line::{Asked, Outcome, Pending};
use crate::site::entry::Entry;
use crate::sys::socket::PeerAddress;

use client::{Client, Stage, Visit};
use end::End;
use exchange::Exchange;
use inbox::Inbox;
use leftover::Skipped;
use phase::{PARKED_AFTER, Phase};
use shared::Shared;
use stopwatch::Stopwatch;
use transmit::Transmit;
use transport::{Received, Transport, WaitError};

/// What answering one request counts towards the turn of the other connections, in bytes.
const REQUEST_COST: usize = 8 * 1024;

/// Serves a client until it is idle, and gives it back, or until the connection's end.
pub fn serve(shared: &'static Shared, client: Client) -> Option<Client> {
    let mut connection = Connection::new(shared, client);
    let stop = connection.serve();
    connection.release();
    match stop {
        Stop::Idle => connection.leave(),
        Stop::End(end) => {
            client::conclude(shared, &connection.visit, connection.transport.presence(), end);
            None
        }
    }
}

/// Why the loop stops.
enum Stop {
    End(End),
    /// There is nothing to do for now.
    Idle,
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

/// What the inbox holds.
enum Next {
    Answer(Exchange),
    More,
    Reject(Reject),
    End(End),
}

struct Connection {
    shared: &'static Shared,
    transport: Transport,
    transmit: Transmit,
    inbox: Inbox,
    pending: Pending,
    visit: Visit,
    /// Whose the request at hand is.
    client: PeerAddress,
    /// Requests that are complete and whose replies the socket has not taken yet.
    under_way: Stopwatch,
}

impl Connection {
    fn new(shared: &'static Shared, client: Client) -> Connection {
        let Client { socket, presence, visit, ending } = client;
        Connection {
            shared,
            client: visit.peer,
            transport: Transport::new(socket, &shared.reactor, presence, ending),
            transmit: Transmit::new(&shared.reactor, shared.timeouts, shared.files),
            inbox: Inbox::default(),
            pending: Pending::default(),
            visit,
            under_way: Stopwatch::default(),
        }
    }

    fn serve(&mut self) -> Stop {
        if self.visit.stage == Stage::Unannounced
            && let Err(stop) = self.take_announcement()
        {
            return stop;
        }
        loop {
            let step = match self.next() {
                Next::Answer(exchange) => self.exchange(exchange).map_err(Stop::End),
                Next::More => self.fill(),
                Next::Reject(reject) => Err(Stop::End(self.reject(reject))),
                Next::End(end) => Err(Stop::End(end)),
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }

    /// Step 0.
    #[inline(never)]
    fn take_announcement(&mut self) -> Result<(), Stop> {
        loop {
            match Preface::parse(self.inbox.bytes()) {
                Preface::Complete(source, used) => {
                    self.inbox.consume(used);
                    self.visit.announce(self.shared, source);
                    self.client = self.visit.peer;
                    return Ok(());
                }
                Preface::Partial => self.fill()?,
                Preface::Malformed(why) => return Err(self.refuse(why).into()),
            }
        }
    }

    /// Ends the coroutine's part in an idle connection.
    #[inline(never)]
    fn leave(self) -> Option<Client> {
        let Connection { shared, transport, visit, .. } = self;
        match transport.into_parts() {
            Ok((socket, presence)) => Some(Client { socket, presence, visit, ending: false }),
            Err(mut presence) => {
                client::conclude(shared, &visit, &mut presence, End::Unwatchable);
                None
            }
        }
    }

    /// Gives the buffers back, and settles for what was moved.
    fn release(&mut self) {
        self.transport.settle();
        self.inbox.clear();
        self.inbox.release(&self.shared.pool);
        self.transmit.clear();
        self.transmit.release(&self.shared.pool);
    }

    /// Steps 1 and 2 on what the inbox holds. Its frame is gone before anything waits, which keeps idle stacks small; but
    /// where files are found by their names and these are being read, it waits for that, and sends before what has gathered.
    #[inline(never)]
    fn next(&mut self) -> Next {
        if !self.inbox.worth_parsing() {
            return Next::More;
        }
        if self.visit.believed {
            // Until the fields of a request say otherwise.
            self.client = self.visit.peer;
        }
        match Head::parse(self.inbox.bytes()) {
            Head::Complete(request, used) => {
                self.visit.head_deadline = None;
                self.visit.idle_deadline = None;
                self.visit.stage = Stage::Asked;
                if self.visit.believed {
                    self.client = self.shared.proxies.client(self.visit.peer, &request.fields);
                }
                self.under_way.start();
                self.transport.count(REQUEST_COST);
                if self.shared.access.is_some() {
                    self.visit.requests += 1;
                    let origin = self.visit.origin(self.shared, self.client);
                    let asked = Asked {
                        line: request.line,
                        referer: request.fields.first(Field::Referer),
                        user_agent: request.fields.first(Field::UserAgent),
                        since: self.shared.log_clock(),
                    };
                    self.pending.capture(self.shared.access_format, &origin, &asked);
                }
                let answer = loop {
                    let now = self.shared.reactor.clock.now();
                    match self.shared.site.answer(&request, self.client, now) {
                        Some(answer) => break answer,
                        None => match self.transmit.flush(&mut self.transport) {
                            Ok(()) => self.shared.reactor.give_way(),
                            Err(end) => return Next::End(end),
                        },
                    }
                };
                let draining = self.shared.draining.load(Relaxed);
                Next::Answer(Exchange::new(&request, used, answer, draining))
            }
            Head::Partial => {
                self.inbox.consume_empty_lines();
                Next::More
            }
            Head::Reject(reject) => Next::Reject(reject),
        }
    }

    /// Steps 3 to 5.
    fn exchange(&mut self, mut exchange: Exchange) -> Result<(), End> {
        self.inbox.consume(exchange.used);
        if exchange.framing != Framing::None {
            match self.skip_body(exchange.framing, exchange.expects_continue)? {
                Skipped::Whole => {}
                Skipped::TooLong => {
                    exchange.keep_alive = false;
                    exchange.may_send_more = true;
                }
                Skipped::Bad => return Err(self.reject(Reject::BadRequest("malformed chunked body"))),
            }
        }
        self.send(&exchange)?;
        if self.transmit.gathered() == 0 {
            // A large reply leaves at once, and takes along those before it.
            self.under_way.stop(self.transport.presence().row());
        }
        if exchange.keep_alive {
            self.transport.give_way_if_due();
            return Ok(());
        }
        if exchange.may_send_more || !self.inbox.is_empty() || self.transport.may_hold_bytes() {
            self.flush()?;
            self.linger();
        } else {
            self.transmit.finish(&mut self.transport)?;
            self.under_way.stop(self.transport.presence().row());
        }
        Err(End::Finished)
    }

    /// Step 4, and the log's line.
    fn send(&mut self, exchange: &Exchange) -> Result<(), End> {
        let Exchange { reply, send_body, keep_alive, end, .. } = exchange;
        let fields: &[u8] = match &reply.fields {
            FieldBlock::Owned(fields) => fields,
            FieldBlock::Of(entry) => entry.whole_fields(),
        };
        let date = self.shared.reactor.clock.date();
        let out = self.transmit.out(&self.shared.pool);
        head::write(out, reply.status, &self.shared.server, &date, *keep_alive, fields);
        self.transport.presence().row().request(exchange.method, reply.status.code());
        let before_body = self.transport.sent() + self.transmit.gathered();
        let result = if *send_body { self.send_body(&reply.body) } else { Ok(()) };
        if !exchange.logged && self.shared.access.is_some() {
            self.pending.discard();
            self.visit.requests -= 1;
        } else if let Some(access) = &self.shared.access {
            // What has gathered counts as sent; it goes before anything else does.
            let gathered = if result.is_ok() { self.transmit.gathered() } else { 0 };
            let length = (self.transport.sent() + gathered).saturating_sub(before_body);
            self.visit.told = result.err().or((!keep_alive).then_some(*end));
            let outcome = Outcome {
                status: reply.status.code(),
                bytes: length,
                until: self.shared.log_clock(),
                end: self.visit.told.map(End::name),
            };
            let mut access = access.lock().unwrap_or_else(PoisonError::into_inner);
            self.pending.finish(&mut access, &self.shared.reactor.clock.stamp(), &outcome);
        }
        result
    }

    fn send_body(&mut self, body: &Body<Arc<Entry>>) -> Result<(), End> {
        let (transmit, transport) = (&mut self.transmit, &mut self.transport);
        match body {
            Body::Empty => Ok(()),
            Body::Owned(bytes) => transmit.bytes(transport, bytes),
            Body::Slice(entry, range) => send_slice(transmit, transport, entry, range.clone()),
            Body::Multipart(entry, parts, closing) => {
                for part in parts {
                    transmit.bytes(transport, &part.head)?;
                    send_slice(transmit, transport, entry, part.range.clone())?;
                }
                transmit.bytes(transport, closing)
            }
        }
    }

    /// Receives some bytes, and waits for them if it must. In this order: what has gathered is sent, what has arrived
    /// is taken, and only then does the connection wait, without buffers if it is idle.
    fn fill(&mut self) -> Result<(), Stop> {
        self.flush()?;
        loop {
            let room = self.inbox.room(&self.shared.pool);
            match self.transport.receive(room) {
                Ok(Received::Bytes) => return Ok(()),
                Ok(Received::End) => return Err(End::PeerClosed.into()),
                Ok(Received::Nothing) => self.wait()?,
                Err(_) => return Err(End::Broken.into()),
            }
        }
    }

    /// Sends what has gathered. The socket then has the replies to all complete requests.
    fn flush(&mut self) -> Result<(), End> {
        self.transmit.flush(&mut self.transport)?;
        self.under_way.stop(self.transport.presence().row());
        Ok(())
    }

    /// Waits for the client, in the phase that it is in. With an idle one this coroutine stays for a while only where the
    /// scheduler watches the socket already, and not at all where it does not.
    fn wait(&mut self) -> Result<(), Stop> {
        let idle = self.inbox.is_empty();
        let phase = if idle { self.visit.idle_phase() } else { Phase::Head };
        let now = self.shared.reactor.clock.tick();
        let deadline = self.visit.fix_deadline(phase, now + self.shared.timeouts.of(phase));
        let until = if idle { deadline.min(now + PARKED_AFTER) } else { deadline };
        self.transport.set_deadline(phase, until);
        self.inbox.release(&self.shared.pool);
        self.transmit.release(&self.shared.pool);
        if phase == Phase::Idle {
            self.pending = Pending::default();
        }
        if idle && !self.transport.is_registered() {
            return Err(Stop::Idle);
        }
        match self.transport.wait_readable() {
            Ok(()) => Ok(()),
            Err(WaitError::Unwatchable) => Err(End::Unwatchable.into()),
            Err(WaitError::TimedOut) if !idle => Err(self.time_out(phase).into()),
            Err(WaitError::TimedOut) if self.shared.reactor.clock.tick() < deadline => Err(Stop::Idle),
            Err(WaitError::TimedOut) => Err(End::TimedOut(phase).into()),
        }
    }
}

fn send_slice(
    transmit: &mut Transmit,
    transport: &mut Transport,
    entry: &Entry,
    range: std::ops::Range<u64>,
) -> Result<(), End> {
    if range.is_empty() {
        return Ok(());
    }
    if let Some(file) = entry.file() {
        return transmit.file(transport, file, range);
    }
    let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
        return Ok(());
    };
    let bytes = entry.in_memory().and_then(|bytes| bytes.get(start..end)).unwrap_or_default();
    transmit.bytes(transport, bytes)
}
