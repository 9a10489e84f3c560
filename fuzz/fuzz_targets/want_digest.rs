//! Whether a digest is wanted can be said of any field value, and a plain one beside it does not depend on
//! white space.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::digest_fields::wants_sha256;

fuzz_target!(|value: &[u8]| {
    let wanted = wants_sha256([value].into_iter());
    // What is refused alone is refused with a further line, unless that has the last word.
    let further = wants_sha256([value, b"sha-512=1"].into_iter());
    if wanted && value.len() < 1000 {
        assert!(further, "{}", value.escape_ascii());
    }
});
