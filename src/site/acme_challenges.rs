//! Challenges of an ACME client (RFC 8555 §8.3): the files that it leaves for the certificate authority.
//!
//! A client may use the directory as a webroot, and leave them at their whole path, or for them alone.

use super::answer::SiteResponse;
use super::error_page;
use super::file_policy::file_policy;
use super::file_response::form_response;
use super::miss_response::miss_response;
use crate::background::JobWaiter;
use crate::config::Settings;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::store::Store;
use crate::store::cache::Key;
use crate::store::directory::Directory;
use crate::store::open::Miss;
use crate::time::Now;

/// The paths of all challenges begin with it, and a slash.
const PATH: &[u8] = b".well-known/acme-challenge";

/// What the cache keys of the files begin with: a NUL, so that it is the beginning of no site path.
const KEY_PREFIX: &[u8] = b"\0acme";

/// Where challenges are.
#[derive(Debug)]
pub struct AcmeChallenges {
    directory: Directory,
    /// True if the directory is that of the site or of a location too. Then challenges lie at their whole
    /// path alone, or other files could be had by their names.
    is_shared: bool,
}

impl AcmeChallenges {
    /// Those of the settings, if they have a directory for them.
    pub fn new(settings: &Settings, store: &Store) -> Option<AcmeChallenges> {
        let path = settings.acme_challenges.as_deref()?;
        let directories = settings.directories();
        let root = directories.iter().position(|directory| *directory == path)? + 1;
        let identity = |root| store.root(root).and_then(|directory| directory.identity().ok());
        // It is the last of them, unless a location has it too.
        let is_shared = root != directories.len() || (0..root).any(|other| identity(other) == identity(root));
        let directory = Directory {
            root,
            prefix_length: KEY_PREFIX.len(),
            index: Vec::new(),
            precompressed: false,
            compress: false,
            policy: file_policy(&settings.scope),
        };
        Some(AcmeChallenges { directory, is_shared })
    }

    /// The response to GET and HEAD of `path`; `None` if it is not the path of a challenge.
    pub fn respond(
        &self,
        path: &SitePath<'_>,
        request: &Request<'_>,
        store: &Store,
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Option<SiteResponse> {
        let name = name(path.as_bytes())?;
        for file in self.files(name).into_iter().filter(|_| is_token(name) && !path.is_directory()) {
            let key = Key { path: &file, is_directory: false };
            match store.get(key, &self.directory, now, waiter) {
                Ok(entry) => return Some(form_response(entry, request, *now)),
                Err(Miss::NotFound | Miss::DirectoryWithoutSlash | Miss::DirectoryWithoutIndex(_)) => {}
                Err(miss) => return Some(miss_response(miss, path, request, Status::NOT_FOUND)),
            }
        }
        Some(error_page::response(Status::NOT_FOUND, b""))
    }

    /// The cache keys of the files that may have the challenge of this name.
    fn files(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let whole = [KEY_PREFIX, b"/", PATH, b"/", name].concat();
        let alone = [KEY_PREFIX, b"/", name].concat();
        if self.is_shared { vec![whole] } else { vec![whole, alone] }
    }
}

/// What follows the path of all challenges, if a site path is beneath it.
fn name(path: &[u8]) -> Option<&[u8]> {
    match path.strip_prefix(PATH)? {
        [] => Some(b""),
        [b'/', name @ ..] => Some(name),
        _ => None,
    }
}

/// True for the letters of base64url, which tokens consist of (RFC 8555 §8.1).
fn is_token(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.iter().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_has_a_token_for_its_name() {
        for (path, expected) in [
            (".well-known/acme-challenge/aB3-_x", Some(true)),
            (".well-known/acme-challenge", Some(false)),
            (".well-known/acme-challenge/a.b", Some(false)),
            (".well-known/acme-challenge/a/b", Some(false)),
            (".well-known/acme-challenge/\u{fc}", Some(false)),
            (".well-known/acme-challenges/a", None),
            (".well-known/security.txt", None),
            ("a/.well-known/acme-challenge/a", None),
            ("", None),
        ] {
            assert_eq!(name(path.as_bytes()).map(is_token), expected, "{path}");
        }
    }
}
