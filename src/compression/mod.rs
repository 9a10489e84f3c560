//! Compression in the content codings of HTTP: for which media types it is tried, at which levels, and
//! whether its result is worth to be kept.
//!
//! Knows neither files nor caches. Who compresses, and when, is decided by `commands/precompress/` and
//! `store/compressed_cache.rs`; listings are compressed as they are made.

mod encoder;
mod media_type;

pub use encoder::{Effort, compress};
pub use media_type::is_compressible;

use crate::http::content_coding::ContentCoding;

/// Bytes that a coding costs in the head of each response: `Content-Encoding: gzip` and what
/// `Vary: Accept-Encoding` adds.
const HEAD_COST: u64 = 64;

/// The sizes of contents that are compressed while the server runs, in bytes. A shorter one fits into a
/// packet anyway. A longer one would take a thread too long.
pub const SIZES: std::ops::RangeInclusive<u64> = 1 << 10..=8 << 20;

/// The most bytes that the compressed form of a file of this size may have to be worth it: it saves at least
/// 5 %, and more than the fields that it needs.
pub fn most_bytes(size: u64) -> u64 {
    size.saturating_sub(HEAD_COST.max(size.div_ceil(20)))
}

/// False if a file of this size has no form in `coding` that is worth it, whatever its content is.
pub fn may_be_worth(coding: ContentCoding, size: u64) -> bool {
    most_bytes(size) >= least_bytes(coding)
}

/// The fewest bytes that a content in a coding has.
fn least_bytes(coding: ContentCoding) -> u64 {
    match coding {
        // The head of a meta-block (RFC 7932 §9.2).
        ContentCoding::Brotli => 4,
        // The head of a frame with its length, and one block that repeats a byte (RFC 8878 §3.1.1).
        ContentCoding::Zstd => 10,
        // Head and end of a member, and an empty block (RFC 1952 §2.3, RFC 1951 §3.2.6).
        ContentCoding::Gzip => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_worth_it_is_not_even_where_one_byte_repeats() {
        for coding in ContentCoding::ALL {
            assert!(!may_be_worth(coding, 0) && !may_be_worth(coding, 64), "{coding:?}");
            assert!(may_be_worth(coding, 100) && may_be_worth(coding, u64::MAX), "{coding:?}");
            for size in 0..200 {
                let bytes = vec![b'a'; usize::try_from(size).unwrap()];
                let how = (coding, Effort::Offline);
                let made = compress(&mut &*bytes, (size, most_bytes(size)), how, std::io::sink()).unwrap();
                let is_empty = size == 0;
                assert!(may_be_worth(coding, size) || made.is_none() || is_empty, "{coding:?} {size}");
            }
        }
    }

    #[test]
    fn what_saves_less_than_five_percent_or_less_than_its_fields_is_not_worth_it() {
        for (size, most) in [(0, 0), (1, 0), (64, 0), (65, 1), (1000, 936), (1281, 1216), (2000, 1900)] {
            assert_eq!(most_bytes(size), most, "{size}");
        }
        assert_eq!(most_bytes(100_000), 95_000);
        assert_eq!(most_bytes(100_001), 95_000, "95,001 would save 4.99996 %");
        assert!(most_bytes(u64::MAX) < u64::MAX);
    }
}
