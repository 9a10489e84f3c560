//! A certificate as a server presents it: its chain and its private key, read from PEM and checked.
//!
//! Steps: read the chain; check its order, the dates and the names; read the key; check that it is the
//! certificate's. Opens no file, and reads no clock.
//!
//! **Invariant:** no message has a part of a private key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::config::certificate::CertificateFiles;
use crate::error::StartupError;
use crate::http::date;
use crate::metrics::KeyKind;

/// The most bytes of a name in a message.
const MAX_SHOWN_NAME: usize = 200;

/// A certificate that can be presented.
#[derive(Debug)]
pub struct Certificate {
    /// The chain and the key, as rustls takes them.
    pub certified: Arc<CertifiedKey>,
    /// The kind of its key.
    pub kind: KeyKind,
    /// The hosts that it is for: names in lower case, of which those that begin with `*.` stand for one label
    /// more, and IP addresses.
    pub names: Vec<String>,
    /// The last second in which it is valid.
    pub expiry: SystemTime,
    /// What does not keep it from being served, each as the rest of a sentence.
    pub oddities: Vec<String>,
}

impl Certificate {
    /// Reads the bytes of both files, and checks them as of `now`.
    ///
    /// # Errors
    /// [`StartupError::Certificate`] and [`StartupError::PrivateKey`].
    pub fn read(
        files: &CertificateFiles,
        (chain, key): (&[u8], &[u8]),
        now: SystemTime,
    ) -> Result<Certificate, StartupError> {
        let refused = |why| StartupError::Certificate { path: files.chain.clone(), why };
        let chain = read_chain(chain).map_err(refused)?;
        let facts = Facts::of(&chain, now).map_err(refused)?;
        let refused_key = |why| StartupError::PrivateKey { path: files.key.clone(), why };
        let key = read_key(key).map_err(refused_key)?;
        let kind = kind_of(key.algorithm());
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let chain = files.chain.display();
                return Err(refused_key(format!("it is not the key of the certificate {chain}")));
            }
            Err(error) => return Err(refused(format!("the TLS library refuses it: {error}"))),
        }
        let Facts { names, expiry, oddities } = facts;
        Ok(Certificate { certified: Arc::new(certified), kind, names, expiry, oddities })
    }

    /// What it is called by: the first of its names.
    pub fn name(&self) -> &str {
        self.names.first().map_or("(no name)", String::as_str)
    }
}

fn kind_of(algorithm: SignatureAlgorithm) -> KeyKind {
    match algorithm {
        SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
        SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
        SignatureAlgorithm::RSA => KeyKind::Rsa,
        _ => KeyKind::Other,
    }
}

fn read_chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let chain = chain.map_err(|error| not_pem(&error))?;
    if chain.is_empty() { Err("it has no certificate in PEM".to_owned()) } else { Ok(chain) }
}

fn read_key(bytes: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        _ if is_encrypted(bytes) => ENCRYPTED.to_owned(),
        pem::Error::NoItemsFound => "it has no private key in PEM (PKCS#8, PKCS#1 or SEC1)".to_owned(),
        other => not_pem(&other),
    })?;
    any_supported_type(&key).map_err(|_| UNKNOWN.to_owned())
}

/// By PKCS#8 (RFC 5958 §3), or in the way of OpenSSL (RFC 1421 §4.6.1.1), which is no PEM to the library.
fn is_encrypted(bytes: &[u8]) -> bool {
    let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    marks.iter().any(|mark| memchr::memmem::find(bytes, mark).is_some())
}

const ENCRYPTED: &str = "it is encrypted, and a server can ask for no passphrase";
const UNKNOWN: &str = "it is damaged, or of a kind that is not supported: ECDSA on P-256, P-384 or P-521, \
                       Ed25519, and RSA of 2048 to 8192 bits are";

/// Without the words of the error, which may quote a line of a key.
fn not_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends within a section of PEM".to_owned(),
        _ => "it is not valid PEM".to_owned(),
    }
}

/// What a chain says of its first certificate.
struct Facts {
    names: Vec<String>,
    expiry: SystemTime,
    oddities: Vec<String>,
}

impl Facts {
    fn of(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<Facts, String> {
        let parsed = chain.iter().enumerate().map(|(index, der)| match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(certificate),
            _ => Err(format!("certificate {} in it is damaged", index + 1)),
        });
        let parsed: Vec<X509Certificate<'_>> = parsed.collect::<Result<_, _>>()?;
        check_order(&parsed)?;
        let mut oddities = Vec::new();
        let expiry = check_dates(&parsed, now, &mut oddities)?;
        let names = names_of(&parsed[0], &mut oddities)?;
        Ok(Facts { names, expiry, oddities })
    }
}

/// Each certificate is issued by the next one (RFC 5246 §7.4.2). TLS 1.3 allows any order, but clients that
/// can't sort are about.
fn check_order(chain: &[X509Certificate<'_>]) -> Result<(), String> {
    for (index, pair) in chain.windows(2).enumerate() {
        let [certificate, next] = pair else { continue };
        if certificate.issuer().as_raw() != next.subject().as_raw() {
            return Err(format!(
                "certificate {} in it ({}) did not issue certificate {} ({}), whose issuer is {}",
                index + 2,
                shown(next.subject()),
                index + 1,
                shown(certificate.subject()),
                shown(certificate.issuer()),
            ));
        }
    }
    Ok(())
}

/// The end of the first certificate, which must be valid. Others may have ended: some authorities have
/// clients that don't mind.
fn check_dates(
    chain: &[X509Certificate<'_>],
    now: SystemTime,
    oddities: &mut Vec<String>,
) -> Result<SystemTime, String> {
    let mut first = None;
    for (index, certificate) in chain.iter().enumerate() {
        let validity = certificate.validity();
        let (begin, end) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        let fault = if end < now {
            format!("expired at {}", date_of(end))
        } else if begin > now {
            format!("is valid only from {} on", date_of(begin))
        } else {
            String::new()
        };
        match (index, fault.is_empty()) {
            (0, false) => return Err(format!("it {fault}")),
            (0, true) => first = Some(end),
            (_, false) => {
                let name = shown(certificate.subject());
                oddities.push(format!("has a certificate of an issuer ({name}) that {fault}"));
            }
            (_, true) => {}
        }
    }
    first.ok_or_else(|| "it has no certificate".to_owned())
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// A time for a message.
pub fn date_of(time: SystemTime) -> String {
    String::from_utf8_lossy(&date::render(time)).into_owned()
}

/// The names of a certificate: those of the extension, or the common name where that is absent (RFC 6125
/// §6.4.4).
fn names_of(certificate: &X509Certificate<'_>, oddities: &mut Vec<String>) -> Result<Vec<String>, String> {
    let extension =
        certificate.subject_alternative_name().map_err(|_| "the names in it are damaged".to_owned())?;
    let names: Vec<String> = match extension {
        Some(extension) => extension.value.general_names.iter().filter_map(alternative_name).collect(),
        None => {
            let names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
            let names: Vec<String> = names.filter_map(host_name).collect();
            if let Some(name) = names.first() {
                oddities.push(format!(
                    "has no subject alternative names, and browsers ignore its common name {name}"
                ));
            }
            names
        }
    };
    if names.is_empty() {
        oddities.push("names no host".to_owned());
    }
    Ok(names)
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => host_name(name),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// A name that a client can ask for.
fn host_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = (1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| name.to_ascii_lowercase())
}

/// A name of X.509 for a message.
fn shown(name: &X509Name<'_>) -> String {
    let text: String = name.to_string().chars().take(MAX_SHOWN_NAME).collect();
    text.escape_debug().to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
        PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, SanType, date_time_ymd,
    };

    use super::*;

    /// A certificate that was made for a test, in PEM.
    pub(crate) struct Made {
        pub(crate) chain: String,
        pub(crate) key: String,
    }

    /// Valid from an hour ago for so many days.
    pub(crate) fn params(names: &[&str], days: i64) -> CertificateParams {
        let mut params = CertificateParams::default();
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
        params.distinguished_name = common_name(names.first().unwrap_or(&"nothing"));
        let hours = |hours: i64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let seconds = now.checked_add_signed(hours * 3600).unwrap();
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (hours((24 * days).min(0) - 1), hours(24 * days));
        params
    }

    fn common_name(name: &str) -> DistinguishedName {
        let mut names = DistinguishedName::new();
        names.push(DnType::CommonName, name);
        names
    }

    pub(crate) fn new_key(kind: KeyKind) -> KeyPair {
        KeyPair::generate_for(match kind {
            KeyKind::Rsa => &PKCS_RSA_SHA256,
            KeyKind::Ed25519 => &PKCS_ED25519,
            KeyKind::Ecdsa | KeyKind::Other => &PKCS_ECDSA_P256_SHA256,
        })
        .unwrap()
    }

    fn made_of(params: &CertificateParams) -> Made {
        let key = new_key(KeyKind::Ecdsa);
        Made { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    /// One that signs itself.
    pub(crate) fn made(names: &[&str], days: i64, kind: KeyKind) -> Made {
        let key = new_key(kind);
        Made { chain: params(names, days).self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    fn files() -> CertificateFiles {
        CertificateFiles { chain: "/a.pem".into(), key: "/a.key".into() }
    }

    pub(crate) fn read(made: &Made) -> Result<Certificate, StartupError> {
        Certificate::read(&files(), (made.chain.as_bytes(), made.key.as_bytes()), SystemTime::now())
    }

    #[track_caller]
    fn refused(chain: &str, key: &str, expected: &[&str]) {
        let (chain, key) = (chain.to_owned(), key.to_owned());
        let error = read(&Made { chain, key }).map(|found| found.names).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{error}");
    }

    /// The authority of the tests, and what it issues: a leaf, and what is between both.
    struct Authority {
        root: String,
        between: String,
        leaf: Made,
    }

    fn authority(days: i64) -> Authority {
        let [root_key, key, leaf_key] = [(); 3].map(|()| new_key(KeyKind::Ecdsa));
        let as_issuer = |name, days| {
            let mut params = params(&[], days);
            params.distinguished_name = common_name(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (root, between) = (as_issuer("Root", 1000), as_issuer("Between", days));
        let leaf = params(&["a.example"], 90).signed_by(&leaf_key, &Issuer::from_params(&between, &key));
        Authority {
            root: root.self_signed(&root_key).unwrap().pem(),
            between: between.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap().pem(),
            leaf: Made { chain: leaf.unwrap().pem(), key: leaf_key.serialize_pem() },
        }
    }

    #[test]
    fn a_certificate_has_names_a_kind_and_an_end() {
        let names = ["Example.org", "*.example.org", "192.0.2.1", "2001:db8::1"];
        for kind in [KeyKind::Ecdsa, KeyKind::Ed25519, KeyKind::Rsa] {
            let found = read(&made(&names, 30, kind)).unwrap();
            assert_eq!(found.names, ["example.org", "*.example.org", "192.0.2.1", "2001:db8::1"]);
            assert_eq!((found.kind, found.name(), &*found.oddities), (kind, "example.org", &[][..]));
            let left = found.expiry.duration_since(SystemTime::now()).unwrap().as_secs_f64() / 86400.;
            assert!((29.99..30.01).contains(&left), "{left}");
        }
    }

    #[test]
    fn a_chain_stands_in_order_and_has_nothing_else() {
        let Authority { root, between, leaf } = authority(500);
        let (stranger, key) = (made(&["stranger.example"], 9, KeyKind::Ecdsa).chain, &leaf.key);
        for chain in [vec![&leaf.chain], vec![&leaf.chain, &between], vec![&leaf.chain, &between, &root]] {
            let chain: String = chain.into_iter().cloned().collect();
            let found = read(&Made { chain, key: key.clone() }).unwrap();
            assert_eq!((&*found.names, found.oddities.len()), (&["a.example".to_owned()][..], 0));
        }
        let all = |parts: &[&String]| parts.iter().map(|part| part.as_str()).collect::<String>();
        let first = "certificate 2 in it (CN=Root) did not issue certificate 1 (CN=a.example), whose issuer is \
                     CN=Between";
        refused(&all(&[&leaf.chain, &root, &between]), key, &["/a.pem", first]);
        refused(&all(&[&between, &leaf.chain]), key, &["certificate 2 in it (CN=a.example) did not issue"]);
        let extra = "certificate 3 in it (CN=stranger.example) did not issue certificate 2 (CN=Between)";
        refused(&all(&[&leaf.chain, &between, &stranger]), key, &["/a.pem", extra]);
    }

    #[test]
    fn it_must_be_valid_and_an_issuer_that_has_expired_is_odd() {
        let good = made(&["a.example"], 1, KeyKind::Ecdsa);
        let read_at = |now| {
            let bytes = (good.chain.as_bytes(), good.key.as_bytes());
            Certificate::read(&files(), bytes, now)
                .map(|found| found.names)
                .map_err(|error| error.to_string())
        };
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        assert!(read_at(now + 23 * hour).is_ok());
        let expired = read_at(now + 25 * hour).unwrap_err();
        assert!(expired.starts_with("cannot use the certificate /a.pem: it expired at "), "{expired}");
        let early = read_at(now - 2 * hour).unwrap_err();
        assert!(early.contains("it is valid only from ") && early.ends_with(" GMT on"), "{early}");
        let Authority { between, leaf, .. } = authority(-3);
        let found = read(&Made { chain: leaf.chain + &between, key: leaf.key }).unwrap();
        let [oddity] = &found.oddities[..] else { panic!("{:?}", found.oddities) };
        assert!(
            oddity.starts_with("has a certificate of an issuer (CN=Between) that expired at"),
            "{oddity}"
        );
    }

    #[test]
    fn the_key_must_be_its_own() {
        let good = made(&["a.example"], 9, KeyKind::Ecdsa);
        for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
            let other = made(&["a.example"], 9, kind);
            refused(
                &good.chain,
                &other.key,
                &["the private key /a.key", "not the key of the certificate /a.pem"],
            );
        }
    }

    #[test]
    fn what_is_no_chain_is_refused_with_the_reason() {
        let good = made(&["a.example"], 9, KeyKind::Ecdsa);
        let lines: Vec<&str> = good.chain.lines().collect();
        let short = lines[..lines.len() - 1].join("\n");
        let damaged = format!("{}\nAA==\n{}\n", lines[0], lines[lines.len() - 1]);
        let no_base64 = good.chain.replacen("M", "*", 1);
        for (chain, why) in [
            ("", "it has no certificate in PEM"),
            ("hello\n", "it has no certificate in PEM"),
            (&good.key, "it has no certificate in PEM"),
            (&short, "it ends within a section of PEM"),
            (&no_base64, "it is not valid PEM"),
            (&damaged, "certificate 1 in it is damaged"),
            (&format!("{}{damaged}", good.chain), "certificate 2 in it is damaged"),
        ] {
            refused(chain, &good.key, &["cannot use the certificate /a.pem: ", why]);
        }
        // A key in the same file is no part of the chain.
        let (chain, key) = (good.chain.clone() + &good.key, good.key.clone());
        assert!(read(&Made { chain: chain.clone(), key: key.clone() + &chain }).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_part_of_it() {
        let good = made(&["a.example"], 9, KeyKind::Ecdsa);
        let section =
            |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let own = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                   -----END EC PRIVATE KEY-----\n";
        for (key, why) in [
            ("", "it has no private key in PEM"),
            (&*good.chain, "it has no private key in PEM"),
            (&good.key[..good.key.len() - 20], "it "),
            (&section("PRIVATE KEY", "AAAA"), "it is damaged, or of a kind that is not supported"),
            (&section("PRIVATE KEY", "c2VjcmV0!"), "it is not valid PEM"),
            (&section("ENCRYPTED PRIVATE KEY", "AAAA"), "it is encrypted"),
            (own, "it is encrypted"),
        ] {
            refused(&good.chain, key, &["cannot use the private key /a.key: ", why]);
            let error = read(&Made { chain: good.chain.clone(), key: key.to_owned() }).unwrap_err();
            assert!(!error.to_string().contains("c2Vj"), "{error}");
        }
    }

    /// The content of the first element of DER, and what follows it.
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            0x81 => (usize::from(der[2]), &der[3..]),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
            short => (usize::from(short), &der[2..]),
        };
        rest.split_at(length)
    }

    #[test]
    fn keys_of_all_three_formats_are_read() {
        for (kind, label) in [(KeyKind::Ecdsa, "EC PRIVATE KEY"), (KeyKind::Rsa, "RSA PRIVATE KEY")] {
            let key = new_key(kind);
            let chain = params(&["a.example"], 9).self_signed(&key).unwrap().pem();
            // PKCS#8 (RFC 5208 §5) has a version, an algorithm, and the key in its own format.
            let inner = element(element(element(element(key.serialized_der()).0).1).1).0;
            let body = STANDARD.encode(inner);
            let own = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
            for key in [key.serialize_pem(), own] {
                assert_eq!(read(&Made { chain: chain.clone(), key }).unwrap().kind, kind);
            }
        }
    }

    #[test]
    fn without_the_extension_the_common_name_counts() {
        let mut params = params(&[], 9);
        params.distinguished_name = common_name("Old.example");
        let found = read(&made_of(&params)).unwrap();
        assert_eq!((found.name(), found.oddities.len()), ("old.example", 1));
        assert!(found.oddities[0].contains("browsers ignore its common name old.example"), "{found:?}");
        params.distinguished_name = DistinguishedName::new();
        let found = read(&made_of(&params)).unwrap();
        assert_eq!((found.names.len(), found.name()), (0, "(no name)"));
        assert_eq!(found.oddities, ["names no host"]);
        // The extension has names of mail alone.
        params.distinguished_name = common_name("old.example");
        params.subject_alt_names = vec![SanType::Rfc822Name("a@old.example".try_into().unwrap())];
        assert_eq!(read(&made_of(&params)).unwrap().names, [""; 0]);
    }
}
