//! A value of a settings file, with the place of each of its parts. It does not depend on the format.

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileValue {
    /// The offset of its first byte; that of its header for a table with a header.
    pub at: usize,
    /// What it is.
    pub data: FileData,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileData {
    /// A string.
    Text(String),
    /// A whole number, in decimal digits.
    Number(String),
    /// A boolean.
    Switch(bool),
    /// A list.
    List(Vec<FileValue>),
    /// A table, in the order of the file.
    Table(Vec<FileEntry>),
    /// A value of a type that no setting takes; its name.
    Other(&'static str),
}

/// A key of a table, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// The key.
    pub name: String,
    /// The offset of the key's first byte.
    pub at: usize,
    /// The value.
    pub value: FileValue,
}

impl FileValue {
    /// The string.
    pub fn text(&self) -> Option<&str> {
        if let FileData::Text(text) = &self.data { Some(text) } else { None }
    }

    /// The whole number, in decimal digits.
    pub fn number(&self) -> Option<&str> {
        if let FileData::Number(digits) = &self.data { Some(digits) } else { None }
    }

    /// The boolean.
    pub fn switch(&self) -> Option<bool> {
        if let FileData::Switch(on) = self.data { Some(on) } else { None }
    }

    /// The list.
    pub fn list(&self) -> Option<&[FileValue]> {
        if let FileData::List(list) = &self.data { Some(list) } else { None }
    }

    /// The entries of the table.
    pub fn table(&self) -> Option<&[FileEntry]> {
        if let FileData::Table(entries) = &self.data { Some(entries) } else { None }
    }

    /// The tables of a list of tables.
    pub fn tables(&self) -> Option<Vec<(usize, &[FileEntry])>> {
        self.list()?.iter().map(|item| Some((item.at, item.table()?))).collect()
    }

    /// The words for a value of a wrong type; `takes` says what is allowed.
    pub fn wrong_type(&self, takes: &str) -> String {
        let kind = match &self.data {
            FileData::Text(_) => "a string",
            FileData::Number(_) => "an integer",
            FileData::Switch(_) => "a boolean",
            FileData::List(_) => "an array",
            FileData::Table(_) => "a table",
            FileData::Other(kind) => kind,
        };
        format!("is {kind} (expected {takes})")
    }
}

/// The words for a value that is not allowed.
pub fn invalid(text: &str, why: &str) -> String {
    format!("invalid value {text:?} ({why})")
}
