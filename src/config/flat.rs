//! The flat settings file as a layer: `key value # comment` a line, as small servers keep it in /etc/httpd.conf.
//!
//! It owns the keys of this format and which settings they mean. The values stay unread. The subtle rule: a key that is
//! not known is passed over with a warning, since such a file carries keys of other servers; a known one is held to all
//! that a settings file is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::cli::{self, Raw};
use super::document::{Document, Text};
use super::layer::{Layer, Origin};
use super::spelling;
use crate::error::StartupError;

/// What each key means: the long name of a setting.
pub const KEYS: [(&str, &str); 6] = [
    ("cpu_limit", "workers"),
    ("thread_limit", "max-connections"),
    ("document_root", "root"),
    ("listen", "listen"),
    ("host", "host"),
    ("port", "port"),
];

/// Whether the file at `path` is of this format, by its name.
pub fn is_flat(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conf")
}

/// The layer that the file at `path` makes, were these its bytes, and a warning for each key that is passed over.
///
/// # Errors
/// [`StartupError::Line`] for the first known key that is not used as it may be.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<(Layer, Vec<String>), StartupError> {
    let text = Text::new(path, bytes);
    let mut document = Document::new(path);
    let mut arguments = Vec::new();
    let mut warnings = Vec::new();
    let mut start = 0;
    for line in text.bytes.split_inclusive(|&byte| byte == b'\n') {
        let said = without_comment(line);
        let at = start + said.len() - said.trim_ascii_start().len();
        start += line.len();
        let said = said.trim_ascii();
        if said.is_empty() {
            continue;
        }
        let key = &said[..said.iter().position(u8::is_ascii_whitespace).unwrap_or(said.len())];
        let value = said[key.len()..].trim_ascii_start();
        let Some((key, long)) = KEYS.into_iter().find(|(known, _)| known.as_bytes() == key) else {
            warnings.push(unknown(&text, at, key));
            continue;
        };
        if value.is_empty() {
            return Err(text.fault(at, Some(key), "has no value".to_owned()));
        }
        let argument = cli::argument(long, OsStr::from_bytes(value));
        let value_at = at + said.len() - value.len();
        // Tried alone, because the parser's error would name the flag and not the place.
        let raw = Raw::of([argument.clone()]).map_err(|_| {
            text.fault(
                value_at,
                Some(key),
                format!("invalid value {:?} (expected text in UTF-8)", lossy(value)),
            )
        })?;
        // A text with commas may make several values, all of which stand in this place.
        let values = raw.list_length().unwrap_or(1);
        let first = document.note(long, key, vec![text.place(value_at); values]);
        if !first && long != "listen" {
            return Err(text.fault(
                at,
                Some(key),
                "stands here again (each key but listen may stand once)".to_owned(),
            ));
        }
        arguments.push(argument);
    }
    let raw = Raw::of(arguments).map_err(|error| super::usage(&error))?;
    Ok((Layer { origin: Origin::File(document), raw }, warnings))
}

/// What stands before the comment. A number sign within a word, as in a path, begins none.
fn without_comment(line: &[u8]) -> &[u8] {
    let begins = |&at: &usize| line[at] == b'#' && (at == 0 || line[at - 1].is_ascii_whitespace());
    &line[..(0..line.len()).find(begins).unwrap_or(line.len())]
}

fn unknown(text: &Text<'_>, at: usize, key: &[u8]) -> String {
    let (place, key) = (text.locate(at), lossy(key));
    let warning = format!("{place}: unknown key {} is passed over", key.escape_debug());
    match spelling::nearest(&key.to_ascii_lowercase(), KEYS.iter().map(|(known, _)| *known)) {
        Some(other) => format!("{warning}, the nearest known one is {other}"),
        None => warning,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Machine, Settings};
    use super::*;

    fn of(text: impl AsRef<[u8]>) -> Result<(Layer, Vec<String>), String> {
        parse(Path::new("httpd.conf"), text.as_ref()).map_err(|error| error.to_string())
    }

    fn settled(text: impl AsRef<[u8]>) -> Result<Settings, String> {
        let (layer, _) = of(text)?;
        let machine = Machine { cpus: 2, document_root: false };
        Settings::settle(&[layer], machine).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_means_a_setting() {
        for (text, flags) in [
            ("", &[][..]),
            ("# all is a comment\n\n   \n", &[]),
            ("cpu_limit 4", &["--workers=4"]),
            ("\u{feff}cpu_limit\t4 # maximum CPU count\r\n", &["--workers=4"]),
            ("  thread_limit   256#", &["--max-connections=256#"]),
            ("thread_limit 256 #", &["--max-connections=256"]),
            ("document_root /var/www/my #1 site", &["--root=/var/www/my"]),
            ("document_root /var/www/my site#1", &["--root=/var/www/my site#1"]),
            ("listen 80", &["--listen=80"]),
            ("listen 0.0.0.0:80\nlisten [::]:80", &["--listen=0.0.0.0:80", "--listen=[::]:80"]),
            ("host ::1\nport 81", &["--host=::1", "--port=81"]),
        ] {
            let (layer, warnings) = of(text).unwrap();
            assert_eq!(layer.raw, Raw::of(flags.iter().map(|flag| flag.into())).unwrap(), "{text:?}");
            assert_eq!(warnings, Vec::<String>::new(), "{text:?}");
        }
        let (layer, _) = of(b"document_root /srv/\xfc\n").unwrap();
        assert_eq!(layer.raw.root.unwrap().as_os_str().as_bytes(), b"/srv/\xfc");
    }

    #[test]
    fn a_key_of_another_server_is_passed_over_with_its_place() {
        let (layer, warnings) = of("ServerName x\n  Listen 80\ncpu_limt 3 \né\n").unwrap();
        assert_eq!(layer.raw, Raw::default());
        assert_eq!(
            warnings,
            [
                "httpd.conf:1:1: unknown key ServerName is passed over",
                "httpd.conf:2:3: unknown key Listen is passed over, the nearest known one is listen",
                "httpd.conf:3:1: unknown key cpu_limt is passed over, the nearest known one is cpu_limit",
                "httpd.conf:4:1: unknown key é is passed over",
            ]
        );
        let (_, warnings) = of(b"# \xff\n\xff\n").unwrap();
        assert_eq!(warnings, ["httpd.conf:2:1: unknown key \u{fffd} is passed over"]);
    }

    #[test]
    fn what_is_wrong_with_a_known_key_is_an_error_with_its_place() {
        for (text, error) in [
            ("cpu_limit", "1:1: cpu_limit: has no value"),
            ("\n  cpu_limit # four", "2:3: cpu_limit: has no value"),
            (
                "cpu_limit four",
                "1:11: cpu_limit: invalid value \"four\" (expected a number from 1 to 1024, or auto)",
            ),
            (
                "cpu_limit 0 # none",
                "1:11: cpu_limit: invalid value \"0\" (expected a number from 1 to 1024, or auto)",
            ),
            (
                "x\nthread_limit 1 k",
                "2:14: thread_limit: invalid value \"1 k\" (expected a number from 1 to 4294967295, or auto)",
            ),
            ("port 80\nport 81", "2:1: port: stands here again (each key but listen may stand once)"),
            ("listen 80\nlisten web:80", "2:8: listen: invalid value \"web:80\" (expected ADDR:PORT, "),
            ("listen 80\n listen :80", "2:9: listen: invalid value \":80\" (0.0.0.0:80 is given twice)"),
            ("listen 80\nport 81", "1:8: listen: contradicts port (one of the two is allowed)"),
            ("host web", "1:6: host: invalid value \"web\" (expected an IP address "),
            ("port http", "1:6: port: invalid value \"http\" (expected a number from 0 to 65535)"),
        ] {
            let found = settled(text).unwrap_err();
            assert!(found.starts_with(&format!("httpd.conf:{error}")), "{text:?}: {found}");
        }
        let found = of(b"cpu_limit \xff").unwrap_err();
        assert_eq!(found, "httpd.conf:1:11: cpu_limit: invalid value \"\u{fffd}\" (expected text in UTF-8)");
    }

    #[test]
    fn the_name_of_a_file_says_that_it_is_flat() {
        for (name, flat) in [
            ("/etc/httpd.conf", true),
            ("x.conf", true),
            ("x.toml", false),
            ("x.conf.toml", false),
            ("conf", false),
            ("/etc/.conf", false),
            ("x.CONF", false),
        ] {
            assert_eq!(is_flat(Path::new(name)), flat, "{name}");
        }
    }
}
