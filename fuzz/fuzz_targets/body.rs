//! A body ends at the same byte however it is cut into reads. The first two numbers say
//! where, the third how it is framed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::body::{BadBody, BodySkipper, Skip};
use mayhttpd::http::framing::Framing;

/// Feeds the pieces one after another: how many bytes were the body's, and whether it has ended.
fn skip(framing: Framing, pieces: &[&[u8]]) -> Result<Skip, BadBody> {
    let mut skipper = BodySkipper::new(framing);
    let mut total = Skip { used: 0, done: false };
    for piece in pieces {
        let Skip { used, done } = skipper.feed(piece)?;
        assert!(used <= piece.len());
        assert!(done || used == piece.len());
        // What comes after the end belongs to the next request.
        assert!(!total.done || (used == 0 && done));
        total.used += used;
        total.done = done;
    }
    Ok(total)
}

fuzz_target!(|input: (u16, u16, Option<u16>, &[u8])| {
    let (first, second, length, bytes) = input;
    let framing = match length {
        None => Framing::Chunked,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length.into()),
    };
    let whole = skip(framing, &[bytes]);
    let (head, rest) = bytes.split_at(usize::from(first).min(bytes.len()));
    let (middle, tail) = rest.split_at(usize::from(second).min(rest.len()));
    assert_eq!(skip(framing, &[head, middle, tail]), whole);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let by_bytes = skip(framing, &single);
    if let Some(length) = length {
        let end = usize::from(length).min(bytes.len());
        assert_eq!(whole, Ok(Skip { used: end, done: end == usize::from(length) }));
    }
    // Without a single byte there is no feed, and nothing that could say the body is done.
    assert!(bytes.is_empty() || by_bytes == whole);
});
