//! What a generation has for TLS: its certificates, and what its workers are given of them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Settings;
use crate::error::StartupError;
use crate::metrics::certificates::CertificateSnapshot;
use crate::tls::ServerConfig;
use crate::tls::certificate::Certificate;
use crate::tls::certificate_pair::{CertificatePair, PairChange};
use crate::tls::resolver::CertificateResolver;
use crate::tls::server_config::server_config;
use crate::tls::ticket_keys::TicketKeys;

/// The certificates of a generation, and what is made of them.
#[derive(Clone)]
pub struct GenerationTls {
    /// The certificates, as [`Settings::certificates`] has them.
    pairs: Vec<CertificatePair>,
    /// Seal the tickets.
    pub keys: TicketKeys,
    /// Chooses a certificate for each handshake.
    pub resolver: Arc<CertificateResolver>,
    /// What all connections share.
    pub config: Arc<ServerConfig>,
}

/// Reads and checks the certificates.
///
/// # Errors
/// [`StartupError::Certificate`] and [`StartupError::PrivateKey`].
pub fn open_certificates(settings: &Settings) -> Result<Vec<CertificatePair>, StartupError> {
    if settings.tls_listen.is_empty() {
        return Ok(Vec::new());
    }
    let now = SystemTime::now();
    settings.certificates.iter().map(|files| CertificatePair::open(files, now)).collect()
}

/// What an operator should know of these certificates, a sentence each.
pub fn certificate_warnings(pairs: &[CertificatePair]) -> Vec<String> {
    let now = SystemTime::now();
    pairs.iter().flat_map(|pair| pair.warnings(now)).collect()
}

impl GenerationTls {
    /// Makes what workers need of these certificates.
    ///
    /// # Errors
    /// [`StartupError::System`], if no version of TLS can be spoken.
    pub fn new(
        settings: &Settings,
        pairs: Vec<CertificatePair>,
        keys: TicketKeys,
    ) -> Result<GenerationTls, StartupError> {
        let certificates: Vec<_> = pairs.iter().map(|pair| Arc::clone(pair.certificate())).collect();
        let resolver = Arc::new(CertificateResolver::new(&certificates, settings.tls_unknown_names));
        let config = server_config(Arc::clone(&resolver), settings.tls_versions, settings.http2, keys);
        let failed =
            |error| StartupError::System { step: "set up TLS", source: std::io::Error::other(error) };
        Ok(GenerationTls { pairs, keys, resolver, config: config.map_err(failed)? })
    }

    /// True if changes of some certificate are looked for.
    pub fn is_watched(&self) -> bool {
        self.pairs.iter().any(CertificatePair::is_watched)
    }

    /// Looks for other versions of the certificates, and logs faulty ones. Returns all certificates if one
    /// can be replaced.
    pub fn check(&mut self) -> Option<Vec<CertificatePair>> {
        let now = SystemTime::now();
        let mut pairs = Vec::new();
        let mut has_changed = false;
        for pair in &mut self.pairs {
            let change = pair.check(now);
            if let Some(PairChange::Faulty(why)) = &change {
                ::log::error!("{why}; the certificate that was read before stays in service");
            }
            match change {
                Some(PairChange::New(next)) => {
                    has_changed = true;
                    pairs.push(*next);
                }
                Some(PairChange::Faulty(_)) | None => pairs.push(pair.clone()),
            }
        }
        has_changed.then_some(pairs)
    }

    /// Logs what an operator should know of the certificates.
    pub fn log_warnings(&self) {
        certificate_warnings(&self.pairs).iter().for_each(|warning| ::log::warn!("{warning}"));
    }

    /// Logs which certificates expire soon.
    pub fn log_expiry(&self) {
        let now = SystemTime::now();
        self.pairs
            .iter()
            .filter_map(|pair| pair.expiry_warning(now))
            .for_each(|warning| ::log::warn!("{warning}"));
    }

    /// The certificates, for the metrics.
    pub fn snapshots(&self) -> Vec<CertificateSnapshot> {
        let snapshot = |certificate: &Certificate| CertificateSnapshot {
            name: certificate.name().to_owned(),
            key: certificate.kind,
            expiry: certificate.expiry.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        };
        self.pairs.iter().map(|pair| snapshot(pair.certificate())).collect()
    }
}
