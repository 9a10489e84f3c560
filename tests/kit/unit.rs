//! Numbers for people.

use crate::load::report::unit::{bytes, count, percent, time, times};

#[test]
fn numbers_have_three_digits_that_count_and_a_unit() {
    assert_eq!(
        [0.0, 1.234, 12.34, 123.4, 1234.5, 1234567.0].map(count),
        ["0", "1.23", "12.3", "123", "1,235", "1,234,567"]
    );
    assert_eq!([None, Some(6.6), Some(1500.0), Some(2e6)].map(time), ["–", "6.60 µs", "1.50 ms", "2.00 s"]);
    assert_eq!(
        [38.0, 10_240.0, 955e3, 1e8, 2.5e9].map(bytes),
        ["38.0 B", "10.2 kB", "955 kB", "100 MB", "2.50 GB"]
    );
    assert_eq!(
        (times(Some(1.086)), times(None), percent(Some(0.034))),
        ("1.09".into(), "–".into(), "3 %".into())
    );
}
