//! The last words to a client whose request can't be answered as asked, and the close that lets it read them.
//!
//! The subtle rule: a close with bytes unread resets the connection and may destroy the reply on its way, so what the
//! client still sends is read first, for a bounded time.

use super::Connection;
use super::client::Stage;
use super::end::End;
use super::exchange::Exchange;
use super::phase::Phase;
use super::transport::Received;
use crate::http::request::Reject;
use crate::http::status::Status;
use crate::log::line::Asked;

impl Connection {
    /// Answers a request that can't be answered as asked, and ends the connection so that the client can read why.
    #[inline(never)]
    pub(super) fn reject(&mut self, reject: Reject) -> End {
        let status = reject.status();
        ::log::debug!("{}: {} ({})", self.client, status.code(), reject.reason());
        let end = End::Rejected(status);
        self.close_with(status, end);
        end
    }

    /// Ends a connection that does not begin as it must, without a word: whoever made it may speak anything.
    #[inline(never)]
    pub(super) fn refuse(&mut self, why: &str) -> End {
        ::log::debug!("{}: closed ({why})", self.visit.peer);
        End::Unannounced
    }

    /// Tells a client that was too slow with its request so (RFC 9110 §15.5.9); not one that has not been announced.
    #[inline(never)]
    pub(super) fn time_out(&mut self, phase: Phase) -> End {
        let end = End::TimedOut(phase);
        if self.visit.stage == Stage::Unannounced {
            return end;
        }
        self.close_with(Status::REQUEST_TIMEOUT, end);
        end
    }

    fn close_with(&mut self, status: Status, end: End) {
        // A request whose body went wrong is pending already, and what is in the inbox is of its body.
        if self.shared.access.is_some() && self.pending.is_empty() {
            let line = self.inbox.bytes().trim_ascii_start();
            let line = &line[..memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len()).min(1024)];
            let (referer, user_agent, since) = (None, None, self.shared.log_clock());
            self.visit.requests += 1;
            let origin = self.visit.origin(self.shared, self.client);
            let asked = Asked { line, referer, user_agent, since };
            self.pending.capture(self.shared.access_format, &origin, &asked);
        }
        let exchange = Exchange::last(status, end);
        if self.send(&exchange).is_ok() && self.flush().is_ok() {
            self.linger();
        }
    }

    /// Ends the sending direction and throws away what the client still sends, until it ends too or the time is up: a
    /// close with bytes unread would reset the connection and could destroy the reply on its way (RFC 9112 §9.6).
    pub(super) fn linger(&mut self) {
        self.transport.finish_sending();
        self.inbox.clear();
        let scratch = self.inbox.room(&self.shared.pool);
        let capacity = scratch.capacity();
        scratch.resize(capacity, 0);
        let deadline = self.shared.reactor.clock.tick() + self.shared.timeouts.of(Phase::Linger);
        self.transport.set_deadline(Phase::Linger, deadline);
        loop {
            if self.shared.reactor.clock.tick() >= deadline {
                return;
            }
            match self.transport.discard(scratch) {
                Ok(Received::Bytes) => self.transport.give_way_if_due(),
                Ok(Received::Nothing) => {
                    if self.transport.wait_readable().is_err() {
                        return;
                    }
                }
                Ok(Received::End) | Err(_) => return,
            }
        }
    }
}
