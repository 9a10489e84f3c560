//! What the settings say of TLS in a few words: its versions, and what happens to names without a
//! certificate.

use super::value::{self, ListError};

/// What happens to clients that name a host which no certificate has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum TlsUnknownNames {
    /// They get the first certificate.
    #[default]
    Serve,
    /// The handshake fails.
    Reject,
}

impl TlsUnknownNames {
    /// The words for it.
    pub const WORDS: &[(&str, TlsUnknownNames)] =
        &[("serve", TlsUnknownNames::Serve), ("reject", TlsUnknownNames::Reject)];
}

/// The versions of TLS that clients may use: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsVersions {
    /// TLS 1.2 (RFC 5246).
    pub tls12: bool,
    /// TLS 1.3 (RFC 8446).
    pub tls13: bool,
}

impl Default for TlsVersions {
    fn default() -> TlsVersions {
        TlsVersions { tls12: true, tls13: true }
    }
}

impl TlsVersions {
    /// The versions of a list.
    ///
    /// # Errors
    /// The first text that is no version, or stands there twice.
    pub fn read(texts: &[&str]) -> Result<TlsVersions, ListError> {
        let mut versions = TlsVersions { tls12: false, tls13: false };
        for (nth, text) in texts.iter().enumerate() {
            let version = match *text {
                "1.2" => &mut versions.tls12,
                "1.3" => &mut versions.tls13,
                _ => return Err((nth, value::expected(&[("1.2", ()), ("1.3", ())]))),
            };
            if std::mem::replace(version, true) {
                return Err((nth, format!("{text} is given twice")));
            }
        }
        Ok(versions)
    }

    /// The versions as the settings have them.
    pub fn words(self) -> Vec<&'static str> {
        let words = [("1.2", self.tls12), ("1.3", self.tls13)];
        words.into_iter().filter(|(_, on)| *on).map(|(word, _)| word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_a_list_without_repetition() {
        for texts in [&["1.2"][..], &["1.3"], &["1.2", "1.3"]] {
            assert_eq!(TlsVersions::read(texts).unwrap().words(), texts);
        }
        assert_eq!(TlsVersions::read(&["1.3", "1.2"]).unwrap(), TlsVersions::default());
        for (texts, error) in [
            (&["1.1"][..], (0, "expected 1.2 or 1.3")),
            (&["1.2", "off"], (1, "expected 1.2 or 1.3")),
            (&["1.2", "1.2"], (1, "1.2 is given twice")),
        ] {
            assert_eq!(TlsVersions::read(texts), Err((error.0, error.1.to_owned())), "{texts:?}");
        }
    }
}
