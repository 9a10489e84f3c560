//! Precedence: which of the texts that the sources give for a setting counts.
//!
//! It reads no value. The first source that gives one decides.

use super::row::SettingRow;
use super::source::given::{Given, SettingSource};
use super::table;
use crate::error::StartupError;

/// The values of a setting that count: those of the highest source that gives it. None if a setting that
/// replaces it, or one that it replaces, counts instead (see [`SettingRow::replaces`]).
pub fn effective<'a>(sources: &'a [SettingSource], row: &'a SettingRow) -> Vec<&'a Given> {
    if !counts(sources, row) {
        return Vec::new();
    }
    let values = sources.iter().map(|source| source.values(row).collect::<Vec<_>>());
    values.into_iter().find(|values| !values.is_empty()).unwrap_or_default()
}

/// False where the setting that replaces `row`, or that `row` replaces, counts instead: `listen` replaces
/// `host` and `port`. The highest source that gives any of them decides.
fn counts(sources: &[SettingSource], row: &SettingRow) -> bool {
    let replaces = |other: &&SettingRow| other.long == row.long || other.replaces.contains(&row.long);
    let Some(replacing) = table::settings().filter(|row| !row.replaces.is_empty()).find(replaces) else {
        return true;
    };
    let highest = sources.iter().find(|source| gives_either(source, replacing));
    let replaced = highest.is_some_and(|source| source.find(replacing.long).is_some());
    replaced == (row == replacing)
}

/// True if `source` gives `replacing` or a setting that it replaces.
fn gives_either(source: &SettingSource, replacing: &SettingRow) -> bool {
    let is_either = |row: &SettingRow| row == replacing || replacing.replaces.contains(&row.long);
    source.given.iter().any(|given| is_either(given.row))
}

/// Checks that the highest source that gives `row`, or a setting that it replaces, does not give both.
///
/// # Errors
/// [`StartupError::Usage`], or [`StartupError::Line`] in a file.
pub fn check_exclusion(sources: &[SettingSource], row: &SettingRow) -> Result<(), StartupError> {
    if row.replaces.is_empty() {
        return Ok(());
    }
    let highest = sources.iter().find(|source| gives_either(source, row));
    let Some(source) = highest else { return Ok(()) };
    let other = row.replaces.iter().find_map(|other| source.find(other));
    match (source.find(row.long), other) {
        (Some(given), Some(other)) => Err(given.excludes(other)),
        _ => Ok(()),
    }
}
