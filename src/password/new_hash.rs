//! The hash of a new password, for a line of a users file.

use argon2::Argon2;
use argon2::password_hash::{Error, PasswordHasher};
use sha_crypt::{Algorithm, ShaCrypt};

use crate::http::authorization::MAX_PASSWORD;

/// The cost of bcrypt: 2^12 rounds, some 0.2 s.
const BCRYPT_COST: u32 = 12;

/// The most bytes that bcrypt reads of a password.
const BCRYPT_LENGTH: usize = 72;

/// The rounds of SHA-crypt, some 20 to 80 ms. nginx serves no request meanwhile, so there are not more.
const SHA_CRYPT_ROUNDS: u32 = 100_000;

/// Bytes of SHA-crypt's salt: as 16 characters they are the most that crypt(3) reads.
const SHA_CRYPT_SALT: usize = 12;

/// How a new password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewHash {
    /// bcrypt as `$2y$`, which Apache, nginx, Caddy and Traefik read as well.
    Bcrypt,
    /// argon2id with 19 MiB and 2 passes, which takes far more to guess, and which the others don't read.
    Argon2id,
    /// SHA-512-crypt as `$6$`, for systems whose crypt(3) has no bcrypt.
    Sha512,
}

impl NewHash {
    /// Hashes a password with a salt of random bytes.
    ///
    /// # Errors
    /// Why that can't be done, as a sentence.
    pub fn of(self, password: &[u8], salt: [u8; 16]) -> Result<String, String> {
        self.check(password)?;
        let hash = match self {
            NewHash::Bcrypt => bcrypt::hash_with_salt(password, BCRYPT_COST, salt)
                .map(|parts| parts.format_for_version(bcrypt::Version::TwoY))
                .map_err(|error| error.to_string()),
            NewHash::Argon2id => Argon2::default()
                .hash_password_with_salt(password, &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| error.to_string()),
            NewHash::Sha512 => sha512(password, &salt).map_err(|error| error.to_string()),
        };
        hash.map_err(|why| format!("the password can't be hashed: {why}"))
    }

    /// Checks that clients can send this password, and that all of it counts.
    fn check(self, password: &[u8]) -> Result<(), String> {
        if password.is_empty() {
            return Err("the password is empty".to_owned());
        }
        if password.len() > MAX_PASSWORD {
            return Err(format!("the password has more than {MAX_PASSWORD} bytes"));
        }
        // RFC 7617 §2.
        if password.iter().any(u8::is_ascii_control) {
            return Err("the password has a control character, which no client can send".to_owned());
        }
        if self == NewHash::Bcrypt && password.len() > BCRYPT_LENGTH {
            return Err(format!(
                "bcrypt reads no more than {BCRYPT_LENGTH} bytes of a password; --argon2id reads all"
            ));
        }
        Ok(())
    }
}

fn sha512(password: &[u8], salt: &[u8; 16]) -> Result<String, Error> {
    let params = sha_crypt::Params::new(SHA_CRYPT_ROUNDS).map_err(|_| Error::Internal)?;
    let hasher = ShaCrypt::new(Algorithm::Sha512Crypt, params);
    let hash = hasher.hash_password_with_salt(password, &salt[..SHA_CRYPT_SALT])?;
    Ok(hash.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::stored_hash::StoredHash;
    use super::*;

    const ALL: [(NewHash, &str); 3] = [
        (NewHash::Bcrypt, "$2y$12$"),
        (NewHash::Argon2id, "$argon2id$v=19$m=19456,t=2,p=1$"),
        (NewHash::Sha512, "$6$rounds=100000$"),
    ];

    #[test]
    fn a_new_hash_is_one_that_can_be_verified() {
        for (format, beginning) in ALL {
            let hash = format.of("pa\u{df}: word".as_bytes(), [7; 16]).unwrap();
            assert!(hash.starts_with(beginning) && !hash.contains(':'), "{hash}");
            let stored = StoredHash::parse(&hash).unwrap();
            assert_eq!(stored.verify("pa\u{df}: word".as_bytes()), Ok(true), "{hash}");
            assert_eq!(stored.verify(b"password"), Ok(false), "{hash}");
            assert_ne!(format.of("pa\u{df}: word".as_bytes(), [8; 16]).unwrap(), hash);
        }
    }

    #[test]
    fn a_password_that_can_not_be_sent_or_would_be_cut_is_refused() {
        for (format, _) in ALL {
            let long = format.check(&[b'x'; 73]);
            assert_eq!(long.is_err(), format == NewHash::Bcrypt);
            for wrong in [&b""[..], b"a\nb", b"\0", b"\x7f", &[b'x'; MAX_PASSWORD + 1]] {
                assert!(format.of(wrong, [0; 16]).is_err());
            }
        }
    }
}
