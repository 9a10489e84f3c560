//! Passwords: the hashes of a users file, how they are verified, and how a new one is made. Pure: random
//! bytes come from the caller, and so do the bytes of a file.
//!
//! **Invariant:** no message has a hash or a password in it, because a line of a users file that is not
//! understood may be a password in plain text.

pub mod new_hash;
pub mod stored_hash;
pub mod users;
