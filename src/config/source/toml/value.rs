//! Values of TOML as texts: which types a key takes, and the words for a value of another type.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::config::file_value::{FileData, FileEntry, FileValue};
use crate::config::row::SettingRow;

/// A name or a value, and where it stands.
pub type TomlName<'i> = Spanned<Cow<'i, str>>;
/// Likewise.
pub type TomlValue<'i> = Spanned<DeValue<'i>>;

/// Value names, as the help shows them, of which a value may be a number.
const NUMBERS: [&str; 5] = ["N", "TIME", "SIZE", "STATUS", "NAME"];

/// The entries of a table in the order of the file, so that the first mistake is the one reported.
pub fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t TomlName<'i>, &'t TomlValue<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// The value in the form that does not depend on the format.
pub fn neutral(value: &TomlValue<'_>) -> FileValue {
    let data = match value.get_ref() {
        DeValue::String(text) => FileData::Text(text.clone().into_owned()),
        DeValue::Integer(number) => FileData::Number(decimal(number)),
        DeValue::Boolean(on) => FileData::Switch(*on),
        DeValue::Array(list) => FileData::List(list.iter().map(neutral).collect()),
        DeValue::Table(table) => FileData::Table(in_order(table).into_iter().map(entry).collect()),
        DeValue::Float(_) => FileData::Other("a float"),
        DeValue::Datetime(_) => FileData::Other("a datetime"),
    };
    FileValue { at: value.span().start, data }
}

/// An entry of a table in that form.
pub fn entry((name, value): (&TomlName<'_>, &TomlValue<'_>)) -> FileEntry {
    FileEntry { name: name.get_ref().to_string(), at: name.span().start, value: neutral(value) }
}

/// What type a value has, as the beginning of an error.
pub fn is_a(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("is {article} {kind}")
}

/// The words for a value of the wrong type.
pub fn wrong_type(value: &TomlValue<'_>, takes: &str) -> String {
    format!("{} (expected {takes})", is_a(value.get_ref()))
}

/// A whole number in decimal digits.
pub fn decimal(number: &DeInteger<'_>) -> String {
    // Beyond 128 bits it stays as it was written, and its reader refuses it.
    i128::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.to_string(), |n| n.to_string())
}

/// The types besides a string that a row takes.
pub struct TomlTypes {
    number: bool,
    on: bool,
    off: bool,
}

impl TomlTypes {
    /// Those of a row, by the words of its value name.
    pub fn of(row: &SettingRow) -> Self {
        let words: Vec<&str> = row.value_name.split('|').collect();
        Self {
            number: words.iter().any(|word| NUMBERS.contains(word)),
            on: words.contains(&"on"),
            off: words.contains(&"off"),
        }
    }

    /// The text that the flag would take for this value, if it has one of these types.
    pub fn text(&self, value: &TomlValue<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) if self.number => Some(decimal(number)),
            DeValue::Boolean(true) if self.on => Some("on".to_owned()),
            DeValue::Boolean(false) if self.off => Some("off".to_owned()),
            _ => None,
        }
    }
}

/// What a row takes, as the end of a sentence.
pub fn takes(row: &SettingRow) -> String {
    let name = row.value_name;
    if row.is_list() {
        return format!("a list of strings: {name}");
    }
    match TomlTypes::of(row) {
        TomlTypes { on: true, off: true, .. } if name == "on|off" => "true or false".to_owned(),
        TomlTypes { on: true, off: true, .. } => format!("true, false or a string: {name}"),
        TomlTypes { off: true, .. } => format!("false or a string: {name}"),
        TomlTypes { number: true, .. } if name == "N" => "a number".to_owned(),
        TomlTypes { number: true, .. } => format!("a number or a string: {name}"),
        TomlTypes { .. } => format!("a string: {name}"),
    }
}
