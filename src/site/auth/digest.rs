//! The keyed digest of a user's name, password and hash: under which a right password is remembered, and by
//! which requests with the same credentials are known.
//!
//! **Invariant:** the digest has the hash of the users file in it. So once the file has another one for the
//! user, or none, what was remembered is found no more.

use std::io;

use blake2::Blake2sMac256;
use blake2::digest::{FixedOutput, KeyInit, Update};

use crate::http::authorization::BasicCredentials;
use crate::sys::random;

/// The key of a process, which no other process has.
pub struct DigestKey(Blake2sMac256);

/// A digest. It tells nothing about a password without the key.
pub type CredentialsDigest = [u8; 32];

impl DigestKey {
    /// A random key.
    ///
    /// # Errors
    /// See getrandom(2).
    pub fn random() -> io::Result<DigestKey> {
        let key: [u8; 32] = random::bytes()?;
        Ok(DigestKey(Blake2sMac256::new(&key.into())))
    }

    /// The digest of these credentials, with the hash that they are compared with, in the users file of this
    /// number.
    pub fn digest(&self, file: usize, credentials: &BasicCredentials, hash: &str) -> CredentialsDigest {
        let mut mac = self.0.clone();
        mac.update(&file.to_le_bytes());
        // Neither has a line feed, and a name has no colon.
        for part in [hash.as_bytes(), b"\n", credentials.user(), b":", credentials.password()] {
            mac.update(part);
        }
        mac.finalize_fixed().into()
    }

    /// A number for a user's name, always the same in this process.
    pub fn number(&self, user: &[u8]) -> u64 {
        let mut mac = self.0.clone();
        mac.update(user);
        let digest: CredentialsDigest = mac.finalize_fixed().into();
        digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_counts_and_so_does_the_key() {
        let key = DigestKey::random().unwrap();
        // "a:b", "a:c" and "b:b".
        let credentials = |value| BasicCredentials::parse(value).unwrap();
        let (ab, ac, bb) = (b"Basic YTpi", b"Basic YTpj", b"Basic Yjpi");
        let digest = key.digest(0, &credentials(ab), "hash");
        assert_eq!(key.digest(0, &credentials(ab), "hash"), digest);
        for other in [
            key.digest(0, &credentials(ac), "hash"),
            key.digest(0, &credentials(bb), "hash"),
            key.digest(1, &credentials(ab), "hash"),
            key.digest(0, &credentials(ab), "hasi"),
            DigestKey::random().unwrap().digest(0, &credentials(ab), "hash"),
        ] {
            assert_ne!(other, digest);
        }
        assert_eq!(key.number(b"anna"), key.number(b"anna"));
        assert_ne!(key.number(b"anna"), key.number(b"ben"));
    }
}
