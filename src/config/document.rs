//! A settings file as text: where in it each thing stands, and the errors that say so.
//!
//! It knows no format and no key. The subtle rule: a place is found from a byte offset when it is needed, and kept where a
//! value may be judged after the text is gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::file;
use crate::error::StartupError;

/// More than any settings need. It keeps a device or a log that was named by mistake from filling the memory.
const LONGEST: u64 = 1 << 20;

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// The bytes of a settings file while it is read.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    path: &'a Path,
    /// What stands in it, without the mark that some editors begin a file with; it is no character of the first line.
    pub bytes: &'a [u8],
}

impl<'a> Text<'a> {
    /// The file at `path`, were these its bytes.
    pub fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes: bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes) }
    }

    /// Where the byte at this offset stands.
    pub fn place(&self, at: usize) -> Place {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        Place { line, column: String::from_utf8_lossy(&before[start..]).chars().count() + 1 }
    }

    /// The error for what stands at this offset.
    pub fn fault(&self, at: usize, key: Option<&str>, why: String) -> StartupError {
        let Place { line, column } = self.place(at);
        // A key is free text; one with line breaks must not break the line of the error.
        let key = key.map(|key| key.escape_debug().to_string());
        StartupError::Line { path: self.path.to_owned(), line, column, key, why }
    }

    /// File, line and column, for a warning.
    pub fn locate(&self, at: usize) -> String {
        let Place { line, column } = self.place(at);
        format!("{}:{line}:{column}", crate::error::shown(self.path))
    }
}

/// A settings file that was read: its path, and where its values stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    path: PathBuf,
    /// By the long names of settings.
    given: BTreeMap<String, Given>,
}

/// What a file has for one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    /// What the setting is called there.
    key: String,
    /// The place of its value, or of each one in a list.
    places: Vec<Place>,
}

impl Document {
    /// A file that says nothing yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), given: BTreeMap::new() }
    }

    /// Notes that the setting called `long` has values at these places, under this key. False where it has some already.
    pub fn note(&mut self, long: &str, key: &str, places: Vec<Place>) -> bool {
        let first = !self.given.contains_key(long);
        let given =
            self.given.entry(long.to_owned()).or_insert(Given { key: key.to_owned(), places: Vec::new() });
        given.places.extend(places);
        first
    }

    /// What the file calls the setting called `long`.
    pub fn key(&self, long: &str) -> String {
        self.given.get(long).map_or_else(|| file::key(long), |given| given.key.clone())
    }

    /// File and line of the `nth` value of the setting called `long`.
    pub fn line(&self, long: &str, nth: usize) -> String {
        format!("{}:{}", crate::error::shown(&self.path), self.place(long, nth).line)
    }

    /// The error for the `nth` value of the setting called `long`.
    pub fn fault(&self, long: &str, nth: usize, why: String) -> StartupError {
        let Place { line, column } = self.place(long, nth);
        StartupError::Line { path: self.path.clone(), line, column, key: Some(self.key(long)), why }
    }

    fn place(&self, long: &str, nth: usize) -> Place {
        let places = self.given.get(long).map_or(&[][..], |given| &given.places);
        places.get(nth).or(places.last()).copied().unwrap_or(Place { line: 1, column: 1 })
    }
}

/// The bytes of the settings file at `path`.
///
/// # Errors
/// [`StartupError::File`] where it can't be read, or is too long to be one.
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
