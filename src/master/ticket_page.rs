//! The memory with the keys of TLS tickets: makes it when TLS is first served, and has the keys rotated.
//!
//! All generations share it, and so does the program that an upgrade starts ([`super::handover`]).

use std::time::Duration;

use super::state::Master;
use crate::config::Settings;
use crate::error::{StartupError, cause};
use crate::sys::secret_page::SecretPage;
use crate::sys::timer;
use crate::tls::ticket_keys::TicketKeys;

/// The keys for workers with these settings, in a page that is made if there is none; `None` without TLS.
///
/// # Errors
/// [`StartupError::System`].
pub fn ticket_keys(
    page: &mut Option<SecretPage>,
    settings: &Settings,
) -> Result<Option<TicketKeys>, StartupError> {
    if settings.tls_listen.is_empty() {
        return Ok(None);
    }
    let failed = |step| move |source| StartupError::System { step, source };
    if page.is_none() {
        *page = Some(SecretPage::new().map_err(failed("map the keys of TLS tickets"))?);
    }
    let keys = page.as_ref().map(TicketKeys::in_page);
    keys.map(|keys| {
        let rotated = keys.rotate_if_due(timer::monotonic());
        rotated.map(|()| keys).map_err(failed("make a key for TLS tickets"))
    })
    .transpose()
}

impl Master {
    /// When the next key is due, if there are any.
    pub(super) fn ticket_key_due(&self) -> Option<Duration> {
        self.ticket_page.as_ref().map(|page| TicketKeys::in_page(page).due())
    }

    /// Writes the next key, if it is due.
    pub(super) fn rotate_ticket_keys(&self) {
        let Some(page) = &self.ticket_page else { return };
        if let Err(error) = TicketKeys::in_page(page).rotate_if_due(timer::monotonic()) {
            ::log::error!("cannot make a key for TLS tickets: {}", cause(&error));
        }
    }
}
