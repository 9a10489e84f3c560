//! How a table of a settings file is read and shown: by a row for each key.
//!
//! It owns the type of a row, and the reading of a table by its rows. The rows of each table are beside what
//! they set: [`location`](super::location), [`host`](super::host), [`scope`](super::scope).

use std::collections::BTreeMap;

use super::file_value::{FileEntry, FileValue, invalid};
use super::source_map::Fault;
use super::{suggest, value};

/// A key of a table.
pub struct TableKey<T: 'static> {
    /// Its name.
    pub name: &'static str,
    /// What it takes, as the end of a sentence.
    pub takes: &'static str,
    /// Keys that can't stand beside it.
    pub excludes: &'static [&'static str],
    /// How its value is read.
    pub read: ReadKey<T>,
    /// Its value in TOML, if the table has one.
    pub show: fn(&T) -> Option<String>,
}

/// How the value of a key is read. An error says what is allowed.
pub enum ReadKey<T: 'static> {
    /// A string.
    Text(fn(&mut T, &str) -> Result<(), String>),
    /// A whole number, as text.
    Number(fn(&mut T, &str) -> Result<(), String>),
    /// A string or a whole number, as text.
    NumberOrText(fn(&mut T, &str) -> Result<(), String>),
    /// A boolean.
    Switch(fn(&mut T, bool)),
    /// `false`, or a string.
    OffOrText(fn(&mut T, Option<&str>) -> Result<(), String>),
    /// Each string of a list.
    List(fn(&mut T, &str) -> Result<(), String>),
    /// A table with these keys.
    Table(&'static [TableKey<T>]),
    /// Anything else; the name of the key is that with the names of the outer tables.
    Value(fn(&mut T, &mut KeyPlaces, &str, &FileValue) -> Result<(), Fault>),
}

impl<T> TableKey<T> {
    /// A row with nothing in it, which each row of a table fills.
    pub const EMPTY: TableKey<T> = TableKey {
        name: "",
        takes: "",
        excludes: &[],
        read: ReadKey::Value(|_, _, _, _| Ok(())),
        show: |_| None,
    };

    /// True where a flag for it takes a list.
    pub fn is_list(&self) -> bool {
        matches!(self.read, ReadKey::List(_))
    }

    /// Reads the text of a flag or a variable.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read_text(&self, record: &mut T, text: &str) -> Result<(), String> {
        match self.read {
            ReadKey::Text(read)
            | ReadKey::Number(read)
            | ReadKey::NumberOrText(read)
            | ReadKey::List(read) => read(record, text),
            ReadKey::OffOrText(read) => {
                read(record, Some(text).filter(|text| !text.eq_ignore_ascii_case("off")))
            }
            ReadKey::Switch(set) => value::switch(text).map(|on| set(record, on)),
            ReadKey::Table(_) | ReadKey::Value(_) => Err(format!("expected {}", self.takes)),
        }
    }
}

/// Where each key of a table stands. A key of an inner table has the outer one in front, `return.body`.
#[derive(Debug, Default)]
pub struct KeyPlaces(BTreeMap<String, usize>);

impl KeyPlaces {
    /// Notes where a key stands.
    pub fn note(&mut self, key: &str, at: usize) {
        self.0.insert(key.to_owned(), at);
    }

    /// True if the table has the key.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The fault of a key that was read.
    pub fn fault(&self, key: &str, why: impl Into<String>) -> Fault {
        Fault::of(key, self.0.get(key).copied().unwrap_or_default(), why)
    }

    /// Checks that no two keys stand beside each other that exclude each other.
    ///
    /// # Errors
    /// The fault of the first such key.
    pub fn check_exclusions<T>(&self, keys: &[TableKey<T>]) -> Result<(), Fault> {
        for key in keys {
            if let Some(other) = key.excludes.iter().find(|other| self.has(key.name) && self.has(other)) {
                return Err(self.fault(key.name, format!("can't be combined with {other}")));
            }
        }
        Ok(())
    }
}

/// Reads all entries of a table by `keys`.
///
/// # Errors
/// The first mistake.
pub fn read<T>(
    keys: &[TableKey<T>],
    record: &mut T,
    places: &mut KeyPlaces,
    entries: &[FileEntry],
) -> Result<(), Fault> {
    for entry in entries {
        let key = keys.iter().find(|key| entry.name == key.name);
        let key = key.ok_or_else(|| Fault::of(&entry.name, entry.at, unknown(&entry.name, &names(keys))))?;
        read_entry(key, key.name, record, places, entry)?;
    }
    places.check_exclusions(keys)
}

/// Reads one entry. `full` is its key with the names of the outer tables.
///
/// # Errors
/// The first mistake.
pub fn read_entry<T>(
    key: &TableKey<T>,
    full: &str,
    record: &mut T,
    places: &mut KeyPlaces,
    entry: &FileEntry,
) -> Result<(), Fault> {
    let value = &entry.value;
    let fault = |why: String| Fault::of(full, value.at, why);
    let wrong = || fault(value.wrong_type(key.takes));
    places.note(full, entry.at);
    let (text, read) = match key.read {
        ReadKey::Switch(set) => {
            set(record, value.switch().ok_or_else(wrong)?);
            return Ok(());
        }
        ReadKey::OffOrText(read) => {
            let text = match value.switch() {
                Some(false) => None,
                _ => Some(value.text().ok_or_else(wrong)?),
            };
            let why = |why: String| fault(invalid(text.unwrap_or_default(), &why));
            return read(record, text).map_err(why);
        }
        ReadKey::List(read) => return read_list(key, full, record, value, read),
        ReadKey::Table(keys) => {
            let table = value.table().ok_or_else(wrong)?;
            return read_inner((keys, key), record, places, table, entry.at);
        }
        ReadKey::Value(read) => return read(record, places, full, value),
        ReadKey::Text(read) => (value.text(), read),
        ReadKey::Number(read) => (value.number(), read),
        ReadKey::NumberOrText(read) => (value.text().or(value.number()), read),
    };
    let text = text.ok_or_else(wrong)?;
    read(record, text).map_err(|why| fault(invalid(text, &why)))
}

/// Reads a list of strings.
fn read_list<T>(
    key: &TableKey<T>,
    full: &str,
    record: &mut T,
    value: &FileValue,
    read: fn(&mut T, &str) -> Result<(), String>,
) -> Result<(), Fault> {
    let Some(list) = value.list() else {
        return Err(Fault::of(full, value.at, value.wrong_type(key.takes)));
    };
    if list.is_empty() {
        return Err(Fault::of(full, value.at, format!("is empty (expected {})", key.takes)));
    }
    for item in list {
        let fault = |why: String| Fault::of(full, item.at, why);
        let text = item.text().ok_or_else(|| fault(item.wrong_type(key.takes)))?;
        read(record, text).map_err(|why| fault(invalid(text, &why)))?;
    }
    Ok(())
}

/// Reads an inner table with keys of its own.
fn read_inner<T>(
    (keys, outer): (&[TableKey<T>], &TableKey<T>),
    record: &mut T,
    places: &mut KeyPlaces,
    table: &[FileEntry],
    at: usize,
) -> Result<(), Fault> {
    if table.is_empty() {
        return Err(Fault::of(outer.name, at, format!("is empty (expected {})", outer.takes)));
    }
    for entry in table {
        let full = format!("{}.{}", outer.name, entry.name);
        let key = keys.iter().find(|key| entry.name == key.name);
        let key = key.ok_or_else(|| Fault::of(&full, entry.at, unknown(&entry.name, &names(keys))))?;
        read_entry(key, &full, record, places, entry)?;
    }
    Ok(())
}

/// The names of some keys.
pub fn names<T>(keys: &[TableKey<T>]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// The words for a key that is none of `known`.
pub fn unknown(key: &str, known: &[&str]) -> String {
    match suggest::nearest(key, known.iter().copied()) {
        Some(known) => format!("unknown key (did you mean {known}?)"),
        None => format!("unknown key (expected {})", known.join(", ")),
    }
}

/// Keys and values of a table, in the order of the rows.
pub fn entries<T>(keys: &[TableKey<T>], record: &T) -> Vec<(&'static str, String)> {
    keys.iter().filter_map(|key| Some((key.name, (key.show)(record)?))).collect()
}

/// An inline table of these keys.
pub fn inline<T>(keys: &[TableKey<T>], record: &T) -> String {
    let entries = entries(keys, record);
    let entries: Vec<String> = entries.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{{ {} }}", entries.join(", "))
}
