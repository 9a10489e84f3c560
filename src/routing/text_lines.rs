//! The lines of `_redirects` and `_headers`, and what is not understood in them.

/// The most bytes that are read of a file. What follows is reported.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The most lines that are reported one by one.
pub const MAX_REPORTS: usize = 50;

/// A line that is not understood, and is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// The lines that are not understood: at most [`MAX_REPORTS`], in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownLines {
    /// The first ones.
    pub lines: Vec<UnknownLine>,
    /// How many more there are.
    pub more: usize,
}

impl UnknownLines {
    /// Adds one.
    pub(super) fn push(&mut self, line: usize, why: impl Into<String>) {
        if self.lines.len() < MAX_REPORTS {
            self.lines.push(UnknownLine { line, why: why.into() });
        } else {
            self.more += 1;
        }
    }
}

/// The lines of a file that have more than white space and a comment, each with its number.
pub(super) fn split<'a>(bytes: &'a [u8], unknown: &mut UnknownLines) -> Vec<(usize, &'a str)> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    let mut end = 0;
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        end += line.len() + 1;
        if end > MAX_BYTES + 1 {
            unknown.push(number, format!("this line and all after it are beyond {MAX_BYTES} bytes"));
            break;
        }
        match std::str::from_utf8(line) {
            Err(_) => unknown.push(number, "is not UTF-8"),
            Ok(text) if text.trim().is_empty() || text.trim_start().starts_with('#') => {}
            Ok(text) => lines.push((number, text.trim_end())),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let mut unknown = UnknownLines::default();
        let lines = split(b"\xef\xbb\xbf/a\r\n\n  # x\n\xff\n  b \n#\n", &mut unknown);
        assert_eq!(lines, [(1, "/a"), (5, "  b")]);
        assert_eq!(unknown.lines, [UnknownLine { line: 4, why: "is not UTF-8".to_owned() }]);
    }

    #[test]
    fn a_long_file_is_cut_at_a_line() {
        let mut unknown = UnknownLines::default();
        let bytes = b"0123456\n".repeat(MAX_BYTES / 8 + 1);
        assert_eq!(split(&bytes, &mut unknown).len(), MAX_BYTES / 8);
        assert_eq!(unknown.lines[0].line, MAX_BYTES / 8 + 1);
        let mut unknown = UnknownLines::default();
        assert_eq!(split(&bytes[..MAX_BYTES], &mut unknown).len(), MAX_BYTES / 8);
        assert_eq!(unknown, UnknownLines::default());
    }

    #[test]
    fn reports_are_bounded() {
        let mut unknown = UnknownLines::default();
        split(&b"\xff\n".repeat(MAX_REPORTS + 7), &mut unknown);
        assert_eq!((unknown.lines.len(), unknown.more), (MAX_REPORTS, 7));
    }
}
