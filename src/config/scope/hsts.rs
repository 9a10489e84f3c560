//! How long browsers use TLS alone for a host, `hsts` in the settings file: the Strict-Transport-Security
//! field (RFC 6797) of responses over TLS.

use std::time::Duration;

use crate::config::file_value::{FileValue, invalid};
use crate::config::source_map::Fault;
use crate::config::value;

/// What the key takes, as the end of a sentence.
pub const TAKES: &str = "false, a number or a string: TIME|off";

/// Whether responses over TLS have the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HstsSetting {
    /// Where `security_headers` is on, for a year.
    ByDefault,
    /// No.
    Off,
    /// With this age, 0 to 3650 days, in whole seconds. 0 makes browsers forget the host.
    MaxAge(Duration),
}

impl HstsSetting {
    /// Reads the value.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read(full: &str, value: &FileValue) -> Result<HstsSetting, Fault> {
        if value.switch() == Some(false) {
            return Ok(HstsSetting::Off);
        }
        let fault = |why| Fault::of(full, value.at, why);
        let text = value.text().or(value.number()).ok_or_else(|| fault(value.wrong_type(TAKES)))?;
        let age = value::or_off(text, value::lifetime).map_err(|why| fault(invalid(text, &why)))?;
        Ok(age.map_or(HstsSetting::Off, HstsSetting::MaxAge))
    }

    /// The value in TOML, if it has one.
    pub fn show(self) -> Option<String> {
        match self {
            HstsSetting::ByDefault => None,
            HstsSetting::Off => Some("false".to_owned()),
            HstsSetting::MaxAge(age) => Some(format!("\"{}s\"", age.as_secs())),
        }
    }
}
