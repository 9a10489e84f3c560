//! The page that a health check asks for, and how its server is talked to.

use crate::config::{Settings, address};

/// A page of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPage {
    /// Its URL as it was given, unread, or made from the settings.
    pub url: String,
    /// True if connections begin with a PROXY header there.
    pub proxy_header: bool,
    /// True if they begin with TLS, after that.
    pub tls: bool,
}

impl CheckedPage {
    /// The page at a URL of the command line.
    pub fn at(url: String) -> CheckedPage {
        CheckedPage { url, proxy_header: false, tls: false }
    }

    /// The page that tells whether a server with these settings is healthy: at its admin listener, which also
    /// knows of a drain and of silent workers, else at its first address, one without TLS if there is any. An
    /// admin listener at port 0 can't be found from outside.
    pub fn of_server(settings: &Settings) -> CheckedPage {
        if let Some(address) = settings.admin.filter(|address| address.port() != 0) {
            return CheckedPage::at(format!("http://{}/healthz", address::reachable(address)));
        }
        let plain = settings.listen.iter().map(|address| (*address, false));
        let tls = settings.tls_listen.iter().map(|address| (*address, true));
        // The settings have one of both.
        let (first, tls) = plain.chain(tls).next().unwrap_or((address::DEFAULT, false));
        let proxy_header = settings.proxy_protocol.iter().any(|name| name.matches(first));
        let scheme = if tls { "https" } else { "http" };
        CheckedPage { url: format!("{scheme}://{}/", address::reachable(first)), proxy_header, tls }
    }
}
