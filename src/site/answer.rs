//! What a request gets: plain data.

use std::sync::Arc;

use crate::http::response::Response;
use crate::metrics::HostNumber;
use crate::store::entry::Entry;

/// A response whose content may be a file of the store.
pub type SiteResponse = Response<Arc<Entry>>;

/// What a request gets.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub response: SiteResponse,
    /// The number of the access log that has the request, if one has it; see
    /// [`Settings::access_logs`](crate::config::Settings::access_logs).
    pub log: Option<u16>,
    /// The name of the user that has signed in.
    pub user: Option<Box<[u8]>>,
    /// The host that the request is counted by, if the settings have hosts.
    pub counted: Option<HostNumber>,
}
