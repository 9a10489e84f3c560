//! The protocols in which a workload asks: HTTP/1.1, the same over TLS, and HTTP/2 over TLS.

use std::io;
use std::net::SocketAddr;

use super::http_client::{self, Answer};
use super::tls::Client;

/// What clients and servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

impl Protocol {
    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        if self.is_encrypted() { "https" } else { "http" }
    }

    /// Whether the server needs a certificate.
    pub fn is_encrypted(self) -> bool {
        self != Protocol::Plain
    }

    /// One request and its whole answer. That of HTTP/2 comes by HTTP/1.1, after a handshake in which the
    /// server has chosen HTTP/2: the kit's client reads no frames.
    ///
    /// # Errors
    /// Where no whole answer comes, or the server chooses another protocol.
    pub fn ask(self, address: SocketAddr, target: &str, fields: &[(String, String)]) -> io::Result<Answer> {
        if self == Protocol::Plain {
            return http_client::ask(address, target, fields).map(|(answer, _)| answer);
        }
        if self == Protocol::Http2 {
            Client::once("h2")?.connect(address)?;
        }
        Client::once("http/1.1")?.connect(address)?.ask(target, fields)
    }
}
