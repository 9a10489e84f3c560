//! The time of a line in the access log, rendered once for all requests within a second.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// One second in both forms that the access log uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// `[21/Nov/2026:10:07:03 +0000]`.
    pub(super) clf: [u8; 28],
    /// `2026-11-21T10:07:03Z` (RFC 3339).
    pub(super) rfc3339: [u8; 20],
}

impl Timestamp {
    /// Renders `now` in UTC. A time outside the years 1970 to 9999 becomes the nearest second within them.
    pub fn render(now: SystemTime) -> Self {
        let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let now = now.clamp(UNIX_EPOCH, last);
        // The form of the source is "Sat, 21 Nov 2026 10:07:03 GMT".
        let mut date = [0u8; 29];
        let mut clf = *b"[01/Jan/1970:00:00:00 +0000]";
        if write!(&mut date[..], "{}", HttpDate::from(now)).is_ok() {
            clf[1..3].copy_from_slice(&date[5..7]);
            clf[4..7].copy_from_slice(&date[8..11]);
            clf[8..12].copy_from_slice(&date[12..16]);
            clf[13..21].copy_from_slice(&date[17..25]);
        }
        let mut rfc3339 = *b"1970-01-01T00:00:00Z";
        // Within these years the text has exactly this length.
        let _ = write!(&mut rfc3339[..], "{}", humantime::format_rfc3339_seconds(now));
        Self { clf, rfc3339 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_the_calendar_do_not_panic() {
        for (seconds, clf, rfc3339) in [
            (0, "[01/Jan/1970:00:00:00 +0000]", "1970-01-01T00:00:00Z"),
            (951_782_400, "[29/Feb/2000:00:00:00 +0000]", "2000-02-29T00:00:00Z"),
            (253_402_300_799, "[31/Dec/9999:23:59:59 +0000]", "9999-12-31T23:59:59Z"),
            (999_999_999_999, "[31/Dec/9999:23:59:59 +0000]", "9999-12-31T23:59:59Z"),
        ] {
            let stamp = Timestamp::render(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(std::str::from_utf8(&stamp.clf), Ok(clf));
            assert_eq!(std::str::from_utf8(&stamp.rfc3339), Ok(rfc3339));
        }
        let before = Timestamp::render(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(&before.clf, b"[01/Jan/1970:00:00:00 +0000]");
    }
}
