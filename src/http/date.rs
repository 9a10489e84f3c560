//! HTTP dates: rendering and parsing (RFC 9110 §5.6.7).
//!
//! Reads no clock. A date has whole seconds and a year of four digits. File systems can hold any time, so a
//! time outside of 1970 to 9999 becomes the nearest one within.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Renders a time in the preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn render(time: SystemTime) -> [u8; 29] {
    let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds(time).min(LAST)));
    let mut out = [b' '; 29];
    // Every date within the bounds has this length, so the write does not fail.
    let _ = write!(&mut out[..], "{date}");
    out
}

/// Parses the three forms that a recipient must accept; `None` for any other text.
pub fn parse(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// Whole seconds since 1970, or 0 before 1970. All comparisons of dates use this precision.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: u64 = 784_111_777;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(time: SystemTime, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&render(time)), expected);
    }

    #[test]
    fn dates_are_rendered_in_the_preferred_form() {
        check(at(EXAMPLE), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(at(EXAMPLE) + Duration::from_nanos(999_999_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        check(at(1_600_000_000), "Sun, 13 Sep 2020 12:26:40 GMT");
    }

    #[test]
    fn any_time_at_all_can_be_rendered() {
        check(UNIX_EPOCH, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UNIX_EPOCH - Duration::from_nanos(1), "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UNIX_EPOCH - Duration::from_secs(1 << 62), "Thu, 01 Jan 1970 00:00:00 GMT");
        check(at(LAST), "Fri, 31 Dec 9999 23:59:59 GMT");
        check(at(LAST + 1), "Fri, 31 Dec 9999 23:59:59 GMT");
        check(at(i64::MAX.unsigned_abs()), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[track_caller]
    fn check_parse(value: &[u8], expected: Option<u64>) {
        assert_eq!(parse(value), expected.map(at), "{}", value.escape_ascii());
    }

    #[test]
    fn all_three_forms_are_read() {
        check_parse(b"Sun, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE));
        check_parse(b"Sunday, 06-Nov-94 08:49:37 GMT", Some(EXAMPLE));
        check_parse(b"Sun Nov  6 08:49:37 1994", Some(EXAMPLE));
        check_parse(b"Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check_parse(b"Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST));
        check_parse(b"Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400));
    }

    #[test]
    fn anything_else_is_no_date() {
        for value in [
            "",
            "0",
            "-1",
            "784111777",
            "now",
            "Sun, 06 Nov 1994",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Wed, 30 Feb 2000 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 10000 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
            "Sun, 06 N\u{f6}v 1994 08:49:37 GMT",
            "\"Sun, 06 Nov 1994 08:49:37 GMT\"",
        ] {
            check_parse(value.as_bytes(), None);
        }
        check_parse(b"Sun, 06 N\xf6v 1994 08:49:37 GMT", None);
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        for time in (0..=LAST).step_by(97_777_777) {
            check_parse(&render(at(time)), Some(time));
        }
    }

    #[test]
    fn seconds_are_whole_and_never_negative() {
        assert_eq!(seconds(at(5) + Duration::from_millis(999)), 5);
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(5)), 0);
    }
}
