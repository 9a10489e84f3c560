//! A client of TLS: whom it trusts, what it offers, and the tickets that it keeps from one connection to the
//! next.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use super::authority::Authority;
use super::records::Records;
use super::transport::{End, Transport, end_of, tls_error};
use super::{Client, DEADLINE};

/// What all connections of a client have in common. Clones share their tickets.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The server ended the connection.
    Ended(End),
    /// The client does not like what the server sent.
    Disliked(rustls::Error),
}

impl Tls {
    /// A client that takes certificates of this authority alone, and asks for the name `test`.
    pub fn trusting(authority: &Authority) -> Self {
        Self::with(Some(authority), &[&TLS12, &TLS13], &[])
    }

    /// A client that takes every certificate, so that a test can look which one came.
    pub fn trusting_all() -> Self {
        Self::with(None, &[&TLS12, &TLS13], &[])
    }

    /// With these versions and, where some are named, with these suites alone (`TLS13_AES_256_GCM_SHA384`).
    pub fn with(
        authority: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
        suites: &[&str],
    ) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        if !suites.is_empty() {
            provider.cipher_suites.retain(|suite| suites.contains(&suite.suite().as_str().unwrap()));
        }
        Self::by(authority, versions, provider)
    }

    /// With this group of the key exchange alone.
    pub fn with_group(authority: &Authority, group: &str) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups.retain(|known| format!("{:?}", known.name()) == group);
        Self::by(Some(authority), &[&TLS12, &TLS13], provider)
    }

    fn by(
        authority: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
    ) -> Self {
        let provider = Arc::new(provider);
        let verifier: Arc<dyn ServerCertVerifier> = match authority {
            None => Arc::new(TrustAll(provider.signature_verification_algorithms)),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der()).unwrap();
                let builder =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                builder.build().unwrap()
            }
        };
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Self { config: Arc::new(config), name: ServerName::try_from("test").unwrap() }
    }

    /// Version 1.2 alone.
    pub fn old(authority: &Authority) -> Self {
        Self::with(Some(authority), &[&TLS12], &[])
    }

    /// Version 1.3 alone.
    pub fn new(authority: &Authority) -> Self {
        Self::with(Some(authority), &[&TLS13], &[])
    }

    /// Asking for another name; for an address, no name is sent.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { config: Arc::clone(&self.config), name: ServerName::try_from(name.to_owned()).unwrap() }
    }

    /// Without saying which name it asks for.
    #[must_use]
    pub fn without_sni(&self) -> Self {
        let mut changed = self.clone();
        Arc::make_mut(&mut changed.config).enable_sni = false;
        changed
    }

    /// Offering these protocols by ALPN.
    #[must_use]
    pub fn offering(&self, protocols: &[&str]) -> Self {
        let mut changed = self.clone();
        let names = protocols.iter().map(|name| name.as_bytes().to_vec());
        Arc::make_mut(&mut changed.config).alpn_protocols = names.collect();
        changed
    }

    /// The first bytes that it would send: its ClientHello.
    pub fn hello(&self) -> Vec<u8> {
        let mut session = self.session();
        let mut bytes = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn session(&self) -> ClientConnection {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).unwrap()
    }

    /// A connection with a session.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr) -> Transport {
        self.attempt(address).unwrap_or_else(|refusal| panic!("no session with {address}: {refusal:?}"))
    }

    /// A connection with a session, or why there is none.
    #[track_caller]
    pub fn attempt(&self, address: SocketAddr) -> Result<Transport, Refusal> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE);
        self.over(stream.unwrap_or_else(|error| panic!("could not connect to {address}: {error}")))
    }

    /// A session over a connection that there is.
    #[track_caller]
    pub fn over(&self, stream: TcpStream) -> Result<Transport, Refusal> {
        Transport::secured(stream, self.session()).map_err(|error| refusal(&error))
    }

    /// A session over a connection that there is, whose first segment has these bytes before the hello.
    #[track_caller]
    pub fn behind(&self, bytes: &[u8], mut stream: TcpStream) -> Result<Transport, Refusal> {
        let mut session = self.session();
        let mut first = bytes.to_vec();
        while session.wants_write() {
            session.write_tls(&mut first).unwrap();
        }
        stream.write_all(&first).unwrap();
        Transport::secured(stream, session).map_err(|error| refusal(&error))
    }

    /// True if it would send data before the handshake is complete (0-RTT), which a ticket has to allow.
    pub fn has_early_data(&self) -> bool {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_early_data = true;
        let mut session = ClientConnection::new(Arc::new(config), self.name.clone()).unwrap();
        session.early_data().is_some()
    }

    /// A connection whose client makes its own records.
    #[track_caller]
    pub fn records(&self, address: SocketAddr) -> Records {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_secret_extraction = true;
        let session = ClientConnection::new(Arc::new(config), self.name.clone()).unwrap();
        Records::secured(TcpStream::connect_timeout(&address, DEADLINE).unwrap(), session)
    }

    /// A client of HTTP/1.1.
    #[track_caller]
    pub fn client(&self, address: SocketAddr) -> Client {
        Client::from(self.connect(address))
    }
}

#[track_caller]
fn refusal(error: &io::Error) -> Refusal {
    match (end_of(error), tls_error(error)) {
        (Some(end), _) => Refusal::Ended(end),
        (None, Some(found)) => Refusal::Disliked(found.clone()),
        (None, None) => panic!("no handshake: {error}"),
    }
}

/// Checks signatures and nothing else.
#[derive(Debug)]
struct TrustAll(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
