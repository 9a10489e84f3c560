//! A client that makes its own TLS records, of kinds and lengths that no library sends, with keys that a
//! library has agreed on.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{
    ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};

use super::DEADLINE;

pub struct Records {
    stream: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Records {
    /// Shakes hands to the end, and takes the keys.
    #[track_caller]
    pub fn secured(mut stream: TcpStream, mut tls: ClientConnection) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).unwrap();
        }
        let suite = tls.negotiated_cipher_suite().unwrap();
        let (sequence, secrets) = tls.dangerous_extract_secrets().unwrap().tx;
        let (key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (key, iv),
            _ => panic!("another suite: {suite:?}"),
        };
        let mut encrypter = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
            // RFC 5288 section 3: four bytes are fixed, the other eight are sent.
            SupportedCipherSuite::Tls12(suite) => {
                suite.aead_alg.encrypter(key, &iv.as_ref()[..4], &iv.as_ref()[4..])
            }
        };
        // AWS-LC derives the nonces from that of the record with the number 0, which TLS 1.2 has in the
        // handshake.
        (0..sequence).for_each(|number| drop(sealed(&mut *encrypter, number, ContentType::Alert, &[])));
        Self { stream, encrypter, sequence }
    }

    /// The next record, of this kind.
    pub fn record(&mut self, kind: ContentType, payload: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        sealed(&mut *self.encrypter, self.sequence - 1, kind, payload)
    }

    /// Sends bytes as they are; false if the server has gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Receives at least so many bytes, whatever is in them.
    #[track_caller]
    pub fn receive(&mut self, count: usize) {
        let (mut received, mut buffer) = (0, [0; 4096]);
        while received < count {
            match self.stream.read(&mut buffer).unwrap() {
                0 => panic!("the end after {received} of {count} bytes"),
                more => received += more,
            }
        }
    }

    /// Receives up to the end, and returns how many bytes that was.
    #[track_caller]
    pub fn rest(&mut self) -> usize {
        let (mut received, mut buffer) = (0, [0; 4096]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return received,
                Ok(more) => received += more,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return received,
                Err(error) => panic!("no end after {received} bytes: {error}"),
            }
        }
    }
}

fn sealed(encrypter: &mut dyn MessageEncrypter, number: u64, kind: ContentType, payload: &[u8]) -> Vec<u8> {
    let (version, payload) = (ProtocolVersion::TLSv1_2, OutboundChunks::Single(payload));
    let message = OutboundPlainMessage { typ: kind, version, payload };
    encrypter.encrypt(message, number).unwrap().encode()
}
