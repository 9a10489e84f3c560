//! The manual page, mayhttpd(8): name, synopsis, options and commands from the parser, the keys of settings
//! files that are no flags, and behind them `man.roff`.
//!
//! **Invariant:** backslashes and hyphens of a text are escaped for roff, and no line begins with a dot or a
//! quotation mark that is not a request.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;

use crate::commands::parser::parser;
use crate::config::row::SettingRow;
use crate::config::{certificate, host, location, scope, table};

/// The date of the last change of the page.
const DATE: &str = "2026-11-29";

/// Environment, files, signals and exit status, which are not in the parser.
const REST: &str = include_str!("man.roff");

/// The page, in roff.
pub fn page() -> String {
    let parser = parser();
    let mut commands = String::new();
    for command in parser.get_subcommands() {
        describe(&mut commands, &format!("mayhttpd {}", command.get_name()), command);
    }
    let parser = parser
        .override_usage("mayhttpd [OPTIONS] [ROOT]\nmayhttpd [OPTIONS] COMMAND")
        .mut_args(|flag| if flag.is_positional() { flag } else { with_aliases(flag) });
    let man = Man::new(parser).section("8").date(DATE).manual("System Manager's Manual");
    let mut page = Vec::new();
    // Writing to memory can't fail.
    let _ = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page));
    let page = String::from_utf8_lossy(&page);
    let (head, options) = page.split_once(".SH OPTIONS\n").unwrap_or((&page, ""));
    // The headings of the help are sections of the options, and not of the page.
    let options = options.replace("\n.SH ", "\n.SS ");
    format!(
        "{head}.SH OPTIONS\n{options}.SH COMMANDS\nAll options may stand before a command and behind it.\n{commands}{}{REST}",
        settings_file()
    )
}

/// The section on settings files: what is no flag.
fn settings_file() -> String {
    let mut text = format!(
        ".SH \"SETTINGS FILE\"\n{}\n",
        escaped(
            "A settings file is TOML. Its keys are the long options, with underscores, the table [types] with \
             media types by extension, and those that follow. The ones without brackets may stand at the top and \
             in [[host]], [[location]] and [[host.location]]."
        )
    );
    let flags: Vec<String> = table::rows().map(SettingRow::key).collect();
    let everywhere = scope::keys::KEYS.iter().map(|key| (key.name, key.takes));
    for (name, takes) in everywhere.filter(|(name, _)| !flags.iter().any(|flag| flag == name)) {
        paragraph(&mut text, name, takes);
    }
    for key in certificate::KEYS {
        paragraph(&mut text, &format!("[[certificate]] {}", key.name), key.takes);
    }
    for key in host::keys::KEYS {
        paragraph(&mut text, &format!("[[host]] {}", key.name), key.takes);
    }
    for key in location::keys::KEYS {
        paragraph(&mut text, &format!("[[location]] {}", key.name), key.takes);
    }
    text
}

/// A flag with its aliases in its help, because the options of a page don't show them.
fn with_aliases(flag: Arg) -> Arg {
    let Some(aliases) = flag.get_visible_aliases() else { return flag };
    let aliases: Vec<String> = aliases.iter().map(|alias| format!("--{alias}")).collect();
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    flag.help(format!("{help} [also: {}]", aliases.join(", ")))
}

/// Describes a command and its subcommands, each with its own arguments.
fn describe(text: &mut String, name: &str, command: &Command) {
    let positional = command.get_arguments().filter(|argument| argument.is_positional());
    let words = positional.map(|argument| match argument.is_required_set() {
        true => format!(" {}", value(argument)),
        false if is_list(argument) => format!(" [{}...]", value(argument)),
        false => format!(" [{}]", value(argument)),
    });
    let line = words.fold(name.to_owned(), |line, word| line + &word);
    paragraph(text, &line, &command.get_about().map(ToString::to_string).unwrap_or_default());
    for argument in command.get_arguments() {
        let tag = match argument.get_long() {
            Some(long) => format!("--{long} {}", value(argument)),
            None => value(argument),
        };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(".RS\n");
        paragraph(text, tag.trim_end(), &(help + &choice(argument)));
        text.push_str(".RE\n");
    }
    for below in command.get_subcommands() {
        describe(text, &format!("{name} {}", below.get_name()), below);
    }
}

/// True if an argument takes any number of values.
fn is_list(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// The value name of an argument; empty if it takes no value.
fn value(argument: &Arg) -> String {
    let names = argument.get_value_names().filter(|_| argument.get_action().takes_values());
    names.and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

/// The possible values of an argument, if they are listed.
fn choice(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return String::new();
    }
    let values = argument.get_possible_values();
    let values: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) }
}

fn paragraph(text: &mut String, tag: &str, words: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(tag), escaped(words));
}

/// A text that roff prints unchanged: one line that begins with a letter or, escaped, a hyphen.
fn escaped(words: &str) -> String {
    words.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_and_command_is_on_the_page() {
        let page = page();
        for row in crate::config::table::rows() {
            assert!(page.contains(&escaped(&row.flag())), "{row:?}");
        }
        for key in scope::keys::KEYS {
            let is_flag = table::rows().any(|row| row.key() == key.name);
            assert_eq!(page.contains(&format!("\\fB{}\\fR\n", key.name)), !is_flag, "{}", key.name);
        }
        assert!(page.contains("\\fB[[host]] names\\fR\n") && page.contains("\\fB[[location]] alias\\fR\n"));
        for command in crate::commands::parser::command_names() {
            assert!(page.contains(&format!("\\fBmayhttpd {command}")), "{command}");
        }
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    }
}
