//! A row of the table of settings: everything that the program knows about one flag.
//!
//! It owns the type of a row. The rows are in [`table`](super::table), and what is made of them is in the
//! folder [`source`](super::source) and in [`dump`](super::dump).

use std::fmt;
use std::path::Path;

use super::Settings;
use super::scope::{self, ScopeSettings};
use super::show::Shown;
use super::table_key::TableKey;
use super::value::ListError;
pub use super::value::put;

/// The beginning of every variable.
pub const VARIABLE_PREFIX: &str = "MAYHTTPD_";

/// One flag, and the setting that it sets.
pub struct SettingRow {
    /// The long flag without its dashes. The variable and the key in a settings file are made from it.
    pub long: &'static str,
    /// The short flag.
    pub short: Option<char>,
    /// Other long flags for the same.
    pub aliases: &'static [&'static str],
    /// An earlier name, one of the aliases, whose key and variable are still read; empty where there is none.
    pub former: &'static str,
    /// The key in an httpd.conf; empty where that format has none.
    pub httpd_conf: &'static str,
    /// The heading above it in `--help` and in the dump.
    pub section: &'static str,
    /// What the help shows for the value; empty for a flag without one. It also says which types of TOML the
    /// key takes: `N` a number, `on|off` a boolean, `TIME` and `SIZE` a number or a string.
    pub value_name: &'static str,
    /// The value of a flag that stands alone; empty where the flag needs a value.
    pub alone: &'static str,
    /// A line of help, without the default.
    pub help: &'static str,
    /// The default in words; empty where the help has none.
    pub default: &'static str,
    /// Which sources may give it.
    pub allowed_in: AllowedIn,
    /// Settings that this one replaces, as `listen` replaces `host` and `port`: one source can't give both,
    /// and between two sources the higher one decides.
    pub replaces: &'static [&'static str],
    /// Flags that can't stand beside it on a command line.
    pub excludes: &'static [&'static str],
    /// How a text becomes the value.
    pub read: ReadSetting,
    /// How the value is written in a settings file.
    pub show: fn(&Settings) -> Shown,
}

/// The sources that may give a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedIn {
    /// Flags, variables and files.
    Everywhere,
    /// Flags and variables: it names a settings file.
    OutsideFiles,
    /// The command line alone: it says what to do now.
    CommandLine,
}

/// How a text becomes the value of a setting.
#[derive(Clone, Copy)]
pub enum ReadSetting {
    /// Text in UTF-8. An error says what is allowed.
    Text(fn(&mut Settings, &str) -> Result<(), String>),
    /// A path, which may have any bytes.
    Path(fn(&mut Settings, &Path)),
    /// All values of a list. An error also says which value is wrong.
    List(fn(&mut Settings, &[&str]) -> Result<(), ListError>),
    /// What may also be set for a host or a location: the row of the same key in [`scope`]
    /// reads and shows it.
    Scope,
    /// The path of a settings file; `load.rs` reads it.
    SettingsFile,
    /// Text, or nothing where the row has no `value_name`, which this table does not read: it says what to do
    /// now.
    Command,
}

impl SettingRow {
    /// A row with nothing in it, which each row of the table fills.
    pub const EMPTY: SettingRow = SettingRow {
        long: "",
        short: None,
        aliases: &[],
        former: "",
        httpd_conf: "",
        section: "",
        value_name: "",
        alone: "",
        help: "",
        default: "",
        allowed_in: AllowedIn::Everywhere,
        replaces: &[],
        excludes: &[],
        read: ReadSetting::Command,
        show: |_| Shown::Nothing,
    };

    /// The key in a settings file: `log_level` for `--log-level`.
    pub fn key(&self) -> String {
        self.long.replace('-', "_")
    }

    /// The variable: `MAYHTTPD_LOG_LEVEL` for `--log-level`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key().to_uppercase())
    }

    /// The variable of the earlier name, if there is one.
    pub fn former_variable(&self) -> Option<String> {
        (!self.former.is_empty()).then(|| format!("{VARIABLE_PREFIX}{}", self.former.to_uppercase()))
    }

    /// The flag with its dashes.
    pub fn flag(&self) -> String {
        format!("--{}", self.long)
    }

    /// True where it may be given more than once, and a text may hold several values with commas between
    /// them.
    pub fn is_list(&self) -> bool {
        match self.read {
            ReadSetting::List(_) => true,
            ReadSetting::Scope => self.scope_key().is_some_and(TableKey::is_list),
            _ => false,
        }
    }

    /// The row of the same key for hosts and locations, if they may have it.
    pub fn scope_key(&self) -> Option<&'static TableKey<ScopeSettings>> {
        match self.read {
            ReadSetting::Scope => scope::keys::by_name(&self.key()),
            _ => None,
        }
    }

    /// How the value of `settings` is written in a settings file.
    pub fn shown(&self, settings: &Settings) -> Shown {
        match self.scope_key() {
            Some(key) => {
                let value = (key.show)(&ScopeSettings::from(settings.scope.clone()));
                value.map_or(Shown::Nothing, Shown::Value)
            }
            None => (self.show)(settings),
        }
    }

    /// True where the value may have any bytes.
    pub fn is_path(&self) -> bool {
        matches!(self.read, ReadSetting::Path(_) | ReadSetting::SettingsFile)
    }

    /// The line of help with the default behind it.
    pub fn help_line(&self) -> String {
        match self.default {
            "" => self.help.to_owned(),
            default => format!("{} [default: {default}]", self.help),
        }
    }
}

impl PartialEq for SettingRow {
    fn eq(&self, other: &SettingRow) -> bool {
        self.long == other.long
    }
}

impl fmt::Debug for SettingRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.long)
    }
}
