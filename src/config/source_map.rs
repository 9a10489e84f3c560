//! A settings file as text: the position of each byte, and the errors that name one.
//!
//! It knows no format and no key. A position is computed from a byte offset when it is needed, and kept with
//! a value that is checked after the text is gone.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{self, StartupError};

/// The longest settings file, in bytes. The limit keeps a device or a log that is named by mistake from
/// filling the memory.
const LONGEST: u64 = 1 << 20;

/// A position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// Something in a settings file that is not allowed.
#[derive(Debug)]
pub struct Fault {
    /// The offset of the byte that the error points at.
    pub at: usize,
    /// The key there, if it is known.
    pub key: Option<String>,
    /// What is wrong, and in parentheses what is allowed.
    pub why: String,
}

impl Fault {
    /// A fault of a key.
    pub fn of(key: &str, at: usize, why: impl Into<String>) -> Fault {
        Fault { at, key: Some(key.to_owned()), why: why.into() }
    }
}

/// The bytes of a settings file while it is read.
#[derive(Clone, Copy)]
pub struct SourceMap<'a> {
    /// The path of the file.
    pub path: &'a Path,
    /// The content, without a byte order mark.
    pub bytes: &'a [u8],
}

impl<'a> SourceMap<'a> {
    /// A map of `bytes`, the content of the file at `path`.
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes: bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes) }
    }

    /// The position of the byte at this offset.
    pub fn position(&self, at: usize) -> Position {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        Position { line, column: String::from_utf8_lossy(&before[start..]).chars().count() + 1 }
    }

    /// The error for a fault.
    pub fn error(&self, fault: Fault) -> StartupError {
        let Position { line, column } = self.position(fault.at);
        // A key may have line breaks, which must not break the line of the error.
        let key = fault.key.map(|key| key.escape_debug().to_string());
        StartupError::Line { path: self.path.to_owned(), line, column, key, why: fault.why }
    }

    /// File, line and column, for a warning.
    pub fn locate(&self, at: usize) -> String {
        let Position { line, column } = self.position(at);
        format!("{}:{line}:{column}", error::shown(self.path))
    }
}

/// The bytes of the settings file at `path`.
///
/// # Errors
/// [`StartupError::File`] if it can't be read, or is longer than 1 MiB.
pub fn read(path: &Path) -> Result<Vec<u8>, StartupError> {
    bounded(path).map_err(|source| StartupError::File { path: path.to_owned(), source })
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(bytes)
}
