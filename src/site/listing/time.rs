//! Times of files as text.

use std::time::{Duration, SystemTime};

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// A time in seconds since 1970 as RFC 3339 writes it, in UTC. A time outside the years 1970 to 9999 becomes
/// the nearest second within them, so the text has 20 characters.
pub fn rfc3339(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST);
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_twenty_characters() {
        for (seconds, text) in [
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
