//! What the keys of a location may hold beside each other.

use super::LocationSettings;
use crate::config::scope::keys::NEEDS_REDIRECT;
use crate::config::source_map::Fault;
use crate::config::table_key::KeyPlaces;

/// Checks a location that was read completely.
///
/// # Errors
/// The fault of a key.
pub fn check(location: &LocationSettings, places: &KeyPlaces) -> Result<(), Fault> {
    let response = location.response.as_ref();
    if response.is_some_and(|response| response.status == 204 && response.body.is_some()) {
        return Err(places.fault("return.body", "is not allowed with status 204"));
    }
    if let Some(Some(auth)) = &location.scope.auth
        && let Some(path) = auth.health_outside(&location.path)
    {
        return Err(places.fault("auth.health", format!("{path} is outside the location")));
    }
    let redirects = response.is_some_and(|response| (300..400).contains(&response.status));
    let fields = &location.scope.headers.0;
    let target = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    match target {
        Some((name, _)) if !redirects => Err(places.fault(&format!("headers.{name}"), NEEDS_REDIRECT)),
        None if redirects => {
            let why = "a redirect needs a Location header (headers = { Location = \"...\" })";
            Err(places.fault("return", why))
        }
        _ => Ok(()),
    }
}
