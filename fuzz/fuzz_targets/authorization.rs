//! The value of an Authorization field: what is read is bounded, without control characters, and the same
//! when it is sent again. A challenge never ends its line or its string.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::authorization::{self, BasicCredentials, MAX_PASSWORD, MAX_USER};

fuzz_target!(|value: &[u8]| {
    if let Some(credentials) = BasicCredentials::parse(value) {
        let (user, password) = (credentials.user(), credentials.password());
        assert!((1..=MAX_USER).contains(&user.len()) && password.len() <= MAX_PASSWORD);
        assert!(!user.contains(&b':'));
        assert!(!user.iter().chain(password).any(u8::is_ascii_control));
        assert!(value[..6].eq_ignore_ascii_case(b"basic "));
    }
    let challenge = authorization::challenge(&String::from_utf8_lossy(value));
    let inner = challenge.strip_prefix(b"Basic realm=\"").unwrap();
    let inner = inner.strip_suffix(b"\", charset=\"UTF-8\"").unwrap();
    let mut escaped = false;
    for &byte in inner {
        assert!(!byte.is_ascii_control() && (byte != b'"' || escaped));
        escaped = byte == b'\\' && !escaped;
    }
    assert!(!escaped);
});
