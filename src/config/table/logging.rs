//! The rows of both logs.

use std::path::Path;

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::show::{self, Shown};
use crate::config::{AccessFormat, AccessLogTarget, LogFormat, Settings, value};

const SECTION: SettingRow = SettingRow { section: "Logging", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "log-level",
        short: Some('l'),
        aliases: &["level_log"],
        value_name: "LEVEL",
        help: "The least important level to log: error, warn, info, debug or trace",
        default: "info",
        read: ReadSetting::Text(|s, text| put(&mut s.log_level, value::level(text))),
        show: |s| show::text(&s.log_level.as_str().to_ascii_lowercase()),
        ..SECTION
    },
    SettingRow {
        long: "log-file",
        short: Some('f'),
        aliases: &["file_log"],
        value_name: "FILE",
        help: "The error log; - is standard error",
        default: "-",
        read: ReadSetting::Path(log_file),
        show: |s| show::path(s.log_file.as_deref().unwrap_or(Path::new("-"))),
        ..SECTION
    },
    SettingRow {
        long: "log-format",
        value_name: "FORMAT",
        help: "The format of the error log: text or json",
        default: "text",
        read: ReadSetting::Text(|s, text| put(&mut s.log_format, value::word(text, LogFormat::WORDS))),
        show: |s| show::text(value::word_of(s.log_format, LogFormat::WORDS)),
        ..SECTION
    },
    SettingRow {
        long: "access-log",
        value_name: "FILE|-|off",
        help: "The access log, a line for each request; - is standard output",
        default: "off",
        read: ReadSetting::Path(|s, path| s.access_log = AccessLogTarget::read(path)),
        show: access_log,
        ..SECTION
    },
    SettingRow {
        long: "access-format",
        value_name: "FORMAT",
        help: "The format of the access log: combined, common or json",
        default: "combined",
        read: ReadSetting::Text(|s, text| put(&mut s.access_format, value::word(text, AccessFormat::WORDS))),
        show: |s| show::text(value::word_of(s.access_format, AccessFormat::WORDS)),
        ..SECTION
    },
];

/// `-` is standard error.
fn log_file(s: &mut Settings, path: &Path) {
    s.log_file = (path.as_os_str() != "-").then(|| path.to_owned());
}

fn access_log(s: &Settings) -> Shown {
    match &s.access_log {
        AccessLogTarget::Off => show::text("off"),
        AccessLogTarget::Stdout => show::text("-"),
        AccessLogTarget::File(file) => show::path(file),
    }
}
