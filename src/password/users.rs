//! The users of one file, in the format of htpasswd: `user:hash` lines, comments and empty lines.
//!
//! ```text
//! # staff
//! anna:$2y$12$…
//! ben:$argon2id$v=19$…:what stands behind a second colon counts for nothing, as for nginx and Apache
//! ```
//!
//! It opens nothing. A file is read whole or refused whole, so that no typing error lets a user in or out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::stored_hash::StoredHash;
use crate::http::authorization::MAX_USER;

/// The most bytes of a file, some 14,000 users. A worker reads them in some ms, and does nothing else then.
pub const MAX_FILE: usize = 1 << 20;

/// The most bytes of a line, without its end.
pub const MAX_LINE: usize = 1024;

/// The users of one file, each with the hash of a password.
#[derive(Debug, Default)]
pub struct Users {
    /// Index in `hashes` by name.
    numbers: HashMap<Box<[u8]>, usize>,
    hashes: Vec<Arc<StoredHash>>,
}

/// What is wrong with a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for UsersFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl Users {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// The first fault. A user with two lines is one: Apache and nginx take the first line, so that a new
    /// password at the end of the file would have no effect, and the old one would still be right.
    pub fn parse(file: &[u8]) -> Result<Users, UsersFault> {
        let mut users = Users::default();
        if file.len() > MAX_FILE {
            let why = format!("the file has more than {MAX_FILE} bytes");
            return Err(UsersFault { line: 1, why });
        }
        let mut lines = Vec::new();
        let text = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let fault = |why| UsersFault { line: index + 1, why };
            let Some((user, hash)) = entry(line).map_err(fault)? else { continue };
            let number = users.hashes.len();
            if let Some(&first) = users.numbers.get(user) {
                let why = format!("{} stands in line {} already", shown(user), lines[first]);
                return Err(fault(why));
            }
            users.numbers.insert(user.into(), number);
            users.hashes.push(Arc::new(hash));
            lines.push(index + 1);
        }
        Ok(users)
    }

    /// The hash of this user's password.
    pub fn hash_of(&self, user: &[u8]) -> Option<&Arc<StoredHash>> {
        self.numbers.get(user).and_then(|&number| self.hashes.get(number))
    }

    /// The hash of another user, for one who does not exist: to verify a password with it takes as long as it
    /// would for one who does. Always the same one for the same number. `None` if there are no users.
    pub fn stand_in(&self, number: u64) -> Option<&Arc<StoredHash>> {
        let count = self.hashes.len() as u64;
        let index = number.checked_rem(count).and_then(|index| usize::try_from(index).ok())?;
        self.hashes.get(index)
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }
}

/// The user and the hash of a line; `None` for an empty line or a comment.
fn entry(line: &[u8]) -> Result<Option<(&[u8], StoredHash)>, String> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.len() > MAX_LINE {
        return Err(format!("longer than {MAX_LINE} bytes"));
    }
    let colon = memchr::memchr(b':', line).ok_or("there is no colon between user and hash")?;
    let (user, rest) = (&line[..colon], &line[colon + 1..]);
    check_user(user)?;
    let hash = rest.split(|&byte| byte == b':').next().unwrap_or_default();
    let hash = str::from_utf8(hash).unwrap_or_default();
    let hash = StoredHash::parse(hash).map_err(|why| format!("the hash of {} {why}", shown(user)))?;
    Ok(Some((user, hash)))
}

/// Checks the name of a user, as a line may have it and a client may send it.
///
/// # Errors
/// Why it can't be one.
pub fn check_user(user: &[u8]) -> Result<(), String> {
    let why = if user.is_empty() {
        "a user's name is empty"
    } else if user.len() > MAX_USER {
        return Err(format!("a user's name has at most {MAX_USER} bytes"));
    } else if user.contains(&b':') {
        "a user's name has no colon"
    } else if user.iter().any(u8::is_ascii_control) {
        "a user's name has no control characters"
    } else if user.starts_with(b"#") {
        "a user's name does not begin with #, which begins a comment"
    } else if user.trim_ascii() != user {
        "a user's name has no space at its ends"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

fn shown(user: &[u8]) -> String {
    format!("user {}", String::from_utf8_lossy(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
    const B: &str = "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC";

    #[test]
    fn lines_comments_and_line_ends_are_read() {
        let file = format!(
            "\u{feff}# staff\r\n\r\nanna:{A}\r\n  \t\n#ben:{A}\n  ben b:{B}:Ben, room 5 \n\u{fc}:{A}"
        );
        let users = Users::parse(file.as_bytes()).unwrap();
        assert_eq!(users.count(), 3);
        for (user, hash) in [("anna", A), ("ben b", B), ("\u{fc}", A)] {
            assert_eq!(users.hash_of(user.as_bytes()).unwrap().as_str(), hash, "{user}");
        }
        for unknown in ["", "ben", "#ben", "Anna", "anna ", "# staff"] {
            assert!(users.hash_of(unknown.as_bytes()).is_none(), "{unknown}");
        }
        for empty in ["", "\n", "# nothing\r\n", "\u{feff}"] {
            assert_eq!(Users::parse(empty.as_bytes()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_fault_is_said_with_its_line_and_without_its_hash() {
        let long = format!("{}:{A}", "u".repeat(MAX_USER + 1));
        let longer = format!("u:{A}:{}", "x".repeat(MAX_LINE));
        for (second, why) in [
            ("ben", "no colon"),
            (":x", "name is empty"),
            ("ben:", "user ben is empty"),
            ("ben:hunter2", "the hash of user ben is DES, plain text or an unknown format"),
            ("ben:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", "$apr1$"),
            ("ben:\u{fc}", "plain text"),
            ("be\0n:x", "control"),
            ("ben :x", "space"),
            (&format!("anna:{A}"), "user anna stands in line 1 already"),
            (&long, "at most 255 bytes"),
            (&longer, "longer than 1024"),
        ] {
            let fault = Users::parse(format!("anna:{B}\n{second}\nclara:{B}\n").as_bytes()).unwrap_err();
            assert_eq!(fault.line, 2, "{second}");
            assert!(fault.why.contains(why), "{second}: {fault}");
            assert!(!fault.why.contains("hunter2") && !fault.why.contains("r31"), "{fault}");
        }
        let invalid = [b"a:", &[0xff; 20][..]].concat();
        assert_eq!(Users::parse(&invalid).unwrap_err().line, 1);
        let large = vec![b'\n'; MAX_FILE + 1];
        assert!(Users::parse(&large).unwrap_err().to_string().starts_with("line 1: the file has more than"));
        assert!(Users::parse(&large[1..]).is_ok());
    }

    #[test]
    fn an_unknown_user_has_always_the_same_stand_in() {
        let users = Users::parse(format!("a:{A}\nb:{B}\n").as_bytes()).unwrap();
        let found: Vec<_> = (0..4).map(|number| users.stand_in(number).unwrap().as_str()).collect();
        assert_eq!(found, [A, B, A, B]);
        assert!(users.stand_in(u64::MAX).is_some());
        assert!(Users::default().stand_in(7).is_none());
    }
}
