//! The certificates of the generation that serves, and when each expires.
//!
//! The master writes them when a generation begins to serve. They stand in shared memory, where the admin
//! process reads them.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

use super::key_kind::KeyKind;
use super::layout::{CERTIFICATE_WORDS, MAX_CERTIFICATES, head};
use super::shared_text;
use super::table::Table;

/// Offsets in the words of a certificate.
const EXPIRY: usize = 0;
const KEY: usize = 1;
const NAME: usize = 2;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSnapshot {
    /// The first of its names.
    pub name: String,
    /// The kind of its key.
    pub key: KeyKind,
    /// When it expires, in seconds since 1970.
    pub expiry: u64,
}

impl Table {
    /// In the master: shows these certificates in place of others. Those beyond the first 1024 are left out,
    /// and of those with the same name and kind of key all but the one that expires first: nothing tells them
    /// apart.
    pub fn set_certificates(self, certificates: &[CertificateSnapshot]) {
        let mut shown: Vec<CertificateSnapshot> = Vec::new();
        for certificate in certificates {
            let same = |other: &&mut CertificateSnapshot| {
                other.name == certificate.name && other.key == certificate.key
            };
            match shown.iter_mut().find(same) {
                Some(other) => other.expiry = other.expiry.min(certificate.expiry),
                None => shown.push(certificate.clone()),
            }
        }
        shown.truncate(MAX_CERTIFICATES);
        if shown.is_empty() && self.head[head::CERTIFICATES].load(Relaxed) == 0 {
            return;
        }
        // A reader that sees a part of this sees an odd number, and reads again.
        self.head[head::MOVES].fetch_add(1, Relaxed);
        fence(Release);
        self.head[head::CERTIFICATES].store(shown.len() as u64, Relaxed);
        for (certificate, words) in shown.iter().zip(self.certificates.chunks_exact(CERTIFICATE_WORDS)) {
            words[EXPIRY].store(certificate.expiry, Relaxed);
            words[KEY].store(certificate.key as u64, Relaxed);
            shared_text::write(&words[NAME..], &certificate.name);
        }
        self.head[head::MOVES].fetch_add(1, Release);
    }

    /// The certificates that are shown.
    pub(super) fn certificates(self) -> Vec<CertificateSnapshot> {
        self.read_consistent(|| {
            let count = usize::try_from(self.head[head::CERTIFICATES].load(Acquire)).unwrap_or(0);
            let all = self.certificates.chunks_exact(CERTIFICATE_WORDS);
            all.take(count.min(MAX_CERTIFICATES)).map(certificate).collect()
        })
    }
}

fn certificate(words: &[AtomicU64]) -> CertificateSnapshot {
    let key = usize::try_from(words[KEY].load(Relaxed)).ok().and_then(|key| KeyKind::ALL.get(key));
    CertificateSnapshot {
        name: shared_text::read(&words[NAME..]),
        key: key.copied().unwrap_or(KeyKind::Other),
        expiry: words[EXPIRY].load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, key: KeyKind, expiry: u64) -> CertificateSnapshot {
        CertificateSnapshot { name: name.to_owned(), key, expiry }
    }

    #[test]
    fn the_last_ones_are_shown() {
        let table = Table::new(1).unwrap();
        assert_eq!(table.certificates(), []);
        let some = [
            certificate("a.example", KeyKind::Ecdsa, 1_800_000_000),
            certificate("a.example", KeyKind::Rsa, 1_700_000_000),
            certificate(&"x".repeat(240), KeyKind::Other, 0),
        ];
        table.set_certificates(&some);
        assert_eq!(table.certificates(), some);
        assert_eq!(table.snapshot(std::time::Duration::ZERO, |_| None).certificates, some);
        table.set_certificates(&some[1..2]);
        assert_eq!(table.certificates(), some[1..2]);
        table.set_certificates(&[]);
        assert_eq!(table.certificates(), []);
    }

    #[test]
    fn of_several_that_nothing_tells_apart_the_first_to_expire_is_shown() {
        let table = Table::new(1).unwrap();
        let of = |expiry| certificate("a.example", KeyKind::Ecdsa, expiry);
        table.set_certificates(&[of(3), certificate("b.example", KeyKind::Ecdsa, 9), of(2), of(4)]);
        assert_eq!(table.certificates(), [of(2), certificate("b.example", KeyKind::Ecdsa, 9)]);
    }

    #[test]
    fn there_may_be_more_than_are_shown() {
        let table = Table::new(1).unwrap();
        let many: Vec<_> = (0..2000).map(|n| certificate(&format!("h{n}"), KeyKind::Rsa, n)).collect();
        table.set_certificates(&many);
        assert_eq!(table.certificates(), many[..MAX_CERTIFICATES]);
    }
}
