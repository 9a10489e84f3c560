//! What carries a client's bytes: TCP alone, or TLS over it. Both tell an orderly end from a cut one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rustls::{AlertDescription, ClientConnection, HandshakeKind};

use super::DEADLINE;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With close_notify, or without TLS by a FIN.
    Orderly,
    /// By a FIN without close_notify, which an attacker could have sent.
    Cut,
    Reset,
    /// By an alert.
    Alert(AlertDescription),
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Such as `TLSv1_3`.
    pub version: String,
    /// Such as `TLS13_AES_128_GCM_SHA256`.
    pub suite: String,
    /// The group of the key exchange, such as `X25519`; none where a session of TLS 1.2 is resumed.
    pub group: Option<String>,
    /// The protocol that was chosen by ALPN.
    pub alpn: Option<String>,
    pub is_resumed: bool,
    /// The server's own certificate, in DER.
    pub certificate: Vec<u8>,
}

pub struct Transport {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Transport {
    pub fn plain(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { stream, tls: None }
    }

    /// Shakes hands, to the end. The error says how the server ended it.
    pub fn secured(stream: TcpStream, mut tls: ClientConnection) -> io::Result<Self> {
        let mut transport = Self::plain(stream);
        while tls.is_handshaking() {
            tls.complete_io(&mut transport.stream)?;
        }
        tls.set_buffer_limit(None);
        transport.tls = Some(Box::new(tls));
        Ok(transport)
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The same connection for another thread; without TLS alone.
    #[track_caller]
    pub fn twin(&self) -> Self {
        assert!(self.tls.is_none(), "two threads can't share a TLS session");
        Self::plain(self.stream.try_clone().unwrap())
    }

    /// What the handshake came to.
    #[track_caller]
    pub fn handshake(&self) -> Handshake {
        let tls = self.tls.as_ref().expect("a connection without TLS");
        let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
        Handshake {
            version: text(tls.protocol_version().and_then(|version| version.as_str())),
            suite: text(tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str())),
            group: tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            alpn: tls.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap()),
            is_resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: tls.peer_certificates().map(|all| all[0].to_vec()).unwrap_or_default(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.stream.write_all(bytes) };
        tls.writer().write_all(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Goes over to new keys in the middle of the connection (RFC 8446 section 4.6.3).
    pub fn refresh_keys(&mut self) {
        self.tls.as_mut().expect("a connection without TLS").refresh_traffic_keys().unwrap();
    }

    /// Sends bytes past TLS, into the middle of what it sends.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent: close_notify where there is TLS, without a FIN.
    pub fn send_close_notify(&mut self) {
        let tls = self.tls.as_mut().expect("a connection without TLS");
        tls.send_close_notify();
        while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok() {}
    }

    /// Some bytes; none at an orderly end. `end_of` knows the errors of the other ends.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                known => return known,
            }
            tls.read_tls(&mut self.stream)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            // What TLS itself answers, such as to a new key.
            while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok() {}
        }
    }
}

/// How the connection ended by this error; None: it did not.
pub fn end_of(error: &io::Error) -> Option<End> {
    if let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) {
        return Some(End::Alert(*alert));
    }
    match error.kind() {
        ErrorKind::UnexpectedEof => Some(End::Cut),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Some(End::Reset),
        _ => None,
    }
}

/// What TLS found wrong.
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
