//! TLS of the workloads: the certificate of all servers, and what all clients offer.
//!
//! **Invariant:** clients offer one version, one cipher suite and one group for the key exchange. So all
//! servers use the same, whatever they would choose by themselves.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned,
};

use super::http_client::{self, Connection};
use super::peers::PROGRAM;

/// The cipher suite, as OpenSSL names it: the one that mayhttpd prefers.
pub const SUITE: &str = "TLS_AES_256_GCM_SHA384";
/// The group of the key exchange. OpenSSL 3.0 knows no post-quantum one.
pub const GROUP: &str = "X25519";
/// Sessions that a client may keep. rustls counts by servers and eight sessions of each, and with room for
/// one server it keeps none.
const SESSIONS: usize = 16;
/// The name in the certificate.
const NAME: &str = "localhost";

/// A connection of the kit's own client.
pub type Encrypted = Connection<StreamOwned<ClientConnection, TcpStream>>;

/// A certificate that signs itself (ECDSA, P-256) and its key, as files in PEM.
#[derive(Clone, Debug)]
pub struct KeyPair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl KeyPair {
    /// Has the program under test make it in `directory`, unless it is there.
    ///
    /// # Errors
    /// Where the program fails.
    pub fn make(directory: &Path) -> Result<Self, String> {
        let [certificate, key] = ["pem", "key"].map(|kind| directory.join(NAME).with_extension(kind));
        if !(certificate.exists() && key.exists()) {
            let mut command = Command::new(PROGRAM);
            command.args(["generate", "certificate", NAME, "--out"]).arg(directory);
            let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
        }
        Ok(Self { certificate, key })
    }
}

/// Settings of OpenSSL for programs that have no flags for what they offer.
pub fn openssl_settings() -> String {
    format!(
        "openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = clients
[clients]
MinProtocol = TLSv1.3
Ciphersuites = {SUITE}
Groups = {GROUP}
"
    )
}

/// Connects by TLS, and takes any certificate.
pub struct Client(Arc<ClientConfig>);

impl Client {
    /// A client whose every handshake is full. It offers this protocol alone (ALPN, RFC 7301).
    ///
    /// # Errors
    /// None that is expected: the suite and the version belong together.
    pub fn once(protocol: &str) -> io::Result<Self> {
        Self::with(protocol, Resumption::disabled())
    }

    /// A client that resumes the session of its connection before.
    ///
    /// # Errors
    /// See [`Client::once`].
    pub fn again(protocol: &str) -> io::Result<Self> {
        Self::with(protocol, Resumption::in_memory_sessions(SESSIONS))
    }

    fn with(protocol: &str, resumption: Resumption) -> io::Result<Self> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
            kx_groups: vec![kx_group::X25519],
            ..aws_lc_rs::default_provider()
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[&TLS13]).map_err(io::Error::other)?.dangerous();
        let builder = builder.with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        config.resumption = resumption;
        Ok(Self(Arc::new(config)))
    }

    /// Connects, and completes the handshake. The connection will end by a reset, so that a client of many
    /// short connections does not run out of ports.
    ///
    /// # Errors
    /// Where it can't connect, the handshake fails, or the server chooses no protocol or another one.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Encrypted> {
        let stream = http_client::connect(address)?;
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let (offered, chosen) = (&self.0.alpn_protocols[0], stream.conn.alpn_protocol());
        if chosen != Some(offered) {
            let chosen = String::from_utf8_lossy(chosen.unwrap_or(b"none"));
            return Err(io::Error::other(format!("it chooses the protocol {chosen}")));
        }
        Ok(Connection::over(stream, address))
    }
}

/// Whether the handshake resumed a session.
pub fn is_resumed(connection: &Encrypted) -> bool {
    connection.stream().conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
