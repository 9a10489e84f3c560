//! HTTP/1.1 as a pure protocol, and the PROXY header in front of it: bytes in, decisions and bytes out. The
//! meaning is in RFC 9110, the syntax in RFC 9112.
//!
//! No sockets, files, clocks or settings. Where the time matters, it is an argument.
//!
//! **Invariant:** each format is read or written in one file. `request.rs` reads heads,
//! `response_head.rs` writes them, and only `target.rs` makes a [`SitePath`](target::SitePath), so no other
//! path can be opened.

pub mod proxy_header;

pub mod request;

pub mod field_name;
pub mod fields;
pub mod framing;
pub mod host;
pub mod https_location;
pub mod method;
pub mod reject;
pub mod request_line;
pub mod target;
pub mod version;

pub mod body;

pub mod accept;
pub mod accept_encoding;
pub mod authorization;
pub mod compressed_type;
pub mod conditional;
pub mod content_coding;
pub mod content_hash;
pub mod digest_fields;
pub mod etag;
pub mod forwarded;
pub mod range;

pub mod charset;
pub mod date;
pub mod mime;
pub mod multipart;

pub mod response;
pub mod response_head;
pub mod status;

/// Pseudo-random numbers for tests, the same in each run.
#[cfg(test)]
mod xorshift {
    pub(super) struct Xorshift(pub u64);

    impl Xorshift {
        /// The next number below `bound`.
        pub(super) fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap_or(0) % bound
        }
    }
}
