//! An authority of the test's own, and the certificates that it issues, as files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;

use super::Tree;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs certificates, and keeps their files.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    tree: Tree,
    made: AtomicUsize,
}

/// A certificate and its key.
pub struct Issued {
    /// Its own certificate and that of the authority.
    pub chain: PathBuf,
    pub key: PathBuf,
    /// The certificate alone.
    pub der: Vec<u8>,
    name: String,
}

/// What a certificate is to be.
pub struct Wish<'a> {
    /// Names and addresses; a name may begin with `*.`.
    pub names: &'a [&'a str],
    /// RSA with 2048 bits in place of ECDSA with P-256.
    pub is_rsa: bool,
    /// Days from now on; fewer than none: it has expired.
    pub days: i64,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self { names: &["test"], is_rsa: false, days: 90 }
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "mayhttpd's tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, tree: Tree::empty(), made: AtomicUsize::new(0) }
    }

    /// Its own certificate.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Its own certificate as a file.
    pub fn file(&self) -> PathBuf {
        self.tree.file("authority.pem", self.issuer.pem())
    }

    /// A usual certificate for these names.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.grant(&Wish { names, ..Wish::default() })
    }

    pub fn grant(&self, wish: &Wish) -> Issued {
        let names: Vec<String> = wish.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, wish.names[0]);
        params.use_authority_key_identifier_extension = true;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = rcgen::date_time_ymd(1970, 1, 1) + since;
        params.not_before = now - 100 * DAY;
        let days = DAY * u32::try_from(wish.days.abs()).unwrap();
        params.not_after = if wish.days < 0 { now - days } else { now + days };
        let key = match wish.is_rsa {
            true => KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(),
            false => KeyPair::generate().unwrap(),
        };
        let own = params.signed_by(&key, &self.issuer).unwrap();
        let name = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        let chain = self.tree.file(format!("{name}.pem"), own.pem() + &self.issuer.pem());
        let path = self.tree.file(format!("{name}.key"), key.serialize_pem());
        self.tree.mode(format!("{name}.key"), 0o600);
        Issued { chain, key: path, der: own.der().to_vec(), name }
    }

    /// Puts the files of another certificate in the place of these, the key first.
    pub fn replace(&self, old: &Issued, new: &Issued) {
        for (extension, from) in [("key", &new.key), ("pem", &new.chain)] {
            let name = format!("{}.{extension}", old.name);
            self.tree.file(&name, std::fs::read(from).unwrap());
        }
        self.tree.mode(format!("{}.key", old.name), 0o600);
    }
}

impl Issued {
    /// Its table of the settings.
    pub fn table(&self) -> String {
        format!("[[certificate]]\nchain = {:?}\nkey = {:?}\n", self.chain, self.key)
    }
}
