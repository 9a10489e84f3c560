//! The rows about a running server.

use crate::config::Settings;
use crate::config::row::{AllowedIn, ReadSetting, SettingRow};
use crate::config::show::{self, Shown};

const SECTION: SettingRow = SettingRow { section: "Running", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "pid-file",
        value_name: "FILE",
        help: "The file with the master's process id",
        default: "none",
        read: ReadSetting::Path(|s, path| s.pid_file = Some(path.to_owned())),
        show: pid_file,
        ..SECTION
    },
    SettingRow {
        long: "signal",
        short: Some('s'),
        value_name: "WORD",
        help: "Signal the running server of --pid-file: stop, quit, reload, reopen or upgrade",
        allowed_in: AllowedIn::CommandLine,
        ..SECTION
    },
];

fn pid_file(s: &Settings) -> Shown {
    s.pid_file.as_deref().map_or_else(|| Shown::Comment("none".to_owned()), show::path)
}
