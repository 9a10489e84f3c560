//! A head is read the same whether more follows it or not, and what comes out of it is what later layers
//! rely on. The first two bytes say where the input is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::method::Method;
use mayhttpd::http::request::{MAX_HEAD, ParsedHead, Request};
use mayhttpd::http::status::Status;

/// The length or the status, or `None` while there is no verdict.
fn verdict(input: &[u8]) -> Option<Result<usize, Status>> {
    match ParsedHead::parse(input) {
        ParsedHead::Complete(_, length) => Some(Ok(length)),
        ParsedHead::Partial => None,
        ParsedHead::Reject(reject) => Some(Err(reject.status())),
    }
}

fn check(request: &Request<'_>) {
    assert!(!request.line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    if request.method != Method::Other {
        assert!(request.target.path.starts_with(b"/"));
    }
    assert!(!request.target.path.contains(&b'?') || request.method == Method::Other);
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = verdict(bytes);
    // The first verdict on the bytes is the last, however they come in.
    let early = verdict(&bytes[..usize::from(cut).min(bytes.len())]);
    assert!(early.is_none() || early == whole);
    let ParsedHead::Complete(request, length) = ParsedHead::parse(bytes) else { return };
    assert!(length <= bytes.len() && length <= MAX_HEAD);
    assert!(bytes[..length].ends_with(b"\r\n\r\n"));
    check(&request);
    // Nothing after the head had a say, and nothing before its end was enough.
    assert_eq!(verdict(&bytes[..length]), Some(Ok(length)));
    assert_eq!(verdict(&bytes[..length - 1]), None);
});
