//! Selected ranges lie within the content and don't overlap, and a multipart body is as long as it says.
//! The first eight bytes are the size.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::multipart;
use mayhttpd::http::range::{self, MAX_RANGES, Ranges};

fuzz_target!(|input: (u64, &[u8])| {
    let (size, value) = input;
    match range::select(value, size) {
        Ranges::Whole | Ranges::Unsatisfiable => {}
        Ranges::Single(range) => assert!(range.start < range.end && range.end <= size),
        Ranges::Several(ranges) => {
            assert!((2..=MAX_RANGES).contains(&ranges.len()));
            assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size));
            let mut sorted = ranges.clone();
            sorted.sort_unstable_by_key(|range| range.start);
            assert!(sorted.is_sorted_by(|a, b| a.end <= b.start));
            // A file can't be larger than this, and the heads must still fit into the length.
            if size <= i64::MAX.unsigned_abs() {
                let multipart = multipart::build(ranges, size, "text/plain".into());
                let mut written = Vec::new();
                let mut slices = 0;
                for (index, range) in multipart.ranges.iter().enumerate() {
                    multipart.write_head(index, &mut written);
                    slices += range.end - range.start;
                }
                multipart.write_closing(&mut written);
                assert_eq!(written.len() as u64 + slices, multipart.length);
            }
        }
    }
});
