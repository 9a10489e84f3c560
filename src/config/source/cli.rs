//! The command line: a flag for each row of the table, and ROOT.
//!
//! It owns how a row becomes a flag of the parser. Commands are added by [`commands`](crate::commands).

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::given::{Given, SettingOrigin, SettingSource};
use crate::config::row::SettingRow;
use crate::config::table;

/// The name of the positional argument.
pub const ROOT: &str = "ROOT";

/// The arguments of all rows. Flags may stand before a command and behind it.
pub fn arguments() -> impl Iterator<Item = Arg> {
    let root = Arg::new(ROOT)
        .value_name(ROOT)
        .help("The directory to serve [default: ./DOCUMENT_ROOT, or else a welcome page]")
        .value_parser(value_parser!(PathBuf))
        .conflicts_with("root");
    std::iter::once(root).chain(table::rows().map(|row| flag(row).global(true)))
}

fn flag(row: &'static SettingRow) -> Arg {
    let mut flag = Arg::new(row.long)
        .long(row.long)
        .visible_aliases(row.aliases.iter().copied())
        .help(row.help_line())
        .help_heading(row.section)
        .conflicts_with_all(row.excludes);
    if let Some(short) = row.short {
        flag = flag.short(short);
    }
    if row.value_name.is_empty() {
        return flag.action(ArgAction::SetTrue);
    }
    if row.is_path() {
        flag = flag.value_parser(value_parser!(PathBuf));
    }
    if !row.alone.is_empty() {
        flag = flag.num_args(0..=1).default_missing_value(row.alone);
    }
    let action = if row.is_list() { ArgAction::Append } else { ArgAction::Set };
    flag.value_name(row.value_name).action(action)
}

/// What a parsed command line gives for the rows of settings and of settings files.
pub fn source(matches: &mut ArgMatches) -> SettingSource {
    let mut given: Vec<Given> =
        matches.remove_one::<PathBuf>(ROOT).and_then(|path| root(&path)).into_iter().collect();
    for row in table::with_variable() {
        let origin = SettingOrigin::Flag(row.flag());
        if row.is_path() {
            let path = matches.remove_one::<PathBuf>(row.long);
            given.extend(path.map(|path| Given::of_path(row, path.as_os_str(), &origin)));
        } else {
            let texts = matches.remove_many::<String>(row.long).into_iter().flatten();
            given.extend(texts.flat_map(|text| Given::of_text(row, &text, &origin)));
        }
    }
    SettingSource { given, ..SettingSource::default() }
}

/// What ROOT gives: the setting of `--root`.
pub fn root(path: &Path) -> Option<Given> {
    let origin = SettingOrigin::Flag(ROOT.to_owned());
    table::row("root").map(|row| Given::of_path(row, path.as_os_str(), &origin))
}

/// What a command line without commands gives.
#[cfg(test)]
pub fn of_flags(flags: &[&str]) -> SettingSource {
    let parser = clap::Command::new("mayhttpd").args(arguments());
    let words = std::iter::once(&"mayhttpd").chain(flags);
    source(&mut parser.try_get_matches_from(words).unwrap())
}
