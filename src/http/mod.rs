//! HTTP/1.1 as a pure protocol, and what a balancer says in front of it: bytes in, decisions and bytes out. RFC 9110 for
//! what things mean, RFC 9112 for how they are written.
//!
//! Knows no sockets, files, clocks or settings; where the time matters, it is an argument. The subtle rule:
//! each noun has one owner. Heads are read in `request.rs` alone and written in `head.rs` alone, and only
//! `target.rs` makes a [`SitePath`](target::SitePath), so that nothing else can be opened.

pub mod proxy_header;

pub mod request;

pub mod host;

pub mod fields;

pub mod forwarded;

pub mod framing;

pub mod body;

pub mod target;

pub mod conditional;

pub mod range;

pub mod multipart;

pub mod etag;

pub mod mime;

pub mod date;

pub mod status;

pub mod reply;

pub mod head;

/// Numbers for tests: any would do, but each run must have the same.
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
