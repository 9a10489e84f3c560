//! A PROXY header is read the same however it comes in, and has no more bytes than it says. The first two
//! bytes say where the input is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::proxy_header::{MAX, Preface};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = Preface::parse(bytes);
    // The first verdict on the bytes is the last.
    let early = Preface::parse(&bytes[..usize::from(cut).min(bytes.len())]);
    assert!(early == Preface::Partial || early == whole);
    // What is waited for has a bound.
    assert!(whole != Preface::Partial || bytes.len() < MAX);
    let Preface::Complete(_, length) = whole else { return };
    assert!(length <= bytes.len() && length <= MAX);
    assert_eq!(Preface::parse(&bytes[..length]), whole);
    assert_eq!(Preface::parse(&bytes[..length - 1]), Preface::Partial);
});
