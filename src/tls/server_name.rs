//! The name that a client asks for (RFC 6066 §3), from where certificates are chosen to the session.
//!
//! rustls names it to the one that chooses the certificate, in the middle of a step of the session, and keeps
//! it from unbuffered sessions. Both run on one thread, one step after the other.

use std::cell::RefCell;

thread_local! {
    static NAMED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Notes the name that the client of the present step asks for.
pub fn note(name: Option<&str>) {
    NAMED.set(name.map(Box::from));
}

/// Takes the name that was noted in this step.
pub fn take() -> Option<Box<str>> {
    NAMED.take()
}
