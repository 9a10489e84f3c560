//! The TLS state of one connection: bytes in, bytes out, no socket.
//!
//! It is rustls' unbuffered connection: an idle one keeps no buffers but the beginning of a record, if it has
//! one.

use std::fmt;
use std::sync::Arc;

use rustls::server::{ServerConfig, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus, WriteTraffic};
use rustls::{CipherSuite, CommonState, Error, HandshakeKind, PeerIncompatible, ProtocolVersion};

use super::server_name;
use crate::metrics::tls_failure::TlsFailure;

/// The most bytes of a record as it is sent (RFC 8446 §5.2, RFC 5246 §6.2.3).
pub const MAX_RECORD: usize = 5 + (1 << 14) + 2048;

/// What a record has besides the text in it, at most, by the suites that are supported.
const OVERHEAD: usize = 64;

/// The most bytes of text in a record (RFC 8446 §5.1).
const RECORD_TEXT: usize = 1 << 14;

/// The most bytes that wait to be sent while the client sends, such as answers to its key updates. Beyond
/// that it is flooding.
const MAX_REPLIES: usize = 64 << 10;

/// The most bytes of records that wait for the rest of one, or of a message.
pub const MAX_PART: usize = 2 * MAX_RECORD;

/// The TLS state of one connection.
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// The beginning of a record.
    part: Vec<u8>,
    /// True if `part` may hold whole records, since it was not received for TLS.
    is_part_new: bool,
    client: ClientState,
    /// See [`TlsSession::server_name`].
    server_name: Option<Box<str>>,
}

/// What the client may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// Send more.
    Open,
    /// Receive, since it has said that it sends no more.
    Closed,
    /// Nothing. **Invariant:** rustls is not called again, since `part` is not what it has seen.
    Failed,
}

/// What a client's bytes have led to.
#[derive(Debug, Default)]
pub struct Replies(Vec<u8>);

/// Why a session can't go on.
#[derive(Clone, Debug, PartialEq)]
pub enum TlsError {
    /// The client has broken the protocol, or can't agree with the server.
    Protocol(Error),
    /// It makes the server reply and takes no replies.
    TooManyReplies,
    /// A message of the handshake is longer than any client needs.
    TooLong,
    /// The session has failed before.
    Failed,
}

impl TlsSession {
    /// The session of a client that has sent nothing yet.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: &Arc<ServerConfig>) -> Result<TlsSession, TlsError> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config)).map_err(TlsError::Protocol)?;
        Ok(TlsSession {
            connection,
            part: Vec::new(),
            is_part_new: false,
            client: ClientState::Open,
            server_name: None,
        })
    }

    /// Begins with what was received before, at most [`MAX_RECORD`] bytes.
    pub fn begin_with(&mut self, received: &[u8]) {
        self.part.extend_from_slice(received);
        self.is_part_new = !received.is_empty();
    }

    /// True if [`TlsSession::process`] has something to do without another receive.
    pub fn has_unprocessed(&self) -> bool {
        self.is_part_new
    }

    /// Takes what is left of bytes received before: the next ones are to be appended.
    pub fn take_part(&mut self, received: &mut Vec<u8>) {
        self.is_part_new = false;
        if !self.part.is_empty() {
            received.extend_from_slice(&std::mem::take(&mut self.part));
        }
    }

    /// Keeps what [`TlsSession::take_part`] gave, since nothing came after it.
    pub fn put_part(&mut self, part: &[u8]) {
        self.part.extend_from_slice(part);
    }

    /// True until both have agreed on keys.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True once the client has said that it sends no more (RFC 8446 §6.1, `close_notify`).
    pub fn is_closed(&self) -> bool {
        self.client == ClientState::Closed
    }

    /// The protocol above it, if the client has named one (RFC 7301).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.agreed().alpn_protocol()
    }

    /// The version, such as `TLSv1.3`; `-` during the handshake.
    pub fn version(&self) -> &'static str {
        match self.agreed().protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "-",
        }
    }

    /// The cipher suite by its name at IANA; `-` during the handshake.
    pub fn cipher(&self) -> &'static str {
        self.agreed().negotiated_cipher_suite().map_or("-", |suite| iana_name(suite.suite()))
    }

    /// True if an earlier session goes on.
    pub fn is_resumed(&self) -> bool {
        self.agreed().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn agreed(&self) -> &CommonState {
        &self.connection
    }

    /// The name that the client has asked for (RFC 6066 §3).
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Takes records of the client: what [`TlsSession::take_part`] gave, and what came after it. Gives their
    /// text to `text`, and appends what is to be sent to `replies`.
    ///
    /// # Errors
    /// [`TlsError`]; `replies` ends with the alert then.
    pub fn process(
        &mut self,
        records: &mut [u8],
        mut text: impl FnMut(&[u8]),
        replies: &mut Replies,
    ) -> Result<(), TlsError> {
        if self.client == ClientState::Failed {
            return Err(TlsError::Failed);
        }
        let is_handshaking = self.is_handshaking();
        let result = self.process_all(records, &mut text, replies);
        if result.is_err() {
            self.client = ClientState::Failed;
        }
        if is_handshaking && let Some(name) = server_name::take() {
            self.server_name = Some(name);
        }
        result
    }

    fn process_all(
        &mut self,
        records: &mut [u8],
        text: &mut impl FnMut(&[u8]),
        replies: &mut Replies,
    ) -> Result<(), TlsError> {
        let mut at = 0;
        loop {
            let UnbufferedStatus { mut discard, state, .. } =
                self.connection.process_tls_records(&mut records[at..]);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(TlsError::Protocol)?;
                        discard += record.discard;
                        text(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => replies.encode(|room| data.encode(room))?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.client = ClientState::Closed,
                Ok(ConnectionState::Closed) => (self.client, is_done) = (ClientState::Closed, true),
                Ok(_) => is_done = true,
                Err(error) => {
                    self.collect_alert(replies);
                    return Err(TlsError::Protocol(error));
                }
            }
            at += discard;
            if is_done {
                break;
            }
        }
        // What comes after the end is nothing.
        if !self.is_closed() {
            self.part.extend_from_slice(&records[at..]);
        }
        if self.part.len() > MAX_PART { Err(TlsError::TooLong) } else { Ok(()) }
    }

    /// Appends the alert that says why the session fails. Without the records rustls may be asked for what
    /// is ready to be sent, and for nothing else: it may be in the middle of a message in them.
    fn collect_alert(&mut self, replies: &mut Replies) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            if replies.encode(|room| data.encode(room)).is_err() {
                return;
            }
        }
    }

    /// The most bytes that `length` bytes of text take in records.
    pub const fn encrypted_length(length: usize) -> usize {
        length + (length / RECORD_TEXT + 1) * OVERHEAD
    }

    /// Encrypts `text` to the front of `out`, which has [`TlsSession::encrypted_length`] bytes or more.
    /// Returns the number of bytes.
    ///
    /// # Errors
    /// [`TlsError`], such as before the end of the handshake.
    pub fn encrypt(&mut self, text: &[u8], out: &mut [u8]) -> Result<usize, TlsError> {
        match self.write_traffic()? {
            Some(mut traffic) => {
                traffic.encrypt(text, out).map_err(|_| TlsError::Protocol(Error::EncryptError))
            }
            None => Err(TlsError::Protocol(Error::HandshakeNotComplete)),
        }
    }

    /// Appends the alert that ends what is sent (RFC 8446 §6.1, `close_notify`). Nothing during the
    /// handshake, after a failure, and the second time.
    pub fn close(&mut self, replies: &mut Replies) {
        let Ok(Some(mut traffic)) = self.write_traffic() else { return };
        let mut alert = [0; 128];
        if let Ok(length) = traffic.queue_close_notify(&mut alert) {
            replies.0.extend_from_slice(&alert[..length]);
        }
    }

    /// What encrypts; `None` during the handshake. rustls is given `part` again, in which it may be in the
    /// middle of a message: it would panic without. All that it had to say of `part` is said.
    fn write_traffic(&mut self) -> Result<Option<WriteTraffic<'_, ServerConnectionData>>, TlsError> {
        if self.client == ClientState::Failed {
            return Err(TlsError::Failed);
        }
        if self.is_handshaking() {
            return Ok(None);
        }
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut self.part);
        match state.map_err(TlsError::Protocol)? {
            ConnectionState::WriteTraffic(traffic) => Ok(Some(traffic)),
            _ => Ok(None),
        }
    }
}

impl TlsError {
    /// What a handshake that ends by it is counted as.
    pub fn failure(&self) -> TlsFailure {
        use PeerIncompatible::{
            SupportedVersionsExtensionRequired, Tls12NotOffered, Tls12NotOfferedOrEnabled,
        };
        let TlsError::Protocol(error) = self else { return TlsFailure::Protocol };
        match error {
            Error::InvalidMessage(_) => TlsFailure::NotTls,
            Error::AlertReceived(_) => TlsFailure::Alert,
            // What rustls says if no certificate was chosen.
            Error::General(_) => TlsFailure::UnknownName,
            Error::PeerIncompatible(
                Tls12NotOffered | Tls12NotOfferedOrEnabled | SupportedVersionsExtensionRequired,
            ) => TlsFailure::Version,
            Error::PeerIncompatible(_) => TlsFailure::Parameters,
            _ => TlsFailure::Protocol,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Protocol(error) => error.fmt(f),
            TlsError::TooManyReplies => f.write_str("the client takes no replies"),
            TlsError::TooLong => f.write_str("a message is too long"),
            TlsError::Failed => f.write_str("the session has failed before"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The name of a cipher suite at IANA: rustls has TLS13 in front of those of TLS 1.3.
fn iana_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("-"),
    }
}

impl Replies {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn encode(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(), TlsError> {
        let Err(EncodeError::InsufficientSize(size)) = encode(&mut []) else { return Ok(()) };
        let before = self.0.len();
        if before + size.required_size > MAX_REPLIES {
            return Err(TlsError::TooManyReplies);
        }
        self.0.resize(before + size.required_size, 0);
        if encode(&mut self.0[before..]).is_err() {
            self.0.truncate(before);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustls::RootCertStore;
    use rustls::client::{ClientConfig, ClientConnection};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::ServerName;

    use super::super::certificate::tests::{made, read};
    use super::super::resolver::CertificateResolver;
    use super::super::server_config::server_config;
    use super::super::ticket_keys::TicketKeys;
    use super::*;
    use crate::config::tls::{TlsUnknownNames, TlsVersions};
    use crate::metrics::KeyKind;
    use crate::sys::secret_page::SecretPage;

    /// A session and its client, and what the client has sent that the session has not taken.
    struct Pair {
        _page: SecretPage,
        session: TlsSession,
        client: ClientConnection,
        waiting: Vec<u8>,
        text: Vec<u8>,
    }

    impl Pair {
        fn new(tls13: bool) -> Pair {
            let page = SecretPage::new().unwrap();
            let keys = TicketKeys::in_page(&page);
            keys.rotate_if_due(std::time::Duration::from_secs(3600)).unwrap();
            let certificate = Arc::new(read(&made(&["a.example"], 9, KeyKind::Ecdsa)).unwrap());
            let mut roots = RootCertStore::empty();
            roots.add(certificate.certified.cert[0].clone()).unwrap();
            let resolver = CertificateResolver::new(&[certificate], TlsUnknownNames::Serve);
            let versions = TlsVersions { tls12: !tls13, tls13 };
            let config = server_config(Arc::new(resolver), versions, true, keys).unwrap();
            let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let config_of_client = builder.with_root_certificates(roots).with_no_client_auth();
            let name = ServerName::try_from("a.example").unwrap();
            Pair {
                _page: page,
                session: TlsSession::new(&config).unwrap(),
                client: ClientConnection::new(Arc::new(config_of_client), name).unwrap(),
                waiting: Vec::new(),
                text: Vec::new(),
            }
        }

        /// The session takes what the client has sent, in pieces of at most `piece` bytes.
        fn relay(&mut self, piece: usize) -> Result<(), TlsError> {
            loop {
                while self.client.wants_write() {
                    self.client.write_tls(&mut self.waiting).unwrap();
                }
                if self.waiting.is_empty() {
                    return Ok(());
                }
                let waiting = std::mem::take(&mut self.waiting);
                for piece in waiting.chunks(piece) {
                    let mut records = Vec::new();
                    self.session.take_part(&mut records);
                    records.extend_from_slice(piece);
                    let mut replies = Replies::default();
                    let text = &mut self.text;
                    let result = self.session.process(
                        &mut records,
                        |bytes| text.extend_from_slice(bytes),
                        &mut replies,
                    );
                    self.deliver(replies.bytes());
                    result?;
                }
            }
        }

        fn deliver(&mut self, mut records: &[u8]) {
            while !records.is_empty() {
                self.client.read_tls(&mut records).unwrap();
                let _ = self.client.process_new_packets();
            }
        }

        fn send(&mut self, text: &[u8]) {
            let mut records = vec![0; TlsSession::encrypted_length(text.len())];
            let length = self.session.encrypt(text, &mut records).unwrap();
            self.deliver(&records[..length]);
        }
    }

    #[test]
    fn text_goes_both_ways_whatever_the_pieces_are_that_it_comes_in() {
        for (tls13, version) in [(true, ProtocolVersion::TLSv1_3), (false, ProtocolVersion::TLSv1_2)] {
            for piece in [1, 7, 100, 5000, 1 << 20] {
                let mut pair = Pair::new(tls13);
                pair.relay(piece).unwrap();
                assert!(!pair.session.is_handshaking() && !pair.client.is_handshaking());
                assert_eq!(pair.session.agreed().protocol_version(), Some(version));
                assert_eq!(pair.session.server_name(), Some("a.example"));
                let long = vec![b'x'; 40_000];
                pair.client.writer().write_all(&long).unwrap();
                pair.relay(piece).unwrap();
                assert_eq!(pair.text, long);
                pair.client.set_buffer_limit(None);
                let mut received = vec![0; long.len()];
                for (sent, part) in long.chunks(9000).zip(received.chunks_mut(9000)) {
                    pair.send(sent);
                    pair.client.reader().read_exact(part).unwrap();
                }
                assert_eq!(received, long);
            }
        }
    }

    #[test]
    fn the_end_is_told_and_heard() {
        let mut pair = Pair::new(true);
        pair.relay(1 << 20).unwrap();
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        assert!(!pair.session.is_closed());
        pair.relay(1 << 20).unwrap();
        assert_eq!((pair.text.as_slice(), pair.session.is_closed()), (&b"last"[..], true));
        // What is still to be said is said all the same.
        pair.send(b"answer");
        let mut replies = Replies::default();
        pair.session.close(&mut replies);
        pair.deliver(replies.bytes());
        let mut again = Replies::default();
        pair.session.close(&mut again);
        assert_eq!(again.bytes(), b"", "it is said once");
        let mut answer = Vec::new();
        pair.client.reader().read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"answer");
    }

    #[test]
    fn what_is_no_tls_fails_with_an_alert() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
            &[0xFF; 300],
            // Two messages in one record.
            &[0x16, 3, 1, 0, 10, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0],
            // What is no record, behind a part of a message.
            &[0x16, 3, 1, 0, 2, 1, 0, 0xFF, 3, 1, 0, 2, 1, 0],
        ] {
            let mut session = Pair::new(true).session;
            let mut replies = Replies::default();
            let result = session.process(&mut bytes.to_vec(), |_| panic!("text"), &mut replies);
            assert!(result.is_err(), "{bytes:?}");
            assert_eq!(replies.bytes().first(), Some(&21), "an alert");
            let mut out = [0; 200];
            assert!(session.encrypt(b"text", &mut out).is_err());
            let again = session.process(&mut bytes.to_vec(), |_| panic!("text"), &mut replies);
            assert_eq!(again, Err(TlsError::Failed));
        }
    }

    #[test]
    fn nothing_is_said_in_the_middle_of_a_handshake_message() {
        // A record each; the second has the beginning of another behind it.
        for bytes in [&[0x16, 3, 1, 0, 1, 1][..], &[0x16, 3, 1, 0, 5, 1, 0, 0, 9, 0, 0x16, 3]] {
            let mut session = Pair::new(true).session;
            let mut replies = Replies::default();
            session.process(&mut bytes.to_vec(), |_| panic!("text"), &mut replies).unwrap();
            session.close(&mut replies);
            assert!(session.encrypt(b"text", &mut [0; 200]).is_err());
            assert_eq!((replies.bytes(), session.part.as_slice()), (&[][..], bytes));
        }
    }

    #[test]
    fn a_client_that_changes_its_keys_again_and_again_is_stopped() {
        let mut pair = Pair::new(true);
        pair.relay(1 << 20).unwrap();
        let stopped = (0..100_000).find_map(|_| {
            pair.client.refresh_traffic_keys().ok()?;
            while pair.client.wants_write() {
                pair.client.write_tls(&mut pair.waiting).unwrap();
            }
            let mut records = Vec::new();
            pair.session.take_part(&mut records);
            records.append(&mut pair.waiting);
            // It takes no replies.
            pair.session.process(&mut records, |_| {}, &mut Replies::default()).err()
        });
        assert!(stopped.is_some());
    }

    #[test]
    fn an_idle_session_keeps_no_buffer() {
        let mut pair = Pair::new(true);
        pair.relay(1 << 20).unwrap();
        pair.client.writer().write_all(b"text").unwrap();
        pair.relay(3).unwrap();
        assert_eq!((pair.session.part.capacity(), pair.text.as_slice()), (0, &b"text"[..]));
    }
}
