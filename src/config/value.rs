//! How values are written: `30s`, `64KiB`, `on`, `auto`, and the bounds of each.
//!
//! Every function takes the text and returns the value, or what is allowed as the end of a sentence. It does
//! not know which setting it reads.
//!
//! Without a unit a time is in seconds and a size in bytes. `K` is 1024 as in `KiB`; only `kB`, `MB` and `GB`
//! count in thousands.

use std::ops::RangeInclusive;
use std::time::Duration;

use ::log::LevelFilter;

/// The longest time of a connection, and of the timer wheel.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A value of a list that is not allowed: its number from 0, and why.
pub type ListError = (usize, String);

/// Stores what was read in its field.
pub fn put<T, E>(field: &mut T, read: Result<T, E>) -> Result<(), E> {
    *field = read?;
    Ok(())
}

/// A whole number within `range`, digits only.
pub fn number<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Result<T, String> {
    // `parse` alone would take a leading plus.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && range.contains(number));
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

/// The value of one of these words, in any case.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| expected(words))
}

/// The error for a text that is none of `words`.
pub fn expected<T>(words: &[(&str, T)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("expected {} or {last}", others.join(", ")),
        _ => format!("expected {}", words.join("")),
    }
}

/// The word for a value.
pub fn word_of<T: PartialEq>(value: T, words: &[(&'static str, T)]) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// All values of a list.
pub fn each<T>(texts: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, ListError> {
    texts.iter().enumerate().map(|(nth, text)| read(text).map_err(|why| (nth, why))).collect()
}

/// All values of a list, none for `off` alone.
pub fn list<T>(texts: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, ListError> {
    match texts {
        [text] if text.eq_ignore_ascii_case("off") => Ok(Vec::new()),
        _ => each(texts, read),
    }
}

/// What `read` reads, or `None` for `auto`.
pub fn or_auto<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(None);
    }
    read(text).map(Some).map_err(|why| format!("{why}, or auto"))
}

/// What `read` reads, or `None` for `off`.
pub fn or_off<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    read(text).map(Some).map_err(|why| format!("{why}, or off"))
}

/// `on` or `off`, or another word for either.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

/// A timeout: from 100ms, the tick of a worker's wheel, to 24h.
pub fn timeout(text: &str) -> Result<Duration, String> {
    duration(text)
        .filter(|time| (Duration::from_millis(100)..=DAY).contains(time))
        .ok_or_else(|| "expected a time from 100ms to 24h, for example 30s".to_owned())
}

/// A span that may be nothing: from 0 to 24h.
pub fn span(text: &str) -> Result<Duration, String> {
    duration(text)
        .filter(|time| *time <= DAY)
        .ok_or_else(|| "expected a time from 0 to 24h, for example 30s".to_owned())
}

/// How long a heartbeat may be missing: from 2s to 24h, or `off` for `None`. Less than 2s would kill workers
/// of a busy machine.
pub fn watchdog(text: &str) -> Result<Option<Duration>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    duration(text)
        .filter(|time| (Duration::from_secs(2)..=DAY).contains(time))
        .map(Some)
        .ok_or_else(|| "expected a time from 2s to 24h, for example 30s, or off".to_owned())
}

/// How long something may be kept: from 0 to 3650 days, in whole seconds as max-age is.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    duration(text)
        .filter(|time| *time <= 3650 * DAY && time.subsec_nanos() == 0)
        .ok_or_else(|| "expected a time from 0 to 3650d, for example 30d".to_owned())
}

fn duration(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) if !text.starts_with('+') => Some(Duration::from_secs(seconds)),
        _ => humantime::parse_duration(text).ok(),
    }
}

/// A size in bytes, with a unit or without.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale: Option<u64> = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        _ => None,
    };
    number
        .parse()
        .ok()
        .zip(scale)
        .and_then(|(number, scale): (u64, u64)| number.checked_mul(scale))
        .ok_or_else(|| "expected a size in bytes, for example 65536, 64KiB or 1G".to_owned())
}

/// Bytes of one system call, from 1 KiB to 16 MiB.
pub fn chunk(text: &str) -> Result<u32, String> {
    let bytes = size(text).ok().and_then(|bytes| u32::try_from(bytes).ok());
    bytes
        .filter(|bytes| (1 << 10..=16 << 20).contains(bytes))
        .ok_or_else(|| "expected a size from 1KiB to 16MiB, for example 64KiB".to_owned())
}

/// The name of one file.
pub fn file_name(text: &str) -> Result<String, String> {
    let special = matches!(text, "" | "." | "..") || text.contains(|c: char| c == '/' || c.is_control());
    if special || text.len() > 255 {
        return Err("expected the name of a file, without a slash".to_owned());
    }
    Ok(text.to_owned())
}

/// A log level in any case. Python calls `warn` `warning`.
pub fn level(text: &str) -> Result<LevelFilter, String> {
    let text = if text.eq_ignore_ascii_case("warning") { "warn" } else { text };
    word(
        text,
        &[
            ("error", LevelFilter::Error),
            ("warn", LevelFilter::Warn),
            ("info", LevelFilter::Info),
            ("debug", LevelFilter::Debug),
            ("trace", LevelFilter::Trace),
        ],
    )
}

/// The text of the Server field. It goes into every head, so it can have no line break.
pub fn name(text: &str) -> Result<String, String> {
    let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.is_empty() || text.len() > 128 || !visible || text != text.trim() {
        return Err("expected 1 to 128 visible ASCII characters, spaces only between them".to_owned());
    }
    Ok(text.to_owned())
}

/// The name or number of a user or group, which may not exist.
pub fn account(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_control() || c == ':') {
        return Err("expected a name or a number".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn check<T: PartialEq + Debug>(
        read: impl Fn(&str) -> Result<T, String>,
        good: &[(&str, T)],
        bad: &[&str],
    ) {
        for (text, value) in good {
            assert_eq!(read(text).as_ref(), Ok(value), "{text:?}");
        }
        for text in bad {
            let found = read(text);
            assert!(found.as_ref().is_err_and(|why| why.starts_with("expected ")), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        check(
            |text| number::<u16>(text, 1..=1024),
            &[("1", 1), ("1024", 1024), ("007", 7)],
            &["", "0", "1025", "+1", "-1", " 1", "1.5", "0x10", "99999999999999999999", "٣"],
        );
        let or_auto = |text: &str| or_auto(text, |text| number::<u32>(text, 1..=u32::MAX.into()));
        check(or_auto, &[("auto", None), ("AUTO", None), ("3", Some(3))], &["0", "4294967296", "all", ""]);
    }

    #[test]
    fn a_word_is_read_in_any_case() {
        let words = [("a", 1), ("b", 2), ("c", 3)];
        check(|text| word(text, &words), &[("a", 1), ("C", 3)], &["", "d", "a "]);
        assert_eq!(word("d", &words), Err("expected a, b or c".to_owned()));
        assert_eq!(word_of(2, &words), "b");
    }

    #[test]
    fn a_list_tells_which_value_is_wrong() {
        let read = |texts: &[&str]| list(texts, |text| number::<u8>(text, 0..=9));
        assert_eq!(read(&["1", "2"]), Ok(vec![1, 2]));
        assert_eq!(read(&["OFF"]), Ok(Vec::new()));
        assert_eq!(read(&["1", "off"]).map_err(|(nth, _)| nth), Err(1));
    }

    #[test]
    fn a_switch_has_many_words() {
        let words = [
            ("on", true),
            ("ON", true),
            ("yes", true),
            ("true", true),
            ("1", true),
            ("off", false),
            ("no", false),
            ("False", false),
            ("0", false),
        ];
        check(switch, &words, &["", "2", "of", "on "]);
    }

    #[test]
    fn times_have_units_and_bounds() {
        let milliseconds = Duration::from_millis;
        let good = [
            ("100ms", milliseconds(100)),
            ("0500ms", milliseconds(500)),
            ("30s", milliseconds(30_000)),
            ("30", milliseconds(30_000)),
            ("2m", milliseconds(120_000)),
            ("1m 30s", milliseconds(90_000)),
            ("1h", milliseconds(3_600_000)),
            ("24h", milliseconds(86_400_000)),
        ];
        let never = ["", "-1", "+1", "99ms", "25h", "1M", "30 parsecs", "18446744073709551616", "s"];
        check(timeout, &good, &never);
        check(timeout, &[], &["0"]);
        check(
            lifetime,
            &[("0", milliseconds(0)), ("30d", 30 * DAY), ("3650d", 3650 * DAY)],
            &["3651d", "30 dy", "500ms"],
        );
        check(span, &[("0", milliseconds(0)), ("0s", milliseconds(0)), ("86400", DAY)], &["86401", "", "x"]);
    }

    #[test]
    fn sizes_count_in_1024_unless_the_unit_says_b() {
        let good = [
            ("0", 0),
            ("65536", 65536),
            ("12b", 12),
            ("64K", 65536),
            ("64k", 65536),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            ("64kB", 64000),
            ("64KB", 64000),
            ("1M", 1 << 20),
            ("64MiB", 64 << 20),
            ("2MB", 2_000_000),
            ("3G", 3 << 30),
            ("3GB", 3_000_000_000),
        ];
        check(size, &good, &["", "K", "-1", "+1", "1.5M", "64KiBs", "18446744073709551615K", "1 0"]);
    }

    #[test]
    fn a_chunk_is_a_size_within_bounds() {
        let good = [("1K", 1024), ("8192", 8192), ("16MiB", 16 << 20)];
        check(
            chunk,
            &good,
            &["", "auto", "0", "1023", "16777217", "8 parsecs", "-1", "99999999999999999999"],
        );
    }

    #[test]
    fn a_file_name_is_one_name() {
        let good = ["index.html", "Index of.htm", "\u{fc}", ".index"].map(|name| (name, name.to_owned()));
        check(file_name, &good, &["", ".", "..", "a/b", "/a", "a\n", "a\0", &"x".repeat(256)]);
    }

    #[test]
    fn a_level_is_read_in_any_case_and_may_be_warning() {
        let good = [
            ("error", LevelFilter::Error),
            ("WARN", LevelFilter::Warn),
            ("WARNING", LevelFilter::Warn),
            ("Info", LevelFilter::Info),
            ("debug", LevelFilter::Debug),
            ("trace", LevelFilter::Trace),
        ];
        check(level, &good, &["", "off", "critical", "3"]);
    }

    #[test]
    fn a_server_name_cannot_end_its_line() {
        let longest = "x".repeat(128);
        let good = [("mayhttpd", "mayhttpd"), ("may/1 (test)", "may/1 (test)"), (&longest, &longest)]
            .map(|(text, value)| (text, value.to_owned()));
        check(name, &good, &["", " a", "a ", "a\r\nb", "a\tb", "é", "\x7f", &"x".repeat(129)]);
        check(
            account,
            &[("nobody", "nobody".to_owned()), ("65534", "65534".to_owned())],
            &["", "a:b", "a\n"],
        );
    }
}
