//! The format of a line of the error log, as text or as JSON.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use ::log::Level;

use super::escape;
use super::label::Label;
use super::line_limit::{ELLIPSIS, MAX_LINE};
use crate::config::LogFormat;

/// What a line looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) format: LogFormat,
    /// True if the journal reads the line. It takes the level from a number in front (sd-daemon(3)).
    pub(super) journal: bool,
}

impl Style {
    /// Renders the line with its end, at most [`MAX_LINE`] bytes.
    pub(super) fn render(self, line: &RecordLine<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        if self.journal {
            out.extend_from_slice(&[b'<', priority(line.level), b'>']);
        }
        match self.format {
            LogFormat::Text => line.write(&mut out),
            LogFormat::Json => line.write_json(&mut out),
        }
        out.push(b'\n');
        out
    }
}

/// The digit of a level (syslog(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => b'3',
        Level::Warn => b'4',
        Level::Info => b'6',
        Level::Debug | Level::Trace => b'7',
    }
}

/// One line without its end, in either format:
///
/// ```text
/// 2026-11-21T10:07:03Z INFO [worker 0] text
/// {"time":"2026-11-21T10:07:03Z","level":"info","process":"worker","worker":0,"message":"text"}
/// ```
///
/// A message that was cut ends in `...` in text. In JSON `"truncated":true` follows it.
pub(super) struct RecordLine<'a> {
    pub(super) now: SystemTime,
    pub(super) level: Level,
    pub(super) label: Label,
    pub(super) message: &'a fmt::Arguments<'a>,
}

impl RecordLine<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let now = humantime::format_rfc3339_seconds(self.now);
        // Writing to memory does not fail.
        let _ = write!(out, "{now} {} [{}] ", self.level, self.label);
        let message = Message::of(self.message);
        let room = MAX_LINE - out.len() - "\n".len();
        if message.fits(room, escape::control_that_fits) {
            return escape::control(out, &message.text);
        }
        let found = escape::control_that_fits(&message.text, room - ELLIPSIS.len());
        escape::control(out, &message.text[..found.length]);
        out.extend_from_slice(ELLIPSIS);
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        const END: &[u8] = b"\"}";
        const END_OF_CUT: &[u8] = b"\",\"truncated\":true}";
        let now = humantime::format_rfc3339_seconds(self.now);
        let level = self.level.as_str().to_ascii_lowercase();
        let _ = write!(out, "{{\"time\":\"{now}\",\"level\":\"{level}\",");
        let _ = match self.label {
            Label::Master => write!(out, "\"process\":\"master\","),
            Label::Worker(slot) => write!(out, "\"process\":\"worker\",\"worker\":{slot},"),
            Label::Admin => write!(out, "\"process\":\"admin\","),
        };
        out.extend_from_slice(b"\"message\":\"");
        let message = Message::of(self.message);
        let room = MAX_LINE - out.len() - "\n".len();
        if message.fits(room - END.len(), |text, room| escape::json_that_fits(text.as_bytes(), room)) {
            escape::json(out, message.text.as_bytes());
            return out.extend_from_slice(END);
        }
        let found = escape::json_that_fits(message.text.as_bytes(), room - END_OF_CUT.len());
        escape::json(out, &message.text.as_bytes()[..found.length]);
        out.extend_from_slice(END_OF_CUT);
    }
}

/// The text of a message: the whole, or its first [`MAX_LINE`] bytes.
struct Message {
    text: String,
    /// False if the message is longer than `text`.
    whole: bool,
}

impl Message {
    fn of(arguments: &fmt::Arguments<'_>) -> Self {
        let mut message = Self { text: String::new(), whole: true };
        // This fails when the text is long enough, or when the message fails to render. What was rendered is
        // logged.
        let _ = message.write_fmt(*arguments);
        message
    }

    /// True if the whole message fits into `room` bytes, escaped.
    fn fits(&self, room: usize, that_fits: impl Fn(&str, usize) -> escape::Prefix) -> bool {
        let length = self.text.len();
        self.whole && (length * escape::GROWTH <= room || that_fits(&self.text, room).length == length)
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut taken = text.len().min(MAX_LINE - self.text.len());
        while !text.is_char_boundary(taken) {
            taken -= 1;
        }
        self.text.push_str(&text[..taken]);
        self.whole &= taken == text.len();
        if self.whole { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(label: Label, message: fmt::Arguments<'_>, expected: &str) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_255_623);
        let line = RecordLine { now, level: Level::Warn, label, message: &message };
        let mut text = Vec::new();
        line.write(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_record_is_one_line_whatever_it_holds() {
        let plain = "2026-11-21T10:07:03Z WARN [master] ready";
        check(Label::Master, format_args!("ready"), plain);
        check(
            Label::Worker(3),
            format_args!("bad {}", "a\n2026 INFO [master] b\r\x1b[31m\0\u{85}é\\"),
            "2026-11-21T10:07:03Z WARN [worker 3] bad \
             a\\n2026 INFO [master] b\\r\\u{1b}[31m\\u{0}\\u{85}é\\",
        );
        check(Label::Worker(0), format_args!(""), "2026-11-21T10:07:03Z WARN [worker 0] ");
    }

    #[track_caller]
    fn styled(style: Style, level: Level, label: Label, message: fmt::Arguments<'_>) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_255_623);
        let line = RecordLine { now, level, label, message: &message };
        String::from_utf8(style.render(&line)).unwrap()
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let style = Style { format: LogFormat::Json, journal: false };
        assert_eq!(
            styled(style, Level::Info, Label::Master, format_args!("ready")),
            "{\"time\":\"2026-11-21T10:07:03Z\",\"level\":\"info\",\"process\":\"master\",\"message\":\"ready\"}\n"
        );
        assert_eq!(
            styled(style, Level::Error, Label::Worker(2), format_args!("\"{}\"", "a\nb\u{85}é")),
            "{\"time\":\"2026-11-21T10:07:03Z\",\"level\":\"error\",\"process\":\"worker\",\"worker\":2,\
             \"message\":\"\\\"a\\nb\\u0085é\\\"\"}\n"
        );
    }

    #[test]
    fn the_journal_gets_a_priority_in_front() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        for (level, start) in levels.into_iter().zip(["<3>2026", "<4>2026", "<6>2026", "<7>2026", "<7>2026"])
        {
            let style = Style { format: LogFormat::Text, journal: true };
            let text = styled(style, level, Label::Master, format_args!("a\n<0>b"));
            assert!(text.starts_with(start) && text.ends_with(" [master] a\\n<0>b\n"), "{text}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_cut_between_two_characters_and_says_so() {
        let text = LogFormat::Text;
        for (format, cut) in [(text, "...\n"), (LogFormat::Json, "\",\"truncated\":true}\n")] {
            let style = Style { format, journal: true };
            let end = if format == text { "\n" } else { "\"}\n" };
            let mut whole = 0;
            for pattern in ["a", "\u{1}", "\u{e9}", "a\n\"\u{65e5}\u{85}", "\u{1f389}\u{2028}"] {
                for length in (0..1500).step_by(13).chain([3900, 4000, 4090, 4096, 5000, 40_000]) {
                    let message: String = pattern.chars().cycle().take(length).collect();
                    let line = styled(style, Level::Error, Label::Worker(1), format_args!("{message}+"));
                    assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
                    // No line is cut that needs not be; six bytes are the longest escape.
                    if let Some(kept) = line.strip_suffix(cut).filter(|_| !line.ends_with(&format!("+{end}")))
                    {
                        assert!(line.len() > MAX_LINE - 6, "{} bytes: {line}", line.len());
                        assert!(format == text || !kept.ends_with('\\'), "{line}");
                    } else {
                        assert!(line.ends_with(&format!("+{end}")), "{line}");
                        whole += 1;
                    }
                }
            }
            assert!(whole > 100);
            // It is rendered in parts.
            let (a, b) = ("a".repeat(3000), "b".repeat(3000));
            let line = styled(style, Level::Error, Label::Master, format_args!("{a}{b}{a}"));
            assert!(line.len() == MAX_LINE && line.contains("ab") && line.ends_with(cut), "{line}");
        }
    }
}
