//! What all TLS connections of a generation share: rustls' configuration of a server.
//!
//! There is no client authentication, renegotiation, compression, early data (0-RTT) or session storage.
//! Sessions are resumed by tickets alone.
//!
//! **A ticket and its host.** The certificate is chosen before a ticket is looked at, so a name that is
//! rejected is rejected with a ticket too. A session is resumed only for the name that it began with, or
//! without one if it began without (rustls `can_resume`; RFC 6066 §3). So a session never crosses from one
//! host to another, though all share the keys.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::{TLS12, TLS13};

use super::resolver::CertificateResolver;
use super::ticket_keys::TicketKeys;
use super::ticketer::Ticketer;
use crate::config::tls::TlsVersions;

/// Tickets after a handshake of TLS 1.3. One is enough: each connection brings the next, and HTTP/2 needs one
/// connection a host. Each costs a handshake 4 µs.
const TICKETS: usize = 1;

/// Makes the configuration. To be called in the master first: the library looks for its sources of randomness
/// at its first use, which a confined worker may not.
///
/// # Errors
/// If no version of TLS is left, or there is no randomness.
pub fn server_config(
    resolver: Arc<CertificateResolver>,
    versions: TlsVersions,
    http2: bool,
    keys: TicketKeys,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = [(versions.tls13, &TLS13), (versions.tls12, &TLS12)];
    let versions: Vec<_> = versions.into_iter().filter(|(on, _)| *on).map(|(_, version)| version).collect();
    let provider = aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut [0]).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&versions)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.ignore_client_order = true;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Ticketer::new(keys));
    config.send_tls13_tickets = TICKETS;
    // In the server's order (RFC 7301 §3.2).
    let protocols = [(http2, &b"h2"[..]), (true, b"http/1.1")];
    config.alpn_protocols = protocols.iter().filter(|(on, _)| *on).map(|(_, name)| name.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::client::{ClientConfig, ClientConnection, Tls13ClientSessionValue};
    use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue};
    use rustls::pki_types::ServerName;
    use rustls::{HandshakeKind, NamedGroup, RootCertStore, ServerConnection, SupportedProtocolVersion};

    use super::super::certificate::Certificate;
    use super::super::certificate::tests::{made, read};
    use super::*;
    use crate::config::tls::TlsUnknownNames;
    use crate::metrics::KeyKind;
    use crate::sys::secret_page::SecretPage;

    const BOTH: TlsVersions = TlsVersions { tls12: true, tls13: true };
    const HOUR: Duration = Duration::from_secs(3600);

    /// Offers a session whatever host it was made with.
    #[derive(Debug)]
    struct AnyHost(ClientSessionMemoryCache);

    fn any() -> ServerName<'static> {
        ServerName::try_from("any").unwrap()
    }

    impl ClientSessionStore for AnyHost {
        fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
            self.0.set_kx_hint(any(), group);
        }
        fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
            self.0.kx_hint(&any())
        }
        fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
            self.0.set_tls12_session(any(), value);
        }
        fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
            self.0.tls12_session(&any())
        }
        fn remove_tls12_session(&self, _: &ServerName<'static>) {
            self.0.remove_tls12_session(&any());
        }
        fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
            self.0.insert_tls13_ticket(any(), value);
        }
        fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
            self.0.take_tls13_ticket(&any())
        }
    }

    fn certificates() -> Vec<Arc<Certificate>> {
        let one = |name: &str| Arc::new(read(&made(&[name], 9, KeyKind::Ecdsa)).unwrap());
        vec![one("a.example"), one("b.example")]
    }

    fn client(
        certificates: &[Arc<Certificate>],
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        certificates.iter().for_each(|one| roots.add(one.certified.cert[0].clone()).unwrap());
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::store(Arc::new(AnyHost(ClientSessionMemoryCache::new(64))));
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        Arc::new(config)
    }

    /// Which protocol was agreed on, and whether the session was resumed.
    type Outcome = (Vec<u8>, bool);

    fn connect(
        client: &Arc<ClientConfig>,
        server: &Arc<ServerConfig>,
        name: &str,
    ) -> Result<Outcome, rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), name)?;
        let mut server = ServerConnection::new(Arc::clone(server))?;
        loop {
            let (mut sent, mut replied) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut sent).unwrap();
            }
            let mut rest = &sent[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets()?;
            }
            while server.wants_write() {
                server.write_tls(&mut replied).unwrap();
            }
            let mut rest = &replied[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets()?;
            }
            if sent.is_empty() && replied.is_empty() {
                break;
            }
        }
        let protocol = server.alpn_protocol().unwrap_or_default().to_vec();
        Ok((protocol, server.handshake_kind() == Some(HandshakeKind::Resumed)))
    }

    /// The keys of a master that began an hour after the machine.
    fn keys() -> (SecretPage, TicketKeys) {
        let page = SecretPage::new().unwrap();
        let keys = TicketKeys::in_page(&page);
        keys.rotate_if_due(HOUR).unwrap();
        (page, keys)
    }

    #[test]
    fn a_session_is_resumed_by_any_worker_for_two_turns_and_for_its_host_alone() {
        let certificates = certificates();
        let ((_page, keys), (_other_page, other_keys)) = (keys(), self::keys());
        let resolver = Arc::new(CertificateResolver::new(&certificates, TlsUnknownNames::Serve));
        let worker = |keys| server_config(Arc::clone(&resolver), BOTH, true, keys).unwrap();
        let (one, other, stranger) = (worker(keys), worker(keys), worker(other_keys));
        for (round, version) in [(0, &TLS12), (1, &TLS13)] {
            let client = client(&certificates, version);
            let (at, hours) = (10 * round, |hours: u32| (2 + hours) * HOUR);
            let resumed = |server, name| connect(&client, server, name).unwrap().1;
            assert!(!resumed(&one, "a.example"), "the first one");
            assert!(resumed(&other, "a.example"));
            assert!(resumed(&one, "a.example"));
            assert!(!resumed(&one, "b.example"), "of another host");
            assert!(resumed(&one, "b.example"));
            keys.rotate_if_due(hours(at)).unwrap();
            assert!(resumed(&other, "b.example"), "of the turn before");
            keys.rotate_if_due(hours(at + 1)).unwrap();
            keys.rotate_if_due(hours(at + 2)).unwrap();
            assert!(!resumed(&other, "b.example"), "too old");
            assert!(!resumed(&stranger, "b.example"), "of another server");
        }
    }

    #[test]
    fn a_server_says_which_protocols_and_versions_it_speaks() {
        let certificates = certificates();
        let (_page, keys) = keys();
        let resolver = Arc::new(CertificateResolver::new(&certificates, TlsUnknownNames::Reject));
        let server = |versions, http2| server_config(Arc::clone(&resolver), versions, http2, keys);
        let spoken = |server: &Arc<ServerConfig>, version, name| {
            connect(&client(&certificates, version), server, name).map(|(protocol, _)| protocol)
        };
        let (tls12, tls13) = (TlsVersions { tls13: false, ..BOTH }, TlsVersions { tls12: false, ..BOTH });
        for (versions, http2, version, expected) in [
            (BOTH, true, &TLS13, Some(&b"h2"[..])),
            (BOTH, false, &TLS12, Some(b"http/1.1")),
            (tls12, true, &TLS12, Some(b"h2")),
            (tls12, true, &TLS13, None),
            (tls13, false, &TLS13, Some(b"http/1.1")),
            (tls13, true, &TLS12, None),
        ] {
            let found = spoken(&server(versions, http2).unwrap(), version, "a.example").ok();
            assert_eq!(found.as_deref(), expected, "{versions:?} {http2}");
        }
        let both = server(BOTH, true).unwrap();
        assert!(spoken(&both, &TLS13, "c.example").is_err(), "an unknown name");
        assert_eq!((both.max_early_data_size, both.ignore_client_order), (0, true));
        assert!(server(TlsVersions { tls12: false, tls13: false }, true).is_err());
    }
}
