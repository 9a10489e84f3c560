//! The settings file as a layer: TOML, with the long flag's name as the key, `log_level` for `--log-level`.
//!
//! It owns what a file may hold: which keys, which type for each. Whether a value is within its bounds is for whoever
//! settles the layers to say; the place for the error comes from here.
//!
//! The keys and their types are read off the flags, so that a new flag has its key without a second list: what
//! the help shows as the value's name says which types fit. Everything not understood is an error, since a key
//! that is passed over in silence is a setting that someone believes in.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use clap::{Arg, ArgAction, CommandFactory};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::cli::{self, Raw};
use super::document::{Document, Text};
use super::layer::{Layer, Origin};
use super::{location, spelling};
use crate::error::StartupError;

/// Names of values, as the help shows them, that may be written as a number.
const NUMBERS: [&str; 5] = ["N", "TIME", "SIZE", "STATUS", "NAME"];

/// The key of a flag's long name: `log_level` for `log-level`.
pub fn key(long: &str) -> String {
    long.replace('-', "_")
}

/// The layer that the file at `path` makes, were these its bytes.
///
/// Steps: text, TOML, and then each entry in the order of the file, so that the first mistake is the one reported.
///
/// # Errors
/// [`StartupError::Line`] for the first thing in it that is not understood.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Layer, StartupError> {
    let source = Text::new(path, bytes);
    let fault = |at: usize, key: Option<&str>, why: String| source.fault(at, key, why);
    let text = str::from_utf8(source.bytes)
        .map_err(|error| fault(error.valid_up_to(), None, "is not text in UTF-8".to_owned()))?;
    let table = DeTable::parse(text).map_err(|error| {
        let (at, key, why) = syntax(text, &error);
        fault(at, key, why)
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);

    let known: BTreeMap<String, Arg> =
        cli::settings().filter_map(|flag| Some((key(flag.get_long()?), flag))).collect();
    let mut arguments = Vec::new();
    let mut locations = Vec::new();
    let mut document = Document::new(path);
    for (name, value) in entries {
        if name.get_ref() == location::KEY {
            let (read, places) = location::read(&source, name.span().start, value)?;
            document.note(location::KEY, location::KEY, places);
            locations = read;
            continue;
        }
        let fault = |at, why| fault(at, Some(name.get_ref()), why);
        let flag = known.get(name.get_ref().as_ref());
        let Some((flag, long)) = flag.and_then(|flag| Some((flag, flag.get_long()?))) else {
            return Err(fault(name.span().start, unknown(name.get_ref(), &known)));
        };
        let mut its_places = Vec::new();
        for (at, text) in texts(name, flag, value).map_err(|(at, why)| fault(at, why))? {
            let argument = cli::argument(long, OsStr::new(&text));
            // Tried alone, because the parser's error would name the flag and not the place.
            let raw = Raw::of([argument.clone()])
                .map_err(|_| fault(at, format!("invalid value {text:?} (expected {})", shape(flag))))?;
            // A text with commas may make several values, all of which stand in this place.
            let values = raw.list_length().unwrap_or(1);
            its_places.extend(std::iter::repeat_n(source.place(at), values));
            arguments.push(argument);
        }
        document.note(long, name.get_ref(), its_places);
    }
    let mut raw = Raw::of(arguments).map_err(|error| super::usage(&error))?;
    raw.locations = locations;
    Ok(Layer { origin: Origin::File(document), raw })
}

/// Where the text stops to be TOML, the key there if it is known, and what is wrong.
fn syntax<'a>(text: &'a str, error: &toml::de::Error) -> (usize, Option<&'a str>, String) {
    let span = error.span().unwrap_or_default();
    if error.message() == "duplicate key" {
        let why = "stands here again (each key may stand once)".to_owned();
        return (span.start, text.get(span), why);
    }
    if let Some((at, key, why)) = unquoted(text, span.start) {
        return (at, Some(key), why);
    }
    let message = error.message().replace('\n', " ");
    let why = match message.split_once(", expected ") {
        Some((wrong, "nothing")) => wrong.to_owned(),
        Some((wrong, allowed)) => format!("{wrong} (expected {allowed})"),
        None => message,
    };
    (span.start, None, why)
}

/// The commonest slip, a text without quotation marks, for which the parser has odd words: of `info` it says that
/// it expected `inf`.
fn unquoted(text: &str, at: usize) -> Option<(usize, &str, String)> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next()?;
    let (name, rest) = line.split_once('=')?;
    let name = name.trim();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(bare) {
        return None;
    }
    let value = rest.split('#').next()?.trim();
    if value.starts_with(['"', '\'', '[', '{']) || value.contains('=') || DeValue::parse(value).is_ok() {
        return None;
    }
    let at = start + line.len() - rest.trim_start().len();
    if value.is_empty() {
        return Some((at, name, "has no value".to_owned()));
    }
    Some((
        at,
        name,
        format!("{} is no value (text stands in quotation marks: {value:?})", value.escape_debug()),
    ))
}

fn unknown(name: &str, known: &BTreeMap<String, Arg>) -> String {
    let command = Raw::command();
    if command.get_arguments().filter_map(Arg::get_long).any(|long| key(long) == name) {
        return "is a flag only (a file can't hold it)".to_owned();
    }
    // The flags' other spellings lead to the key as well.
    let aliases = known.iter().flat_map(|(key, flag)| {
        let aliases = flag.get_visible_aliases().unwrap_or_default();
        aliases.into_iter().map(move |alias| (alias.replace('-', "_"), key.as_str()))
    });
    let keys = known.keys().map(|key| (key.clone(), key.as_str()));
    let spellings: BTreeMap<String, &str> =
        keys.chain([(location::KEY.to_owned(), location::KEY)]).chain(aliases).collect();
    match spelling::nearest(name, spellings.keys().map(String::as_str)).and_then(|name| spellings.get(name)) {
        Some(key) => format!("unknown key (the nearest known one is {key})"),
        None => "unknown key (the keys are the long flags of --help, with underscores)".to_owned(),
    }
}

/// What a value says, as the text that its flag would take: one, or for a list each with its place.
///
/// An error is a place and what is wrong there.
fn texts(
    name: &Spanned<impl Sized>,
    flag: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<(usize, String)>, (usize, String)> {
    let is_list = matches!(flag.get_action(), ArgAction::Append);
    // A table has many places; its name is where the mistake is.
    let at = if value.get_ref().is_table() { name.span().start } else { value.span().start };
    match value.get_ref() {
        DeValue::Array(list) if is_list && list.is_empty() => {
            Err((at, format!("is empty (expected {})", shape(flag))))
        }
        DeValue::Array(list) if is_list => {
            list.iter().map(|item| Ok((item.span().start, text(flag, item, item.span().start)?))).collect()
        }
        _ => Ok(vec![(at, text(flag, value, at)?)]),
    }
}

fn text(flag: &Arg, value: &Spanned<DeValue<'_>>, at: usize) -> Result<String, (usize, String)> {
    let takes = Takes::of(flag);
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if takes.number => Ok(decimal(number)),
        DeValue::Boolean(true) if takes.on => Ok("on".to_owned()),
        DeValue::Boolean(false) if takes.off => Ok("off".to_owned()),
        other => Err((at, format!("{} (expected {})", is_a(other), shape(flag)))),
    }
}

/// What type a value is of, for an error.
pub(super) fn is_a(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("is {article} {kind}")
}

/// The text of a value that may be a number.
pub(super) fn number_or_text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(decimal(number)),
        _ => None,
    }
}

/// Whether `name` is the key of a setting.
pub(super) fn is_key(name: &str) -> bool {
    cli::settings().filter_map(|flag| flag.get_long().map(key)).any(|key| key == name)
}

/// A whole number of TOML, in decimal digits.
pub(super) fn decimal(number: &DeInteger<'_>) -> String {
    // Past 128 bits it stays as it was written, for its reader to refuse.
    i128::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.to_string(), |n| n.to_string())
}

/// The types besides a string that fit a flag.
struct Takes {
    number: bool,
    on: bool,
    off: bool,
}

impl Takes {
    fn of(flag: &Arg) -> Self {
        let name = value_name(flag);
        let words: Vec<&str> = name.split('|').collect();
        Self {
            number: words.iter().any(|word| NUMBERS.contains(word)),
            on: words.contains(&"on"),
            off: words.contains(&"off"),
        }
    }
}

/// What a flag's value may be, as the end of a sentence.
fn shape(flag: &Arg) -> String {
    let name = value_name(flag);
    if matches!(flag.get_action(), ArgAction::Append) {
        return format!("a list of strings: {name}");
    }
    match Takes::of(flag) {
        Takes { on: true, off: true, .. } if name == "on|off" => "true or false".to_owned(),
        Takes { on: true, off: true, .. } => format!("true, false or a string: {name}"),
        Takes { off: true, .. } => format!("false or a string: {name}"),
        Takes { number: true, .. } if name == "N" => "a number".to_owned(),
        Takes { number: true, .. } => format!("a number or a string: {name}"),
        Takes { .. } => format!("a string: {name}"),
    }
}

fn value_name(flag: &Arg) -> String {
    let names = flag.get_value_names().unwrap_or_default();
    names.iter().map(clap::builder::Str::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::{Machine, Settings};
    use super::*;

    /// What a file with this text settles to.
    fn settled(text: impl AsRef<[u8]>) -> Result<Settings, String> {
        let layer = parse(Path::new("may.toml"), text.as_ref()).map_err(|error| error.to_string())?;
        let machine = Machine { cpus: 4, document_root: false };
        Settings::settle(&[layer], machine).map_err(|error| error.to_string())
    }

    fn raw(text: &str) -> Raw {
        parse(Path::new("may.toml"), text.as_bytes()).unwrap().raw
    }

    #[test]
    fn a_key_is_a_long_flag_and_its_value_what_the_flag_takes() {
        for (text, flags) in [
            ("", &[][..]),
            ("# nothing\n\n", &[]),
            ("\u{feff}workers = 4\r\n", &["--workers=4"]),
            ("workers = \"auto\"", &["--workers=auto"]),
            ("workers = 0x1_0", &["--workers=16"]),
            ("workers = +1_000", &["--workers=1000"]),
            ("root = '/srv/a b'\nlog_level = \"info\"", &["--root=/srv/a b", "--log-level=info"]),
            ("sendfile = true\nlisting = false", &["--sendfile=on", "--listing=off"]),
            ("sendfile = \"off\"", &["--sendfile=off"]),
            ("idle_timeout = \"60s\"\nhead_timeout = 5", &["--idle-timeout=60s", "--head-timeout=5"]),
            ("listen = [\"0.0.0.0:80\", '[::]:80',]", &["--listen=0.0.0.0:80", "--listen=[::]:80"]),
            ("listen = \"80,81\"", &["--listen=80,81"]),
            ("missing_index = 404\ncache_size = 65536", &["--missing-index=404", "--cache-size=65536"]),
            ("user = 33\ngroup = \"www\"", &["--user=33", "--group=www"]),
            ("access_log = false", &["--access-log=off"]),
            ("name = \"-h\"", &["--name=-h"]),
        ] {
            assert_eq!(raw(text), Raw::of(flags.iter().map(|flag| flag.into())).unwrap(), "{text:?}");
        }
    }

    #[test]
    fn the_example_of_the_documents_is_a_file() {
        let document = include_str!("../../docs/settings.md");
        let examples = document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let examples: Vec<_> = examples.map(|example| settled(example).unwrap()).collect();
        assert_eq!((examples[0].workers, examples[0].listen.len()), (4, 2));
        assert_eq!((examples[1].locations.len(), examples.len()), (3, 3));
        assert!(examples[2].locations[0].find_by_name);
    }

    #[test]
    fn every_setting_has_a_key_that_takes_a_string() {
        for flag in cli::settings() {
            let key = key(flag.get_long().unwrap());
            assert_ne!(raw(&format!("{key} = \"x\"")), Raw::default(), "{key}");
        }
    }

    #[test]
    fn whatever_is_wrong_is_one_line_with_its_place_and_what_is_allowed() {
        for (text, error) in [
            // Keys.
            ("\n  wrokers = 4", "2:3: wrokers: unknown key (the nearest known one is workers)"),
            ("log-level = \"info\"", "1:1: log-level: unknown key (the nearest known one is log_level)"),
            ("level_log = \"info\"", "1:1: level_log: unknown key (the nearest known one is log_level)"),
            ("zzz = 1\nyyyy = 2", "1:1: zzz: unknown key (the keys are the long flags of --help, "),
            ("\"a\\nb\" = 1", "1:1: a\\nb: unknown key"),
            ("config = \"x\"", "1:1: config: is a flag only (a file can't hold it)"),
            ("test = true", "1:1: test: is a flag only (a file can't hold it)"),
            ("port = 80\nname = \"x\"\n port = 81", "3:2: port: stands here again (each key may stand once)"),
            // Types.
            ("workers = true", "1:11: workers: is a boolean (expected a number or a string: N|auto)"),
            ("workers = 1.5", "1:11: workers: is a float (expected a number or a string: N|auto)"),
            ("workers = [1]", "1:11: workers: is an array (expected a number or a string: N|auto)"),
            ("[workers]\nx = 1", "1:2: workers: is a table (expected a number or a string: N|auto)"),
            ("workers.x = 1", "1:1: workers: is a table (expected a number or a string: N|auto)"),
            ("port = 2020-01-01", "1:8: port: is a datetime (expected a number)"),
            ("root = 5", "1:8: root: is an integer (expected a string: DIR)"),
            ("root = \"\"", "1:8: root: invalid value \"\" (expected a string: DIR)"),
            ("name = 5", "1:8: name: is an integer (expected a string: TEXT)"),
            ("sendfile = 1", "1:12: sendfile: is an integer (expected true or false)"),
            ("access_log = true", "1:14: access_log: is a boolean (expected false or a string: FILE|-|off)"),
            ("listen = 80", "1:10: listen: is an integer (expected a list of strings: ADDR:PORT)"),
            ("listen = []", "1:10: listen: is empty (expected a list of strings: ADDR:PORT)"),
            (
                "listen = [\n  \"80\",\n  81 ]",
                "3:3: listen: is an integer (expected a list of strings: ADDR:PORT)",
            ),
            // Values.
            (
                "workers = -1",
                "1:11: workers: invalid value \"-1\" (expected a number from 1 to 1024, or auto)",
            ),
            (
                "# é\nname = \"é\" # é",
                "2:8: name: invalid value \"é\" (expected 1 to 128 visible ASCII characters, spaces only \
                 between them)",
            ),
            (
                "name = \"x\"\nidle_timeout = \"soon\"",
                "2:16: idle_timeout: invalid value \"soon\" (expected a time from 100ms to 24h, for example 30s)",
            ),
            ("listing = \"maybe\"", "1:11: listing: invalid value \"maybe\" (expected on or off)"),
            (
                "port = 99999999999999999999999999999999999999999",
                "1:8: port: invalid value \"99999999999999999999999999999999999999999\" (expected a number",
            ),
            (
                "listen = [\"80,81\", \"82\",\n \"x\"]",
                "2:2: listen: invalid value \"x\" (expected ADDR:PORT, [IPv6]:PORT, :PORT or PORT (no name",
            ),
            ("listen = [\"80\", \":80\"]", "1:17: listen: invalid value \":80\" (0.0.0.0:80 is given twice)"),
            ("port = 80\nlisten = [\"81\"]", "2:11: listen: contradicts port (one of the two is allowed)"),
            // Syntax.
            ("workers = ", "1:11: workers: has no value"),
            (
                "log_level = info # all",
                "1:13: log_level: info is no value (text stands in quotation marks: \"info\")",
            ),
            ("x = 1\n root=/srv", "2:7: root: /srv is no value (text stands in quotation marks: \"/srv\")"),
            ("idle_timeout = 60s", "1:16: idle_timeout: 60s is no value (text stands in quotation marks: "),
            ("workers\n", "1:8: key with no value (expected `=`)"),
            ("name = \"a", "1:10: invalid basic string (expected `\"`)"),
            ("\n[x", "2:3: unclosed table (expected `]`)"),
            ("workers = 4 5", "1:11: workers: 4 5 is no value"),
            ("workers = 4 port = 5", "1:18: unexpected key or value (expected newline, `#`)"),
            ("workers = 04", "1:11: workers: 04 is no value"),
            ("listen = [80", "1:13: unclosed array"),
        ] {
            let found = settled(text).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
            assert!(!found.contains('\n') && found.len() > "may.toml:1:10: ".len(), "{text:?}: {found}");
        }
        let found = settled(b"name = \"x\"\n# \xff\n").unwrap_err();
        assert_eq!(found, "may.toml:2:3: is not text in UTF-8");
    }

    #[test]
    fn the_place_of_a_value_can_be_named() {
        let layer = parse(Path::new("may.toml"), b"\nport = 80\n").unwrap();
        assert_eq!(layer.origin.locate("port"), "may.toml:2");
    }

    #[test]
    fn a_file_that_can_not_be_read_is_named() {
        let layer = |path: &str| super::super::layer_of(Path::new(path));
        let absent = layer("/absent/may.toml").unwrap_err();
        assert_eq!(
            absent.to_string(),
            "cannot read the settings in /absent/may.toml: no such file or directory"
        );
        let endless = layer("/dev/zero").unwrap_err();
        assert_eq!(endless.to_string(), "cannot read the settings in /dev/zero: it is longer than 1 MiB");
        assert_eq!((absent.exit_code(), endless.exit_code()), (2, 2));
    }
}
