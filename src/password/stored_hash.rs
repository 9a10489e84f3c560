//! A hash as a users file has it: which of the formats it is in, what it costs, and whether a password is the
//! right one.
//!
//! A hash says itself what it costs. **Invariant:** a [`StoredHash`] takes seconds at most, and at most
//! [`MAX_ARGON2_KIB`] of memory; a hash that would take more is refused when its file is read.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordVerifier};
use sha_crypt::ShaCrypt;

/// The highest cost of bcrypt: 2^16 rounds take some 4 s.
pub const MAX_BCRYPT_COST: u32 = 16;

/// The most memory of argon2id, in KiB: 256 MiB. A worker may verify as many passwords at once as it has
/// threads for that.
pub const MAX_ARGON2_KIB: u32 = 256 * 1024;

/// The most memory of argon2id times its passes, in KiB: 2 GiB, which take some 2 s.
pub const MAX_ARGON2_WORK: u32 = 2 * 1024 * 1024;

/// The most lanes of argon2id.
pub const MAX_ARGON2_LANES: u32 = 64;

/// The rounds of SHA-crypt: the least of crypt(3), and what takes some 2 s with the longest password.
pub const SHA_CRYPT_ROUNDS: std::ops::RangeInclusive<u32> = 1000..=2_000_000;

/// A hash that this program can verify.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredHash {
    format: HashFormat,
    /// Invariant: a hash of `format` whose cost is within the limits.
    text: Box<str>,
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.format.fmt(f)
    }
}

/// The formats of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFormat {
    /// `$2y$`, `$2b$` and `$2a$`.
    Bcrypt,
    /// `$argon2id$`, as a PHC string.
    Argon2id,
    /// `$5$` and `$6$` of crypt(3).
    ShaCrypt,
}

/// A password could not be verified, because there is no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl StoredHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// Why it can't be used, as the end of a sentence about it.
    pub fn parse(text: &str) -> Result<StoredHash, String> {
        let format = if has_any_prefix(text, &["$2y$", "$2b$", "$2a$"]) {
            check_bcrypt(text)?;
            HashFormat::Bcrypt
        } else if text.starts_with("$argon2id$") {
            check_argon2id(text)?;
            HashFormat::Argon2id
        } else if has_any_prefix(text, &["$5$", "$6$"]) {
            check_sha_crypt(text)?;
            HashFormat::ShaCrypt
        } else {
            let format = foreign_format(text);
            return Err(format!("is {format}, and not of bcrypt, argon2id or SHA-crypt"));
        };
        Ok(StoredHash { format, text: text.into() })
    }

    /// True if `password` is the right one. It takes the same time if it is not.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn verify(&self, password: &[u8]) -> Result<bool, NoMemory> {
        let outcome = match self.format {
            HashFormat::Bcrypt => return Ok(bcrypt::verify(password, &self.text).unwrap_or(false)),
            HashFormat::Argon2id => Argon2::default().verify_password(password, &*self.text),
            HashFormat::ShaCrypt => ShaCrypt::default().verify_password(password, &*self.text),
        };
        match outcome {
            Err(Error::OutOfMemory) => Err(NoMemory),
            outcome => Ok(outcome.is_ok()),
        }
    }

    /// The hash as the file has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn has_any_prefix(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

const MALFORMED_BCRYPT: &str = "is no whole bcrypt hash, which has 60 characters";

/// `"$2y$" two digits "$" 22 characters of salt, 31 of the hash`.
fn check_bcrypt(text: &str) -> Result<(), String> {
    let malformed = || MALFORMED_BCRYPT.to_owned();
    let digits = text.get(4..6).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let cost: u32 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?;
    let _: bcrypt::HashParts = text.parse().map_err(|_| malformed())?;
    if !(4..=MAX_BCRYPT_COST).contains(&cost) {
        return Err(format!("has a bcrypt cost of {cost} (expected 4 to {MAX_BCRYPT_COST})"));
    }
    Ok(())
}

/// `"$argon2id$v=19$m=19456,t=2,p=1$" salt "$" hash`, both in Base64 without padding.
fn check_argon2id(text: &str) -> Result<(), String> {
    let malformed = || "is no whole argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| malformed())?;
    let params = argon2::Params::try_from(&hash).map_err(|_| malformed())?;
    let version = hash.version.map(argon2::Version::try_from).transpose();
    let is_salted = hash.salt.as_ref().is_some_and(|salt| salt.as_ref().len() >= argon2::MIN_SALT_LEN);
    if version.is_err() || !is_salted || hash.hash.is_none() {
        return Err(malformed());
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MAX_ARGON2_KIB {
        return Err(format!("takes {memory} KiB of memory (expected at most {MAX_ARGON2_KIB})"));
    }
    if memory.checked_mul(passes).is_none_or(|work| work > MAX_ARGON2_WORK) {
        let most = MAX_ARGON2_WORK / memory;
        return Err(format!("takes {passes} passes over {memory} KiB (expected at most {most})"));
    }
    if lanes > MAX_ARGON2_LANES {
        return Err(format!("has {lanes} lanes (expected at most {MAX_ARGON2_LANES})"));
    }
    Ok(())
}

/// `"$5$" | "$6$" ["rounds=" number "$"] salt "$" hash`. The hash has 43 or 86 characters.
fn check_sha_crypt(text: &str) -> Result<(), String> {
    let length = if text.starts_with("$5$") { 43 } else { 86 };
    let rest = text.get(3..).unwrap_or_default();
    let rest = match rest.strip_prefix("rounds=") {
        None => rest,
        Some(rest) => {
            let (number, rest) = rest.split_once('$').unwrap_or((rest, ""));
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
            let rounds = number.parse().ok().filter(|rounds| SHA_CRYPT_ROUNDS.contains(rounds));
            if !is_number || rounds.is_none() {
                let (least, most) = (SHA_CRYPT_ROUNDS.start(), SHA_CRYPT_ROUNDS.end());
                return Err(format!("has other rounds than SHA-crypt may have here ({least} to {most})"));
            }
            rest
        }
    };
    let is_of_alphabet = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b));
    let parts = rest.split_once('$').filter(|(salt, hash)| {
        (1..=16).contains(&salt.len()) && hash.len() == length && is_of_alphabet(salt) && is_of_alphabet(hash)
    });
    if parts.is_none() || sha_crypt::PasswordHash::new(text).is_err() {
        return Err(format!("is no whole SHA-crypt hash ($salt$hash, with {length} characters of hash)"));
    }
    Ok(())
}

/// The words for a hash in a format that is not verified.
fn foreign_format(text: &str) -> &'static str {
    const KNOWN: &[(&str, &str)] = &[
        ("$apr1$", "of MD5 ($apr1$)"),
        ("$1$", "of MD5 ($1$)"),
        ("{SHA}", "of SHA-1 ({SHA})"),
        ("{SSHA}", "of SHA-1 ({SSHA})"),
        ("$2x$", "of a faulty bcrypt ($2x$)"),
        ("$argon2i$", "of argon2i"),
        ("$argon2d$", "of argon2d"),
        ("$y$", "of yescrypt ($y$)"),
        ("$7$", "of scrypt ($7$)"),
    ];
    if text.is_empty() {
        return "empty";
    }
    let known = KNOWN.iter().find(|(prefix, _)| text.starts_with(prefix));
    known.map_or("DES, plain text or an unknown format", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA512: &str = "$6$saltstring$9nMOdR0clKcbLWFS8WJB13MiO7NQgJ3P2DVyqXRkJhIigB\
                          TN2TjeS.qTNGV31b/LguWnYj.Qc7wEHa..dp7/l0";
    const SHA256: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
    const BCRYPT: &str = "$2y$05$dxq46vbQk0BZGW7eBj62meB7xpKK5DdqmRade2o4E/E.HD.pBV4ha";

    /// Hashes of other programs.
    const FOREIGN: &[(&str, &str, HashFormat)] = &[
        // crypt(3) of libxcrypt.
        ("pa\u{df}word", SHA512, HashFormat::ShaCrypt),
        ("Hello world!", SHA256, HashFormat::ShaCrypt),
        (
            "the minimum number is still observed",
            "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC",
            HashFormat::ShaCrypt,
        ),
        ("pa\u{df}word", "$2a$05$abcdefghijklmnopqrstuu4w.hU6G8m16Z5IirLwTpRK0TsIstKIC", HashFormat::Bcrypt),
        ("pa\u{df}word", "$2b$05$abcdefghijklmnopqrstuu4w.hU6G8m16Z5IirLwTpRK0TsIstKIC", HashFormat::Bcrypt),
        // htpasswd of Apache.
        ("pass word", BCRYPT, HashFormat::Bcrypt),
        // The tests of the reference implementation of argon2.
        (
            "password",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            HashFormat::Argon2id,
        ),
    ];

    #[test]
    fn what_other_programs_wrote_is_verified() {
        for (password, hash, format) in FOREIGN {
            let stored = StoredHash::parse(hash).unwrap_or_else(|why| panic!("{hash} {why}"));
            assert_eq!(stored.format, *format);
            assert_eq!(stored.verify(password.as_bytes()), Ok(true), "{hash}");
            for wrong in ["", "Hello world", "hello world!", "Hello world!!", "\u{0}"] {
                assert_eq!(stored.verify(wrong.as_bytes()), Ok(false), "{hash} {wrong}");
            }
        }
    }

    #[test]
    fn what_would_take_too_long_is_refused() {
        let argon2 = |costs: &str| format!("$argon2id$v=19${costs}$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA");
        let sha = |rounds: &str| SHA512.replacen("$6$", &format!("$6$rounds={rounds}$"), 1);
        for (hash, why) in [
            (BCRYPT.replace("$05$", "$04$"), ""),
            (BCRYPT.replace("$05$", "$16$"), ""),
            (BCRYPT.replace("$05$", "$17$"), "cost of 17"),
            (BCRYPT.replace("$05$", "$31$"), "cost of 31"),
            (BCRYPT.replace("$05$", "$03$"), "cost of 3"),
            (argon2("m=19456,t=2,p=1"), ""),
            (argon2("m=262144,t=8,p=64"), ""),
            (argon2("m=262145,t=1,p=1"), "262145 KiB"),
            (argon2("m=4294967295,t=1,p=1"), "KiB"),
            (argon2("m=262144,t=9,p=1"), "9 passes"),
            (argon2("m=8,t=4294967295,p=1"), "passes"),
            (argon2("m=1024,t=1,p=65"), "65 lanes"),
            (sha("1000"), ""),
            (sha("2000000"), ""),
            (sha("2000001"), "rounds"),
            (sha("999999999"), "rounds"),
            (sha("99999999999999999999"), "rounds"),
            (sha("999"), "rounds"),
            (sha("+5000"), "rounds"),
            (sha("05000"), "rounds"),
            (sha(""), "rounds"),
        ] {
            match StoredHash::parse(&hash) {
                Ok(_) => assert_eq!(why, "", "{hash}"),
                Err(error) => assert!(!why.is_empty() && error.contains(why), "{hash}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_no_whole_hash_is_refused_and_not_repeated() {
        for (hash, why) in [
            ("", "is empty"),
            ("secret", "plain text"),
            ("rl0uE4cZcHpDE", "DES"),
            ("$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "$apr1$"),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA}"),
            ("$2x$05$abcdefghijklmnopqrstuu4w.hU6G8m16Z5IirLwTpRK0TsIstKXq", "$2x$"),
            ("$2y$05$short", "60 characters"),
            ("$2y$", "60 characters"),
            ("$2y$+5$abcdefghijklmnopqrstuu4w.hU6G8m16Z5IirLwTpRK0TsIstKXq", "60 characters"),
            ("$2y$\u{fc}5$abcdefghijklmnopqrstuu4w.hU6G8m16Z5IirLwTpRK0TsIstKX", "60 characters"),
            ("$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "argon2i"),
            ("$argon2id$", "argon2id"),
            ("$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ", "argon2id"),
            ("$argon2id$v=19$m=64,t=2,p=1$c2FsdA$aGFzaGhhc2hoYXNoaGFzaA", "argon2id"),
            ("$argon2id$v=18$m=64,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "argon2id"),
            ("$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "argon2id"),
            ("$argon2id$v=19$m=64,t=2,p=1,x=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "argon2id"),
            ("$6$", "SHA-crypt"),
            ("$6$saltstring", "SHA-crypt"),
            ("$6$saltstring$short", "SHA-crypt"),
            ("$5$$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "SHA-crypt"),
            ("$5$salt-string$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "SHA-crypt"),
            ("$5$saltstringsaltstr$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "SHA-crypt"),
        ] {
            let error = StoredHash::parse(hash).unwrap_err();
            assert!(error.contains(why), "{hash}: {error}");
            assert!(hash.len() < 5 || !error.contains(hash) || hash.ends_with("id$"), "{hash}: {error}");
        }
    }
}
