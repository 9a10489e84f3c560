//! The rows of flags about the settings themselves: which files to read, and to check or print them.

use crate::config::row::{AllowedIn, ReadSetting, SettingRow};

const SECTION: SettingRow = SettingRow { section: "Settings", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "config",
        short: Some('c'),
        value_name: "FILE",
        help: "A settings file in TOML; its keys are the long flags with underscores",
        allowed_in: AllowedIn::OutsideFiles,
        read: ReadSetting::SettingsFile,
        ..SECTION
    },
    SettingRow {
        long: "defaults",
        value_name: "FILE",
        help: "A second settings file, of the lowest rank; for a package or an image",
        allowed_in: AllowedIn::OutsideFiles,
        read: ReadSetting::SettingsFile,
        ..SECTION
    },
    SettingRow {
        long: "test",
        short: Some('t'),
        help: "Check the settings, the root and the user, and exit",
        allowed_in: AllowedIn::CommandLine,
        excludes: &["dump"],
        ..SECTION
    },
    SettingRow {
        long: "dump",
        short: Some('T'),
        help: "Print every setting and its source, as a settings file, and exit",
        allowed_in: AllowedIn::CommandLine,
        ..SECTION
    },
];
