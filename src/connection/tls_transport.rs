//! What is between a socket and the protocol above it, on a TLS connection: receives records and gives their
//! text, encrypts text and sends it.
//!
//! It never waits. **Invariant:** nothing of a connection is left in the scratch that all connections of the
//! worker share: the beginning of a record stays in its session, and what the socket has not taken in `out`.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::socket::{Received, Socket};
use crate::http::host;
use crate::log::request::LoggedTls;
use crate::tls::ServerConfig;
use crate::tls::resolver::CertificateResolver;
use crate::tls::session::{MAX_PART, MAX_RECORD, Replies, TlsError, TlsSession};

/// The most bytes of text that are encrypted at once: they are sent with one call.
const MAX_TEXT: usize = 64 << 10;

/// The cost of a step of a handshake that has an answer against the yield budget, in bytes. The step with a
/// signature takes 0.1 ms with ECDSA and 1 ms with RSA, so that eight of them make other clients wait for
/// some milliseconds at most.
const HANDSHAKE_COST: usize = 64 << 10;

/// What all TLS connections of a worker share.
pub struct TlsContext {
    config: Arc<ServerConfig>,
    resolver: Option<Arc<CertificateResolver>>,
    scratch: Mutex<Scratch>,
}

/// Memory for one step of one connection.
struct Scratch {
    /// Records as they were received.
    received: Vec<u8>,
    /// Text that is to be one record.
    text: Vec<u8>,
    /// Records to send.
    records: Vec<u8>,
}

/// TLS over a connection's socket.
pub struct TlsTransport {
    context: &'static TlsContext,
    session: TlsSession,
    /// Text of the client that there was no room for.
    text: Vec<u8>,
    /// What the socket has not taken.
    out: Vec<u8>,
}

/// How far a handshake has come.
pub enum Handshake {
    /// Both have agreed on keys.
    Done,
    /// The client has to send more.
    Incomplete,
}

impl TlsContext {
    /// What connections of this configuration share; `resolver` chooses its certificates.
    pub fn new(config: Arc<ServerConfig>, resolver: Option<Arc<CertificateResolver>>) -> TlsContext {
        let scratch = Scratch {
            received: Vec::with_capacity(MAX_PART + MAX_RECORD),
            text: Vec::new(),
            records: vec![0; TlsSession::encrypted_length(MAX_TEXT)],
        };
        TlsContext { config, resolver, scratch: Mutex::new(scratch) }
    }

    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TlsTransport {
    /// TLS for a new connection.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(context: &'static TlsContext) -> Result<TlsTransport, TlsError> {
        let session = TlsSession::new(&context.config)?;
        Ok(TlsTransport { context, session, text: Vec::new(), out: Vec::new() })
    }

    /// Begins with what was received before TLS.
    pub fn begin_with(&mut self, received: &[u8]) {
        self.session.begin_with(received);
    }

    /// The session.
    pub fn session(&self) -> &TlsSession {
        &self.session
    }

    /// True if the connection has another certificate than one to this authority would have.
    pub fn is_misdirected(&self, authority: Option<&[u8]>) -> bool {
        let (Some(sni), Some(authority)) = (self.session.server_name(), authority) else { return false };
        if authority.eq_ignore_ascii_case(sni.as_bytes()) {
            return false;
        }
        let name = host::name(authority);
        let Ok(name) = str::from_utf8(&name) else { return true };
        self.context.resolver.as_ref().is_some_and(|resolver| !resolver.same_certificate(Some(sni), name))
    }

    /// What the access log says of it.
    pub fn logged(&self) -> LoggedTls<'_> {
        LoggedTls {
            protocol: self.session.version(),
            cipher: self.session.cipher(),
            server_name: self.session.server_name(),
            is_resumed: self.session.is_resumed(),
        }
    }

    /// True if the next receive has something without the socket.
    pub fn may_hold_bytes(&self) -> bool {
        !self.text.is_empty() || self.session.has_unprocessed() || self.session.is_closed()
    }

    /// Bytes that are encrypted and that the socket has not taken.
    pub fn unsent(&self) -> usize {
        self.out.len()
    }

    /// Goes on with the handshake as far as the received bytes allow.
    ///
    /// # Errors
    /// `InvalidData` with the [`TlsError`] if the client has failed; `UnexpectedEof` if it has ended the
    /// connection; what recv(2) and send(2) say.
    pub fn handshake(&mut self, socket: &mut Socket) -> io::Result<Handshake> {
        while self.session.is_handshaking() {
            let mut text = std::mem::take(&mut self.text);
            let received = self.step(socket, |bytes| text.extend_from_slice(bytes));
            self.text = text;
            match received? {
                Received::Bytes => {}
                Received::Nothing => return Ok(Handshake::Incomplete),
                Received::EndOfStream => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(Handshake::Done)
    }

    /// Appends text of the client to `buffer`, which must have room. `Received::Bytes` may have brought none.
    ///
    /// # Errors
    /// As [`TlsTransport::handshake`]. `UnexpectedEof` is an end without `close_notify`, by which the client
    /// would have said that it is the end.
    #[inline(never)]
    pub fn receive(&mut self, socket: &mut Socket, buffer: &mut Vec<u8>) -> io::Result<Received> {
        if self.text.is_empty() {
            let mut left = Vec::new();
            let received = self.step(socket, |text| {
                let (fits, rest) = text.split_at(text.len().min(buffer.capacity() - buffer.len()));
                buffer.extend_from_slice(fits);
                left.extend_from_slice(rest);
            });
            self.text = left;
            return received;
        }
        let count = self.text.len().min(buffer.capacity() - buffer.len());
        buffer.extend_from_slice(&self.text[..count]);
        if count == self.text.len() {
            self.text = Vec::new();
        } else {
            self.text.drain(..count);
        }
        Ok(Received::Bytes)
    }

    /// Receives once, and has the session work on it.
    fn step(&mut self, socket: &mut Socket, text: impl FnMut(&[u8])) -> io::Result<Received> {
        if self.session.is_closed() {
            return Ok(Received::EndOfStream);
        }
        let mut scratch = self.context.scratch();
        let records = &mut scratch.received;
        records.clear();
        if self.session.has_unprocessed() {
            self.session.take_part(records);
        } else {
            if !socket.may_hold_bytes() {
                return Ok(Received::Nothing);
            }
            self.session.take_part(records);
            let part = records.len();
            let received = socket.receive(records);
            if !matches!(received, Ok(Received::Bytes)) {
                self.session.put_part(&records[..part]);
                return match received {
                    Ok(Received::EndOfStream) => Err(ErrorKind::UnexpectedEof.into()),
                    other => other,
                };
            }
        }
        let is_handshaking = self.session.is_handshaking();
        let mut replies = Replies::default();
        let result = self.session.process(records, text, &mut replies);
        drop(scratch);
        if is_handshaking && (result.is_err() || !replies.bytes().is_empty()) {
            socket.spend(HANDSHAKE_COST);
        }
        push(&mut self.out, socket, replies.bytes(), false)?;
        result.map_err(failed)?;
        Ok(Received::Bytes)
    }

    /// Sends `first` and then `second`: their beginning is encrypted, and counts as sent. Without both it
    /// sends what the socket has not taken before, and returns 0.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has not taken all that was sent before; what send(2) says.
    #[inline(never)]
    pub fn send(
        &mut self,
        socket: &mut Socket,
        first: &[u8],
        second: &[u8],
        more: bool,
    ) -> io::Result<usize> {
        self.drain(socket)?;
        if first.is_empty() && second.is_empty() {
            return Ok(0);
        }
        let mut scratch = self.context.scratch();
        let Scratch { text, records, .. } = &mut *scratch;
        let second = &second[..second.len().min(MAX_TEXT.saturating_sub(first.len()))];
        let joined = if first.is_empty() {
            second
        } else if second.is_empty() {
            &first[..first.len().min(MAX_TEXT)]
        } else {
            text.clear();
            text.extend_from_slice(&first[..first.len().min(MAX_TEXT)]);
            text.extend_from_slice(second);
            text.as_slice()
        };
        let length = self.session.encrypt(joined, records).map_err(failed)?;
        let (count, records) = (joined.len(), &records[..length]);
        push(&mut self.out, socket, records, more)?;
        Ok(count)
    }

    /// Says that nothing more is sent (`close_notify`), as far as the socket takes it.
    pub fn close(&mut self, socket: &mut Socket) {
        let mut replies = Replies::default();
        self.session.close(&mut replies);
        // The client is gone if this fails.
        let _ = push(&mut self.out, socket, replies.bytes(), true);
    }

    /// Sends what the socket has not taken before.
    ///
    /// # Errors
    /// `WouldBlock` when it does not take all of it; what send(2) says.
    pub fn drain(&mut self, socket: &mut Socket) -> io::Result<()> {
        while !self.out.is_empty() {
            let sent = socket.send(&self.out, &[], false)?;
            if sent == self.out.len() {
                self.out = Vec::new();
            } else {
                self.out.drain(..sent);
            }
        }
        Ok(())
    }
}

/// Sends records after those that the socket has not taken yet.
fn push(out: &mut Vec<u8>, socket: &mut Socket, records: &[u8], more: bool) -> io::Result<()> {
    let mut rest = records;
    if out.is_empty() && !rest.is_empty() {
        match socket.send(rest, &[], more) {
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn failed(error: TlsError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
