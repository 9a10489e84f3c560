//! The user that workers and the admin process become.

use crate::config::Settings;
use crate::error::StartupError;
use crate::sys::process::{self, Identity};

/// The unprivileged user that workers become when root starts the server, and its number where it has no
/// name.
const UNPRIVILEGED: (&str, &str) = ("nobody", "65534");

/// The user that the settings ask for, or an unprivileged one. `None` without root's rights: then the user
/// stays.
///
/// # Errors
/// [`StartupError::User`] where there is no such user.
pub fn look_up(settings: &Settings) -> Result<Option<Identity>, StartupError> {
    if !process::is_root() {
        if settings.user.is_some() || settings.group.is_some() {
            ::log::warn!("--user and --group need root to start the server; they are ignored");
        }
        return Ok(None);
    }
    let group = settings.group.as_deref();
    let found = match settings.user.as_deref() {
        Some(user) => process::look_up(user, group),
        None => process::look_up(UNPRIVILEGED.0, group).or_else(|_| process::look_up(UNPRIVILEGED.1, group)),
    };
    let name = || settings.user.clone().unwrap_or_else(|| UNPRIVILEGED.0.to_owned());
    found.map(Some).map_err(|why| StartupError::User { name: name(), why })
}
