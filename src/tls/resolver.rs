//! Which certificate a handshake gets, by the name that the client sends (SNI, RFC 6066 §3).
//!
//! A name is looked for as it is, then as a wildcard of one label (RFC 6125 §6.4.3). Of several certificates
//! for a name, the client gets the first whose key it can verify: ECDSA before RSA, since its signatures cost
//! a server a tenth. Without a name, or with an unknown one, the first certificate of the settings counts.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::server_name;
use crate::config::tls::TlsUnknownNames;

/// Chooses certificates.
#[derive(Debug)]
pub struct CertificateResolver {
    keys: Vec<Arc<CertifiedKey>>,
    /// Numbers of certificates by name, the preferred ones first.
    exact: HashMap<String, Vec<usize>>,
    /// The same by what follows the first label of a name.
    wildcards: HashMap<String, Vec<usize>>,
    /// Those for all other names; none if their handshakes fail.
    default: Vec<usize>,
}

impl CertificateResolver {
    /// Chooses among these certificates, in the order of the settings.
    pub fn new(certificates: &[Arc<Certificate>], unknown: TlsUnknownNames) -> CertificateResolver {
        let mut order: Vec<usize> = (0..certificates.len()).collect();
        order.sort_by_key(|index| certificates[*index].kind as usize);
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for index in &order {
            for name in &certificates[*index].names {
                let (table, name): (&mut HashMap<String, Vec<usize>>, _) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                let of_name = table.entry(name.to_owned()).or_default();
                // A certificate may have a name twice.
                if of_name.last() != Some(index) {
                    of_name.push(*index);
                }
            }
        }
        let is_default = |index: &usize| has_same_names(&certificates[*index], &certificates[0]);
        let default = match unknown {
            TlsUnknownNames::Serve => order.into_iter().filter(is_default).collect(),
            TlsUnknownNames::Reject => Vec::new(),
        };
        let keys = certificates.iter().map(|certificate| Arc::clone(&certificate.certified)).collect();
        CertificateResolver { keys, exact, wildcards, default }
    }

    /// True if a connection whose client sent this name has the certificate that one to `authority` would
    /// have: a host name or an IP address as in a URL, without a port. Otherwise the request is misdirected
    /// (RFC 9110 §15.5.20). A client that sent no name expects any host, so that nothing differs.
    pub fn same_certificate(&self, sni: Option<&str>, authority: &str) -> bool {
        let Some(sni) = sni else { return true };
        let authority =
            authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(authority);
        sni.eq_ignore_ascii_case(authority) || self.candidates(sni) == self.candidates(authority)
    }

    /// The certificate for a client that sent this name and can verify signatures of these schemes. One that
    /// it can't verify, if there is no other: the handshake then fails with the right reason.
    fn choose(&self, sni: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = sni.map_or(&*self.default, |name| self.candidates(name));
        let mut keys = candidates.iter().filter_map(|index| self.keys.get(*index));
        let first = keys.clone().next();
        keys.find(|candidate| candidate.key.choose_scheme(schemes).is_some()).or(first).cloned()
    }

    /// The numbers of the certificates for a name.
    fn candidates(&self, name: &str) -> &[usize] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let by_wildcard = || self.wildcards.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(by_wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        server_name::note(hello.server_name());
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

fn has_same_names(one: &Certificate, other: &Certificate) -> bool {
    let sorted = |certificate: &Certificate| {
        let mut names = certificate.names.clone();
        names.sort_unstable();
        names.dedup();
        names
    };
    std::ptr::eq(one, other) || sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use rustls::SignatureScheme::{ECDSA_NISTP256_SHA256, ED25519, RSA_PSS_SHA256};

    use super::super::certificate::tests::{made, read};
    use super::*;
    use crate::metrics::KeyKind;

    /// The certificates of the tests, of which the second and the third are for the same names.
    fn certificates() -> Vec<Arc<Certificate>> {
        let one = |names: &[&str], kind| Arc::new(read(&made(names, 9, kind)).unwrap());
        vec![
            one(&["example.org", "www.example.org", "192.0.2.1", "::1"], KeyKind::Rsa),
            one(&["*.example.net", "example.net"], KeyKind::Rsa),
            one(&["example.net", "*.example.net"], KeyKind::Ecdsa),
            one(&["deep.example.net", "deep.example.net"], KeyKind::Ed25519),
            one(&["www.example.org", "example.org", "192.0.2.1", "::1"], KeyKind::Ecdsa),
        ]
    }

    const ALL: &[SignatureScheme] = &[RSA_PSS_SHA256, ED25519, ECDSA_NISTP256_SHA256];
    const RSA: &[SignatureScheme] = &[RSA_PSS_SHA256];

    #[test]
    fn a_name_has_its_certificate_of_the_best_kind_that_the_client_can_verify() {
        let certificates = certificates();
        let resolver = CertificateResolver::new(&certificates, TlsUnknownNames::Serve);
        for (name, schemes, expected) in [
            (Some("example.org"), ALL, 4),
            (Some("EXAMPLE.org."), ALL, 4),
            (Some("www.example.org"), RSA, 0),
            (Some("example.net"), ALL, 2),
            (Some("a.example.net"), ALL, 2),
            (Some("a.example.net"), RSA, 1),
            (Some("deep.example.net"), ALL, 3),
            // It fails, by the client's own fault.
            (Some("deep.example.net"), RSA, 3),
            // A wildcard stands for one label.
            (Some("a.b.example.net"), ALL, 4),
            (Some("other.example"), ALL, 4),
            (Some("other.example"), RSA, 0),
            (Some("org"), ALL, 4),
            (None, ALL, 4),
            (None, RSA, 0),
            (None, &[], 4),
        ] {
            let found = resolver.choose(name, schemes).unwrap();
            let index = certificates.iter().position(|one| Arc::ptr_eq(&one.certified, &found));
            assert_eq!(index, Some(expected), "{name:?} {schemes:?}");
        }
    }

    #[test]
    fn unknown_names_may_be_rejected() {
        let resolver = CertificateResolver::new(&certificates(), TlsUnknownNames::Reject);
        for (name, found) in [
            (Some("example.org"), true),
            (Some("a.example.net"), true),
            (Some("a.b.example.net"), false),
            (Some("other.example"), false),
            (None, false),
        ] {
            assert_eq!(resolver.choose(name, ALL).is_some(), found, "{name:?}");
        }
        let none = CertificateResolver::new(&[], TlsUnknownNames::Serve);
        assert!(none.choose(Some("a"), ALL).is_none() && none.choose(None, ALL).is_none());
    }

    #[test]
    fn a_connection_serves_the_hosts_of_its_certificate() {
        let serving = CertificateResolver::new(&certificates(), TlsUnknownNames::Serve);
        let rejecting = CertificateResolver::new(&certificates(), TlsUnknownNames::Reject);
        for (sni, authority, same, same_if_rejecting) in [
            (Some("example.org"), "Example.org", true, true),
            (Some("example.org"), "www.example.org", true, true),
            (Some("example.org"), "192.0.2.1", true, true),
            (Some("example.org"), "[::1]", true, true),
            (Some("example.org"), "example.net", false, false),
            (Some("example.net"), "a.example.net", true, true),
            (Some("example.net"), "deep.example.net", false, false),
            (Some("example.net"), "other.example", false, false),
            // Both have the certificate of unknown names.
            (Some("example.org"), "other.example", true, false),
            (Some("other.example"), "another.example", true, true),
            (Some("other.example"), "other.example", true, true),
            (None, "example.net", true, true),
        ] {
            assert_eq!(serving.same_certificate(sni, authority), same, "{sni:?} {authority}");
            let found = rejecting.same_certificate(sni, authority);
            assert_eq!(found, same_if_rejecting, "rejecting {sni:?} {authority}");
        }
    }
}
