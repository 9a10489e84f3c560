//! The TLS handshake of a connection, before its first request.
//!
//! A client that has to send more is waited for in the idle set, without a coroutine: the state of the
//! handshake is a value.

use std::io::{self, ErrorKind};

use super::Stage;
use super::active::{ActiveConnection, Stop};
use super::send_timeout::SendTimeout;
use super::tls_transport::Handshake;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::tls_failure::TlsFailure;
use crate::tls::session::TlsError;

impl ActiveConnection<'_> {
    /// Goes on with the handshake, if there is one and it is not complete.
    pub(super) fn shake_hands(&mut self) -> Result<(), Stop> {
        if self.connection.stage == Stage::TlsHandshake { self.advance_handshake() } else { Ok(()) }
    }

    #[inline(never)]
    fn advance_handshake(&mut self) -> Result<(), Stop> {
        loop {
            let Some((tls, socket)) = self.connection.tls_and_socket() else {
                return Err(CloseReason::TlsFailed.into());
            };
            if !self.read_buffer.is_empty() {
                // What came with the PROXY header.
                tls.begin_with(self.read_buffer.bytes());
                self.read_buffer.clear();
            }
            match tls.handshake(socket) {
                Ok(Handshake::Done) => {
                    let is_resumed = tls.session().is_resumed();
                    self.connection.counter.row().tls_handshake(is_resumed);
                    self.connection.stage = Stage::FirstRequest;
                    return Ok(());
                }
                Ok(Handshake::Incomplete) => {}
                Err(error) => return Err(self.handshake_failed(&error).into()),
            }
            self.send_rest()?;
            self.wait_idle()?;
        }
    }

    /// Sends what the socket has not taken.
    fn send_rest(&mut self) -> Result<(), CloseReason> {
        let mut timeout = None;
        while self.connection.unsent() > 0 {
            match self.connection.send(&[], &[], false) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    SendTimeout::wait(&mut timeout, self.connection)?;
                }
                Err(_) => return Err(CloseReason::Broken),
            }
        }
        Ok(())
    }

    fn handshake_failed(&mut self, error: &io::Error) -> CloseReason {
        let (why, reason) = match error.kind() {
            ErrorKind::UnexpectedEof => (TlsFailure::Closed, CloseReason::PeerClosed),
            ErrorKind::InvalidData => (failure(error), CloseReason::TlsFailed),
            _ => (TlsFailure::Closed, CloseReason::Broken),
        };
        ::log::debug!("{}: the TLS handshake failed: {error}", self.connection.peer);
        self.connection.counter.row().tls_failure(why);
        reason
    }
}

/// Why a client could not agree with the server.
fn failure(error: &io::Error) -> TlsFailure {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>());
    error.map_or(TlsFailure::Protocol, TlsError::failure)
}
