//! Any name has a content hash or none, and a page never has one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::content_hash::is_hashed;

fuzz_target!(|name: &[u8]| {
    let _ = is_hashed(name);
    assert!(!is_hashed(&[name, b".html"].concat()));
});
