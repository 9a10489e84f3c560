//! A weight lies between 0 and 1, and lines that are joined by commas mean the same as single ones.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::accept_encoding::AcceptEncoding;
use mayhttpd::http::content_coding::ContentCoding;
use mayhttpd::http::fields::Fields;

fuzz_target!(|lines: Vec<&[u8]>| {
    let pairs: Vec<_> = lines.iter().map(|line| ("Accept-Encoding", *line)).collect();
    let accepted = AcceptEncoding::of(&Fields::from_pairs(&pairs));
    let joined = lines.join(&b',');
    assert_eq!(accepted, AcceptEncoding::of(&Fields::from_pairs(&[("Accept-Encoding", &joined)])));
    for coding in ContentCoding::ALL {
        assert!(accepted.weight(Some(coding)).is_none_or(|weight| (1..=1000).contains(&weight)));
    }
    assert!(accepted.weight(None).is_none_or(|weight| weight <= 1000));
});
