//! The table of settings: one row for each flag.
//!
//! The command line, the variables, the keys of both kinds of settings file, the manual page, the
//! completions and the dump are made from these rows. The table in docs/settings.md is written by hand, and a
//! test here compares it with the rows. A new setting is a row in one of the files of this folder, a field of
//! [`Settings`](super::Settings) with its value in `Default`, and its use. Sections and rows stand in the
//! order of the help.

mod settings_file;

mod site;

mod balancer;
mod listening;
mod tls;

mod files;
mod timeouts;
mod workers;

mod logging;
mod running;

use super::row::{AllowedIn, SettingRow};

/// The sections, each with its rows.
static SECTIONS: [&[SettingRow]; 10] = [
    settings_file::ROWS,
    site::ROWS,
    listening::ROWS,
    tls::ROWS,
    balancer::ROWS,
    workers::ROWS,
    files::ROWS,
    timeouts::ROWS,
    running::ROWS,
    logging::ROWS,
];

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static SettingRow> {
    SECTIONS.into_iter().flatten()
}

/// The row of the flag called `long`.
pub fn row(long: &str) -> Option<&'static SettingRow> {
    rows().find(|row| row.long == long)
}

/// The rows of settings: what a settings file may have.
pub fn settings() -> impl Iterator<Item = &'static SettingRow> {
    rows().filter(|row| row.allowed_in == AllowedIn::Everywhere)
}

/// The rows that have a variable.
pub fn with_variable() -> impl Iterator<Item = &'static SettingRow> {
    rows().filter(|row| row.allowed_in != AllowedIn::CommandLine)
}

/// The row of a setting by its key in a settings file, or by its earlier one.
pub fn by_key(key: &str) -> Option<&'static SettingRow> {
    settings().find(|row| row.key() == key || (row.former == key && !key.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::row::ReadSetting;

    #[test]
    fn each_name_is_one_row_and_what_a_row_refers_to_exists() {
        let mut names = BTreeSet::new();
        for row in rows() {
            let aliases = row.aliases.iter().map(ToString::to_string);
            let short = row.short.map(String::from);
            for name in aliases.chain(short).chain([row.long.to_owned()]) {
                assert!(names.insert(name.clone()), "{name} stands twice");
            }
            let others = row.replaces.iter().chain(row.excludes);
            others.for_each(|other| assert!(super::row(other).is_some(), "{}: no {other}", row.long));
        }
    }

    #[test]
    fn a_row_has_help_and_settings_alone_are_read() {
        for row in rows() {
            assert!(
                !row.help.is_empty() && !row.help.ends_with('.') && !row.section.is_empty(),
                "{}",
                row.long
            );
            let is_setting = !matches!(row.read, ReadSetting::Command | ReadSetting::SettingsFile);
            assert_eq!(is_setting, row.allowed_in == AllowedIn::Everywhere, "{}", row.long);
        }
    }

    /// The beginning of the line for a row in the table of docs/settings.md.
    fn document_line(row: &SettingRow) -> String {
        let short = row.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        let value = match (row.value_name, row.alone) {
            ("", _) => String::new(),
            (name, "") => format!(" {name}"),
            (name, _) => format!(" [{name}]"),
        };
        let aliases: String = row.aliases.iter().map(|alias| format!(", --{alias}")).collect();
        let default = if row.default.is_empty() { String::new() } else { format!(" {}", row.default) };
        let (first, rest) = row.help.split_at(1);
        format!("| {short}{}{value}{aliases} |{default} | {}{rest}", row.flag(), first.to_lowercase())
    }

    #[test]
    fn the_document_has_a_line_for_each_row() {
        let document = include_str!("../../../docs/settings.md").replace('`', "").replace("\\|", "|");
        let missing: Vec<String> = rows()
            .map(document_line)
            .filter(|expected| !document.lines().any(|line| line.starts_with(expected)))
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "in docs/settings.md");
    }
}
