//! The flat settings file: `key value # comment` on each line, as small servers keep it in /etc/httpd.conf.
//!
//! It owns this notation; the keys are in the table. It reads no value. A key that is not known is ignored
//! with a warning, because such a file has keys of other servers. A known key is as strict as in TOML.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::given::{Given, SettingOrigin, SettingSource};
use crate::config::row::SettingRow;
use crate::config::source_map::{Fault, SourceMap};
use crate::config::{suggest, table};
use crate::error::StartupError;

/// True if the file at `path` has this format, by its name.
pub fn is_httpd_conf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conf")
}

/// Reads `bytes`, the content of the file at `path`.
///
/// # Errors
/// [`StartupError::Line`] for the first known key that is not used as allowed.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<SettingSource, StartupError> {
    let map = SourceMap::new(path, bytes);
    let mut source = SettingSource::default();
    let mut start = 0;
    for line in map.bytes.split_inclusive(|&byte| byte == b'\n') {
        let code = without_comment(line);
        let at = start + code.len() - code.trim_ascii_start().len();
        start += line.len();
        let code = code.trim_ascii();
        if !code.is_empty() {
            entry(&map, at, code, &mut source)?;
        }
    }
    Ok(source)
}

/// Reads a line, which begins at `at`.
fn entry(
    map: &SourceMap<'_>,
    at: usize,
    code: &[u8],
    source: &mut SettingSource,
) -> Result<(), StartupError> {
    let key = &code[..code.iter().position(u8::is_ascii_whitespace).unwrap_or(code.len())];
    let value = code[key.len()..].trim_ascii_start();
    let Some(row) = keys().find(|row| row.httpd_conf.as_bytes() == key) else {
        source.warnings.push(unknown(map, at, key));
        return Ok(());
    };
    let fault = |why: &str| map.error(Fault::of(row.httpd_conf, at, why));
    if value.is_empty() {
        return Err(fault("has no value"));
    }
    let origin = SettingOrigin::in_file(map, row.httpd_conf, at + code.len() - value.len());
    let given = Given::of_bytes(row, OsStr::from_bytes(value), &origin)?;
    if !row.is_list() && source.find(row.long).is_some() {
        return Err(fault("duplicate key (only listen may be repeated)"));
    }
    source.given.extend(given);
    Ok(())
}

/// The rows that have a key here.
fn keys() -> impl Iterator<Item = &'static SettingRow> {
    table::settings().filter(|row| !row.httpd_conf.is_empty())
}

/// The part of a line before its comment. A number sign within a word, as in a path, begins no comment.
fn without_comment(line: &[u8]) -> &[u8] {
    let begins = |&at: &usize| line[at] == b'#' && (at == 0 || line[at - 1].is_ascii_whitespace());
    &line[..(0..line.len()).find(begins).unwrap_or(line.len())]
}

fn unknown(map: &SourceMap<'_>, at: usize, key: &[u8]) -> String {
    let (place, key) = (map.locate(at), String::from_utf8_lossy(key));
    let warning = format!("{place}: unknown key {} is ignored", key.escape_debug());
    match suggest::nearest(&key.to_ascii_lowercase(), keys().map(|row| row.httpd_conf)) {
        Some(other) => format!("{warning} (did you mean {other}?)"),
        None => warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;

    fn of(text: impl AsRef<[u8]>) -> Result<SettingSource, String> {
        parse(Path::new("httpd.conf"), text.as_ref()).map_err(|error| error.to_string())
    }

    fn settings(text: impl AsRef<[u8]>) -> Result<Settings, String> {
        let machine = Machine { cpus: 2, has_document_root: false };
        resolve(&[of(text)?], machine).map_err(|error| error.to_string())
    }

    fn flags(source: &SettingSource) -> Vec<String> {
        let flag = |given: &Given| format!("--{}={}", given.row.long, given.text());
        source.given.iter().map(flag).collect()
    }

    #[test]
    fn a_key_means_a_setting() {
        for (text, expected) in [
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
            let source = of(text).unwrap();
            assert_eq!(flags(&source), expected, "{text:?}");
            assert_eq!(source.warnings, Vec::<String>::new(), "{text:?}");
        }
        let source = of(b"document_root /srv/\xfc\n").unwrap();
        assert_eq!(source.given[0].bytes().as_bytes(), b"/srv/\xfc");
    }

    #[test]
    fn a_key_of_another_server_is_ignored_with_its_place() {
        let source = of("ServerName x\n  Listen 80\ncpu_limt 3 \né\n").unwrap();
        assert_eq!(flags(&source), Vec::<String>::new());
        assert_eq!(
            source.warnings,
            [
                "httpd.conf:1:1: unknown key ServerName is ignored",
                "httpd.conf:2:3: unknown key Listen is ignored (did you mean listen?)",
                "httpd.conf:3:1: unknown key cpu_limt is ignored (did you mean cpu_limit?)",
                "httpd.conf:4:1: unknown key é is ignored",
            ]
        );
        let source = of(b"# \xff\n\xff\n").unwrap();
        assert_eq!(source.warnings, ["httpd.conf:2:1: unknown key \u{fffd} is ignored"]);
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
            ("port 80\nport 81", "2:1: port: duplicate key (only listen may be repeated)"),
            ("listen 80\nlisten web:80", "2:8: listen: invalid value \"web:80\" (expected ADDR:PORT, "),
            ("listen 80\n listen :80", "2:9: listen: invalid value \":80\" (*:80 is given twice)"),
            ("listen 80\nport 81", "1:8: listen: can't be combined with port"),
            ("host web", "1:6: host: invalid value \"web\" (expected an IP address or *"),
            ("port http", "1:6: port: invalid value \"http\" (expected a number from 0 to 65535)"),
        ] {
            let found = settings(text).unwrap_err();
            assert!(found.starts_with(&format!("httpd.conf:{error}")), "{text:?}: {found}");
        }
        let found = of(b"cpu_limit \xff").unwrap_err();
        assert_eq!(found, "httpd.conf:1:11: cpu_limit: invalid value \"\u{fffd}\" (expected text in UTF-8)");
    }

    #[test]
    fn the_name_of_a_file_says_that_it_is_httpd_conf() {
        for (name, expected) in [
            ("/etc/httpd.conf", true),
            ("x.conf", true),
            ("x.toml", false),
            ("x.conf.toml", false),
            ("conf", false),
            ("/etc/.conf", false),
            ("x.CONF", false),
        ] {
            assert_eq!(is_httpd_conf(Path::new(name)), expected, "{name}");
        }
    }
}
