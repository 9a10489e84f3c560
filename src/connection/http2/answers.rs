//! Takes requests out of h2, and gives it the responses.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;

use super::driver::{Http2, State};
use super::late_answers::{AnswerPlace, LateAnswer};
use super::outgoing_stream::{OutgoingStream, StreamRecord};
use super::priority::Priority;
use super::request::{self, StreamRequest};
use super::response::{self, Pieces};
use super::stream_log;
use crate::connection::Connection;
use crate::connection::context::Context;
use crate::connection::job_wait::NoWait;
use crate::http::fields::Fields;
use crate::http::method::Method;
use crate::http::reject::Reject;
use crate::http::status::Status;
use crate::metrics::close_reason::CloseReason;
use crate::site::{Answer, error_page};
use crate::sys::socket::PeerAddress;
use crate::sys::timer;

/// What became of the requests that had come.
#[derive(Default)]
pub(super) struct Answering {
    /// True if there were any.
    pub has_answered: bool,
    /// True if something was to be done besides.
    pub was_woken: bool,
    /// True if there may be more, which have to wait for the turns of others.
    pub is_cut: bool,
}

/// The cost of a request against the yield budget, in bytes.
const REQUEST_COST: usize = 4 * 1024;

impl Http2 {
    /// Takes requests and answers them.
    pub(super) fn answer_requests(
        &mut self,
        connection: &mut Connection,
        task: &mut TaskContext<'_>,
    ) -> Result<Answering, CloseReason> {
        let mut answering = Answering::default();
        if !self.late.is_empty() {
            let late = self.late.take(&self.answer_place(connection));
            answering.has_answered = !late.is_empty();
            for late in late {
                self.respond_late(connection, late);
            }
        }
        loop {
            if connection.socket.has_spent_budget() {
                answering.is_cut = true;
                return Ok(answering);
            }
            // The poll does what h2 was woken for.
            answering.was_woken |= self.wakeup.take();
            let polled = match &mut self.state {
                State::Preface(handshake) => match Pin::new(&mut **handshake).poll(task) {
                    Poll::Pending if self.pipe.allow_more() => continue,
                    Poll::Pending => return Ok(answering),
                    Poll::Ready(Err(error)) => return Err(self.failed(connection, &error)),
                    Poll::Ready(Ok(open)) => {
                        self.state = State::Open(Box::new(open));
                        continue;
                    }
                },
                State::Open(open) => {
                    if connection.context.is_draining() && !self.is_leaving {
                        self.is_leaving = true;
                        open.graceful_shutdown();
                    }
                    open.poll_accept(task)
                }
            };
            match polled {
                Poll::Pending if self.pipe.allow_more() => {}
                Poll::Pending => return Ok(answering),
                Poll::Ready(None) => return Err(self.ended(connection)),
                Poll::Ready(Some(Err(error))) => return Err(self.failed(connection, &error)),
                Poll::Ready(Some(Ok((request, stream)))) => {
                    answering.has_answered = true;
                    self.answer(connection, request, stream);
                }
            }
        }
    }

    fn answer_place(&self, connection: &Connection) -> AnswerPlace {
        AnswerPlace {
            context: connection.context,
            leadership: connection.socket.leadership(),
            wakeup: Arc::clone(&self.wakeup),
        }
    }

    /// Answers a request, or has a coroutine answer it.
    fn answer(
        &mut self,
        connection: &mut Connection,
        request: http::Request<h2::RecvStream>,
        stream: SendResponse<Bytes>,
    ) {
        let context = connection.context;
        self.allowance.request();
        self.counter.open();
        self.idle_since = None;
        connection.socket.spend(REQUEST_COST);
        // No response needs the body: what comes of it is dropped.
        let (parts, _) = request.into_parts();
        self.stopwatch.start();
        let (since, is_https) = (self.stopwatch.since(), connection.tls().is_some());
        let mut request = StreamRequest { parts, stream, since, is_https, is_misdirected: false };
        request::write_line(&request.parts, &mut self.line);
        let line = std::mem::take(&mut self.line);
        let read = request::read(&request.parts, &line);
        let mut waiter = NoWait::default();
        let answered = read.map(|mut read| {
            if let Some(tls) = connection.tls() {
                read.is_https = true;
                read.is_misdirected = tls.is_misdirected(read.authority());
                request.is_misdirected = read.is_misdirected;
            }
            let client = client_of(connection, &read.fields);
            (client, context.site.answer(&read, client, context.timers.clock.now(), &mut waiter))
        });
        self.line = line;
        match answered {
            Ok((client, _)) if waiter.was_refused => {
                self.stopwatch.leave();
                let place = self.answer_place(connection);
                self.late.add(request, client, &place);
            }
            Ok((client, answer)) => {
                if !self.respond(connection, request, client, answer) {
                    self.stopwatch.leave();
                }
            }
            Err(reject) => self.reject(connection, request, reject),
        }
    }

    fn respond_late(&mut self, connection: &mut Connection, late: LateAnswer) {
        let LateAnswer { request, client, answer } = late;
        request::write_line(&request.parts, &mut self.line);
        let answer = answer.unwrap_or_else(|| error(connection.context, Status::INTERNAL_SERVER_ERROR));
        let since = request.since;
        // It has taken longer than those that are counted together.
        if self.respond(connection, request, client, answer) {
            let took = timer::nanoseconds().saturating_sub(since);
            connection.counter.row().request_time(1, took);
        }
    }

    fn reject(&mut self, connection: &mut Connection, request: StreamRequest, reject: Reject) {
        let client = connection.peer;
        ::log::debug!("{client}: {} ({})", reject.status().code(), reject.reason());
        if !self.respond(connection, request, client, error(connection.context, reject.status())) {
            self.stopwatch.leave();
        }
    }

    /// Sends the head of a response, and its body if that is short; a longer one stands in the queue. True if
    /// the response is whole.
    fn respond(
        &mut self,
        connection: &mut Connection,
        request: StreamRequest,
        client: PeerAddress,
        answer: Answer,
    ) -> bool {
        let context = connection.context;
        let StreamRequest { parts, mut stream, since, .. } = request;
        let status = answer.response.status;
        let line = stream_log::begin(connection, (&parts, &self.line), client, &answer, since);
        let (log, host) = (answer.log, answer.counted);
        let mut record = StreamRecord { status: status.code(), log, line, host, since, sent: 0 };
        let row = connection.counter.row();
        let method = request::method(&parts);
        row.request(Some(method), status.code());
        if let Some(host) = host {
            row.host_request(host, status.code());
        }
        let head = response::head(status, answer.response.fields, context);
        let pieces =
            if method == Method::Head { Pieces::None } else { response::pieces(answer.response.body) };
        let sent = stream.send_response(head, matches!(pieces, Pieces::None));
        let failed = match (sent, pieces) {
            (Err(_), _) => Some(CloseReason::PeerClosed),
            (Ok(_), Pieces::None) => None,
            (Ok(mut stream), Pieces::Short(bytes)) => {
                record.sent = bytes.len() as u64;
                stream.send_data(bytes, true).is_err().then_some(CloseReason::PeerClosed)
            }
            (Ok(stream), Pieces::Long(pieces)) => {
                let priority = Priority::of(&parts.headers);
                self.queue.push(Box::new(OutgoingStream::new(stream, pieces, priority, record)));
                return false;
            }
        };
        self.count_end(failed);
        stream_log::finish(connection, record, (context.log_clock(), failed));
        true
    }

    /// Counts and logs a response of the queue whose last byte was handed on, or that has failed.
    pub(super) fn finish(
        &mut self,
        connection: &mut Connection,
        record: StreamRecord,
        failed: Option<CloseReason>,
    ) {
        let now = timer::nanoseconds();
        connection.counter.row().request_time(1, now.saturating_sub(record.since));
        self.count_end(failed);
        stream_log::finish(connection, record, (Duration::from_nanos(now), failed));
    }

    fn count_end(&mut self, failed: Option<CloseReason>) {
        if failed == Some(CloseReason::PeerClosed) {
            self.allowance.waste();
        }
        self.counter.close();
    }
}

/// An answer that says what went wrong.
fn error(context: &Context, status: Status) -> Answer {
    let (log, counted) = (context.access.default, context.site.counted_first());
    Answer { response: error_page::response(status, b""), log, user: None, counted }
}

/// The client of a request.
fn client_of(connection: &Connection, fields: &Fields<'_>) -> PeerAddress {
    if connection.trusted {
        connection.context.trusted_proxies.client(connection.peer, fields)
    } else {
        connection.peer
    }
}
