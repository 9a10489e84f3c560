//! The announcement once a generation serves: what is served, and at which addresses.

use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::generation::Generation;
use super::listeners::is_inherited_tls;
use super::state::Master;
use crate::config::address::reachable;
use crate::sys::{socket, stream};

impl Master {
    /// Announces that this generation serves, in the log and to the service manager. The first one is also
    /// announced on standard output, or to the process that waits for a start in the background.
    pub(super) fn announce(&mut self, number: u32) {
        let Some(generation) = self.generations.iter().find(|g| g.number == number) else { return };
        if number == 1 {
            let text = self.addresses(generation);
            if !self.background_start.served(&text) {
                // An error is ignored: the server serves although standard output is closed.
                stream::print(io::stdout().as_fd(), text.as_bytes());
            }
        }
        let (what, workers) = (generation.what(), generation.settings.workers);
        self.systemd.ready(&format!("generation {number} serves {what} with {workers} workers"));
        let connections = generation.connections();
        ::log::info!("generation {number} serves {what} with {workers} workers of {connections} connections");
    }

    /// What a generation serves, and its addresses, one a line. Writing to a string can't fail.
    fn addresses(&self, generation: &Generation) -> String {
        let workers = generation.settings.workers;
        let plural = if workers == 1 { "" } else { "s" };
        let mut text = format!("mayhttpd serves {} with {workers} worker{plural}:\n", generation.what());
        for group in &generation.listeners.groups {
            let _ = writeln!(text, "  {}://{}/", scheme(group.tls), reachable(group.bound));
        }
        let mut inherited: Vec<_> = generation.listeners.inherited.iter().collect();
        let is_tls = |listener: &OwnedFd| is_inherited_tls(&generation.settings, listener);
        inherited.sort_by_key(|listener| is_tls(listener));
        for listener in inherited {
            if let Ok(address) = socket::local_address(listener) {
                let _ = writeln!(text, "  {}://{}/", scheme(is_tls(listener)), reachable(address));
            } else if let Some(path) = socket::local_path(listener) {
                let _ = writeln!(text, "  unix:{path}");
            }
        }
        if let Some(address) = self.admin.address() {
            let _ = writeln!(text, "  admin: http://{}/status", reachable(address));
        }
        text
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}
