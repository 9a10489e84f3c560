//! What the master gives a worker.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Settings;
use crate::log::access;
use crate::metrics::{HostNumber, Row};
use crate::password::users::Users;
use crate::sandbox::Sandbox;
use crate::sys::file::Root;
use crate::sys::process::Identity;
use crate::sys::socket;
use crate::tls::ServerConfig;
use crate::tls::resolver::CertificateResolver;

/// A listener, and how connections begin there.
pub struct Listener {
    /// Listening, and non-blocking.
    pub socket: OwnedFd,
    /// Whether each connection must begin with a PROXY header.
    pub proxy_header: bool,
    /// Whether each connection begins with TLS, after the PROXY header.
    pub tls: bool,
}

/// All that a worker is given.
pub struct WorkerStart {
    /// Its slot's index.
    pub slot: usize,
    /// The master's process id.
    pub master: i32,
    /// The worker's end of the link.
    pub link: OwnedFd,
    /// Its slot's listeners, one for each address.
    pub listeners: Vec<Listener>,
    /// True if it accepts only when the master says so.
    pub waits: bool,
    /// The site's root and the path it was opened by; without a root the welcome page is served.
    pub root: Option<(Root, PathBuf)>,
    /// The directories of locations and the paths they were opened by, as [`Settings::directories`] has them.
    pub directories: Vec<(Root, PathBuf)>,
    /// The user to become.
    pub identity: Option<Identity>,
    /// The access logs, as [`Settings::access_logs`] has them.
    pub access: Vec<access::AccessLogOutput>,
    /// The users files, as [`Settings::users_files`] has them.
    pub users: Vec<Arc<Users>>,
    /// What all TLS connections share; `None` without a TLS listener.
    pub tls: Option<Arc<ServerConfig>>,
    /// What chooses their certificates.
    pub certificates: Option<Arc<CertificateResolver>>,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most inotify watches at once.
    pub watches: usize,
    /// How the worker confines itself.
    pub sandbox: Sandbox,
    /// The row that the worker counts in.
    pub metrics: Row,
    /// The numbers that it counts the hosts by, in the order of the settings.
    pub host_numbers: Vec<HostNumber>,
    /// The settings of its generation.
    pub settings: Settings,
}

/// The address of a listener, for messages.
pub fn address_of(listener: &OwnedFd) -> String {
    let address = socket::local_address(listener).map(|address| address.to_string()).ok();
    address.or_else(|| socket::local_path(listener)).unwrap_or_else(|| "a listener".to_owned())
}
