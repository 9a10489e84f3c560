//! A weight is at most 1, the most exact range counts, and a type that is in no range has weight 0.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::accept::{MediaRange, preference};

fuzz_target!(|lines: Vec<&[u8]>| {
    let of = |lines: &[&[u8]], media_type| preference(lines.iter().copied(), media_type);
    for media_type in ["application/json", "text/html"] {
        let found = of(&lines, media_type);
        assert!(found.weight <= 1000);
        assert!(found.range != MediaRange::Absent || (found.weight == 0) != lines.is_empty());
        // The most exact range of all lines counts.
        let exact = lines.iter().map(|line| of(&[*line], media_type).range).max();
        assert_eq!(exact.unwrap_or(MediaRange::Absent), found.range);
        let wanted = [&lines[..], &[media_type.as_bytes()]].concat();
        let best = of(&wanted, media_type);
        assert_eq!((best.weight, best.range), (1000, MediaRange::Exact));
    }
});
