//! The bytes that are to be sent: they gather here, and leave in as few system calls as possible.
//!
//! The only writer of a connection. Heads and small bodies gather, so that the responses to pipelined
//! requests leave together. A larger body in memory leaves in one call with what has gathered. A file's bytes
//! follow their head, see `file_body.rs`.
//!
//! **Invariant:** during a wait for the client the writer holds a buffer only for bytes that are still to be
//! sent and exist nowhere else.

use std::io::ErrorKind;

use super::Connection;
use super::send_timeout::SendTimeout;
use crate::metrics::close_reason::CloseReason;

/// A body of up to this many bytes is copied behind its head. A longer one is sent in place, as the second
/// slice of a sendmsg(2).
const COPIED: usize = 16 * 1024;

/// When more bytes than this have gathered, they are sent even if more responses follow.
const GATHERED: usize = 48 * 1024;

/// Bytes that are to be sent. It begins without a buffer.
#[derive(Default)]
pub struct Writer {
    out: Vec<u8>,
    /// True when a file must be checked before more of it is sent: there was a wait, or a part was sent,
    /// since the last check.
    pub(super) check_due: bool,
}

impl Writer {
    /// The buffer that heads are written to.
    pub fn out(&mut self, connection: &Connection) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = connection.context.write_buffers.take();
        }
        &mut self.out
    }

    /// Bytes that have gathered.
    pub fn gathered(&self) -> u64 {
        self.out.len() as u64
    }

    /// Discards what has gathered.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Gives the buffer back to the pool when it is empty.
    pub fn release(&mut self, connection: &Connection) {
        if self.out.is_empty() && self.out.capacity() > 0 {
            connection.context.write_buffers.give(std::mem::take(&mut self.out));
        }
    }

    /// Adds a body that is in memory.
    ///
    /// # Errors
    /// Why the connection closes: it can't be sent to.
    pub fn bytes(&mut self, connection: &mut Connection, body: &[u8]) -> Result<(), CloseReason> {
        if body.len() <= COPIED {
            self.out(connection).extend_from_slice(body);
            return self.flush_much(connection);
        }
        self.send(connection, body, false)
    }

    /// Has the file checked before any of it is sent. Called when there was a wait after the site's own
    /// check.
    pub fn check_file_first(&mut self) {
        self.check_due = true;
    }

    /// Sends what has gathered, and what is encrypted and not sent yet.
    ///
    /// # Errors
    /// Why the connection closes: it can't be sent to.
    pub fn flush(&mut self, connection: &mut Connection) -> Result<(), CloseReason> {
        let is_done = self.out.is_empty() && connection.unsent() == 0;
        if is_done { Ok(()) } else { self.send(connection, &[], false) }
    }

    /// Sends what has gathered, if it is much.
    ///
    /// # Errors
    /// Why the connection closes: it can't be sent to.
    pub fn flush_much(&mut self, connection: &mut Connection) -> Result<(), CloseReason> {
        if self.out.len() > GATHERED { self.flush(connection) } else { Ok(()) }
    }

    /// Sends what has gathered before a close, and says by TLS that it is the end. The kernel is told that
    /// more follows (`more` of [`Socket::send`](super::socket::Socket::send)), so the last bytes and the FIN
    /// share a segment.
    ///
    /// # Errors
    /// Why the connection closes: it can't be sent to.
    pub fn finish(&mut self, connection: &mut Connection) -> Result<(), CloseReason> {
        self.send(connection, &[], true)?;
        connection.close_tls();
        // What the socket has not taken of that: without it the client would take the response for cut off.
        self.send(connection, &[], true)
    }

    /// Sends all that has gathered, then all of `body`, and waits where the socket is full.
    pub(super) fn send(
        &mut self,
        connection: &mut Connection,
        body: &[u8],
        more: bool,
    ) -> Result<(), CloseReason> {
        let (mut body, mut sent) = (body, 0);
        let mut timeout = None;
        while sent < self.out.len() + body.len() || connection.unsent() > 0 {
            let unsent = connection.unsent();
            let first = self.out.get(sent..).unwrap_or(&[]);
            let second = &body[sent.saturating_sub(self.out.len())..];
            let result = if first.is_empty() {
                connection.send(second, &[], more)
            } else {
                connection.send(first, second, more)
            };
            match result {
                Ok(n) => {
                    sent += n;
                    timeout = None;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    body = second;
                    self.out.drain(..sent.min(self.out.len()));
                    self.out.shrink_to(self.out.len());
                    sent = 0;
                    if connection.unsent() < unsent {
                        timeout = None;
                    }
                    self.wait(connection, &mut timeout)?;
                }
                Err(_) => return Err(CloseReason::Broken),
            }
        }
        self.out.clear();
        Ok(())
    }

    /// Waits until the socket takes more, or the client has made no progress for the time to send.
    pub(super) fn wait(
        &mut self,
        connection: &mut Connection,
        timeout: &mut Option<SendTimeout>,
    ) -> Result<(), CloseReason> {
        self.check_due = true;
        self.release(connection);
        SendTimeout::wait(timeout, connection)
    }
}
