//! The two files of a certificate as the master has read them, and whether there is another version of them.
//!
//! The master reads them, since the workers' user may not. Files on a network file system, which could make
//! the master wait, are read at a start and a reload alone.
//!
//! **Invariant:** a version with a fault changes nothing, and is reported once. It is reported when it is
//! seen again, because what writes the files replaces one after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::certificate::{Certificate, date_of};
use crate::config::certificate::CertificateFiles;
use crate::error::{StartupError, cause};
use crate::sys::file::{self, Stamp, WholeFile};
use crate::sys::filesystem::file_is_local;

/// The most bytes of a file.
const MAX_FILE: usize = 1 << 20;

/// Bits of a mode: the file's group may read it, and all users may.
const READ_BY_GROUP: u32 = 0o040;
const READ_BY_ALL: u32 = 0o004;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// With less time left than this, there is a warning.
pub const SHORT_TIME: Duration = DAY.saturating_mul(14);

/// The stamps of both files; an error as its words.
type Version = [Result<Stamp, String>; 2];

/// The files of a certificate, and what was read from them.
#[derive(Clone, Debug)]
pub struct CertificatePair {
    files: CertificateFiles,
    version: Version,
    /// True if users may read the key who have no need of it.
    is_key_open: bool,
    /// The faulty version that was last seen, and whether it was reported.
    faulty: Option<(Version, bool)>,
    /// False if to look at the files may wait for a network.
    local: bool,
    certificate: Arc<Certificate>,
}

/// Another version of the files.
#[derive(Debug)]
pub enum PairChange {
    /// It can be served.
    New(Box<CertificatePair>),
    /// It can't be used, for this reason.
    Faulty(String),
}

impl CertificatePair {
    /// Reads both files, and checks the certificate as of `now`.
    ///
    /// # Errors
    /// [`StartupError::Certificate`] and [`StartupError::PrivateKey`].
    pub fn open(files: &CertificateFiles, now: SystemTime) -> Result<CertificatePair, StartupError> {
        let (path, key_path) = (files.chain.clone(), files.key.clone());
        let chain = read(&files.chain).map_err(|why| StartupError::Certificate { path, why })?;
        let key = read(&files.key).map_err(|why| StartupError::PrivateKey { path: key_path, why })?;
        let certificate = Certificate::read(files, (&chain.bytes, &key.bytes), now)?;
        Ok(CertificatePair {
            files: files.clone(),
            version: [Ok(chain.stamp), Ok(key.stamp)],
            is_key_open: is_open(key.mode, key.owner),
            faulty: None,
            local: file_is_local(&files.chain) && file_is_local(&files.key),
            certificate: Arc::new(certificate),
        })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// True if changes are looked for.
    pub fn is_watched(&self) -> bool {
        self.local
    }

    /// Looks whether there is another version than this one.
    pub fn check(&mut self, now: SystemTime) -> Option<PairChange> {
        if !self.local {
            return None;
        }
        let found = [&self.files.chain, &self.files.key]
            .map(|path| file::stat_path(path).map(|(_, stamp)| stamp).map_err(|error| cause(&error)));
        if found == self.version {
            self.faulty = None;
            return None;
        }
        // Also where it was faulty before: a certificate may have become valid since.
        match CertificatePair::open(&self.files, now) {
            // A file is being written; or it was replaced since.
            Ok(pair) if pair.version != found => None,
            // Only attributes have changed, or the same was written again.
            Ok(pair) if pair.certificate.certified.cert == self.certificate.certified.cert => {
                *self = pair;
                None
            }
            Ok(pair) => Some(PairChange::New(Box::new(pair))),
            Err(error) => self.report(found, &error),
        }
    }

    fn report(&mut self, found: Version, error: &StartupError) -> Option<PairChange> {
        match &mut self.faulty {
            Some((version, reported)) if *version == found => {
                let is_first = !std::mem::replace(reported, true);
                is_first.then(|| PairChange::Faulty(error.to_string()))
            }
            other => {
                *other = Some((found, false));
                None
            }
        }
    }

    /// What an operator should know, a sentence each.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        let (chain, key) = (self.files.chain.display(), self.files.key.display());
        let of_key = self
            .is_key_open
            .then(|| format!("all users may read the private key {key}; mode 0600 or 0640 keeps it private"));
        let oddities =
            self.certificate.oddities.iter().map(|oddity| format!("the certificate {chain} {oddity}"));
        oddities.chain(of_key).chain(self.expiry_warning(now)).collect()
    }

    /// Says how long the certificate is still valid, if that is not long.
    pub fn expiry_warning(&self, now: SystemTime) -> Option<String> {
        let Certificate { expiry, .. } = *self.certificate;
        let left = expiry.duration_since(now).ok();
        if left.is_some_and(|left| left >= SHORT_TIME) {
            return None;
        }
        let when = match left.map(|left| left.as_secs() / DAY.as_secs()) {
            None => "has expired".to_owned(),
            Some(0) => "expires in less than a day".to_owned(),
            Some(1) => "expires in 1 day".to_owned(),
            Some(days) => format!("expires in {days} days"),
        };
        let (chain, name) = (self.files.chain.display(), self.certificate.name());
        Some(format!("the certificate {chain} for {name} {when}, at {}", date_of(expiry)))
    }
}

/// True if a key with this mode and owner can be read by users who have no need of it. root lets a server
/// read it by its group: so do secrets of Kubernetes with `fsGroup`, and systemd, whose access control lists
/// show as the group's bits.
fn is_open(mode: u32, owner: u32) -> bool {
    mode & READ_BY_ALL != 0 || mode & READ_BY_GROUP != 0 && owner != 0
}

fn read(path: &Path) -> Result<WholeFile, String> {
    let file = file::read_whole(path, MAX_FILE + 1).map_err(|error| cause(&error))?;
    if file.bytes.len() > MAX_FILE { Err(format!("it has more than {MAX_FILE} bytes")) } else { Ok(file) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::super::certificate::tests::{Made, made};
    use super::*;
    use crate::metrics::KeyKind;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let directory = std::env::temp_dir().join(format!("mayhttpd-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Place(directory)
        }

        fn files(&self) -> CertificateFiles {
            CertificateFiles { chain: self.0.join("a.pem"), key: self.0.join("a.key") }
        }

        /// Replaces a file by a new one.
        fn replace(&self, name: &str, text: &str) {
            let next = self.0.join("next");
            fs::write(&next, text).unwrap();
            fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
            fs::rename(&next, self.0.join(name)).unwrap();
        }

        fn replace_both(&self, made: &Made) {
            self.replace("a.pem", &made.chain);
            self.replace("a.key", &made.key);
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn of(name: &str) -> Made {
        made(&[name], 30, KeyKind::Ecdsa)
    }

    #[track_caller]
    fn faulty(pair: &mut CertificatePair, why: &str) {
        // What was seen once may be half written.
        assert!(pair.check(SystemTime::now()).is_none());
        let change = pair.check(SystemTime::now());
        assert!(matches!(&change, Some(PairChange::Faulty(found)) if found.contains(why)), "{change:?}");
        assert!(pair.check(SystemTime::now()).is_none(), "it was reported");
    }

    #[test]
    fn a_new_version_is_found_and_a_faulty_one_is_reported_once() {
        let (place, now) = (Place::new("pair"), SystemTime::now());
        let absent = CertificatePair::open(&place.files(), now).unwrap_err().to_string();
        assert!(absent.contains("a.pem: no such file"), "{absent}");
        let (first, second) = (of("first.example"), of("second.example"));
        place.replace("a.pem", &first.chain);
        let absent = CertificatePair::open(&place.files(), now).unwrap_err().to_string();
        assert!(absent.contains("private key") && absent.contains("a.key: no such file"), "{absent}");
        place.replace_both(&first);
        let mut pair = CertificatePair::open(&place.files(), now).unwrap();
        assert!(pair.is_watched() && pair.check(now).is_none());

        place.replace("a.pem", &second.chain);
        assert!(pair.check(now).is_none(), "half of it is written");
        place.replace("a.key", &second.key);
        let Some(PairChange::New(mut next)) = pair.check(now) else { panic!("no new version") };
        assert_eq!(next.certificate().name(), "second.example");
        assert!(next.check(now).is_none());
        // The next generation could not serve with it.
        assert!(matches!(pair.check(now), Some(PairChange::New(_))));

        place.replace("a.key", &first.key);
        faulty(&mut next, "it is not the key of the certificate");
        place.replace("a.pem", "nothing");
        faulty(&mut next, "it has no certificate in PEM");
        fs::remove_file(place.files().chain).unwrap();
        faulty(&mut next, "no such file");
        assert_eq!(next.certificate().name(), "second.example");
        // Some programs set the old files back.
        place.replace_both(&second);
        assert!(next.check(now).is_none(), "it is served already");
        assert!(next.faulty.is_none() && next.check(now).is_none());
        fs::set_permissions(place.files().key, Permissions::from_mode(0o644)).unwrap();
        assert!(next.check(now).is_none() && next.is_key_open);
    }

    #[test]
    fn what_was_not_valid_yet_is_taken_up_when_it_is() {
        let (place, now) = (Place::new("early"), SystemTime::now());
        place.replace_both(&of("a.example"));
        let mut pair = CertificatePair::open(&place.files(), now).unwrap();
        place.replace_both(&of("b.example"));
        let early = now - 2 * Duration::from_secs(3600);
        assert!(pair.check(early).is_none());
        assert!(
            matches!(pair.check(early), Some(PairChange::Faulty(why)) if why.contains("valid only from"))
        );
        assert!(matches!(pair.check(now), Some(PairChange::New(_))));
    }

    #[test]
    fn an_operator_is_warned_of_a_near_end_and_of_a_key_that_others_may_read() {
        let (place, now) = (Place::new("warnings"), SystemTime::now());
        place.replace_both(&of("a.example"));
        let mut pair = CertificatePair::open(&place.files(), now).unwrap();
        assert_eq!(pair.warnings(now), [""; 0]);
        for (days, expected) in [
            (15, None),
            (17, Some("expires in 12 days, at ")),
            (28, Some("expires in 1 day, at ")),
            (29, Some("expires in less than a day, at ")),
            (31, Some("has expired, at ")),
        ] {
            let warning = pair.expiry_warning(now + days * DAY + DAY / 100);
            assert_eq!(warning.is_some(), expected.is_some(), "{days}");
            let fits = warning.zip(expected).is_none_or(|(warning, expected)| {
                warning.contains(&format!("a.pem for a.example {expected}")) && warning.ends_with(" GMT")
            });
            assert!(fits, "{days}");
        }
        for (mode, open) in [(0o600, false), (0o604, true), (0o400, false)] {
            fs::set_permissions(place.files().key, Permissions::from_mode(mode)).unwrap();
            pair = CertificatePair::open(&place.files(), now).unwrap();
            let warnings = pair.warnings(now);
            assert_eq!(warnings.len(), usize::from(open), "{mode:o}");
            assert!(warnings.iter().all(|line| line.contains("all users") && line.contains("a.key")));
        }
    }

    #[test]
    fn the_group_may_read_a_key_of_root() {
        for (mode, owner, open) in
            [(0o100440, 0, false), (0o100440, 1000, true), (0o100600, 1000, false), (0o100444, 0, true)]
        {
            assert_eq!(is_open(mode, owner), open, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn what_is_no_regular_file_or_too_long_is_refused() {
        let (place, now) = (Place::new("long"), SystemTime::now());
        place.replace_both(&of("a.example"));
        place.replace("a.key", &"x".repeat(MAX_FILE + 1));
        let error = CertificatePair::open(&place.files(), now).unwrap_err().to_string();
        assert!(error.contains("more than 1048576 bytes"), "{error}");
        let files = CertificateFiles { chain: "/dev/null".into(), ..place.files() };
        let error = CertificatePair::open(&files, now).unwrap_err().to_string();
        assert!(error.contains("/dev/null: it is no regular file"), "{error}");
    }
}
