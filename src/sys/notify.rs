//! Datagrams to the service manager (sd_notify(3)), and what it asks of the process in return (sd_watchdog_enabled(3)).
//!
//! Sends what it is given; what to say and when is the master's business. The subtle rule: the variables stay in the
//! environment, because a binary that takes this one's place in an upgrade reports to the same service manager.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// How long a send waits for a service manager whose queue is full.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Notifier {
    /// The way that `NOTIFY_SOCKET` names.
    ///
    /// # Errors
    /// `Unsupported` for an address that is neither a path nor abstract, and what socket(2) says.
    pub fn to(address: &OsStr) -> io::Result<Notifier> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path @ [b'/', ..] => SocketAddrUnix::new(path)?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        Ok(Notifier { socket, address })
    }

    /// Sends lines of `NAME=value`. Waits a second at most.
    ///
    /// # Errors
    /// What sendto(2) says, such as `ENOENT`, `ECONNREFUSED`, or `EAGAIN` when the time is up.
    pub fn send(&self, lines: &str) -> io::Result<()> {
        rustix::net::sendto(&self.socket, lines.as_bytes(), SendFlags::NOSIGNAL, &self.address)?;
        Ok(())
    }
}

/// The time within which the service manager wants to hear from this process, `WATCHDOG_USEC`, if it is this one that
/// it wants to hear from.
pub fn watchdog(microseconds: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(super::process::id())) {
        return None;
    }
    let microseconds: u64 = microseconds?.parse().ok().filter(|&microseconds| microseconds > 0)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_heeded_where_it_means_this_process() {
        let own = super::super::process::id().to_string();
        for (microseconds, pid, expected) in [
            (Some("3000000"), None, Some(3000)),
            (Some("3000000"), Some(own.as_str()), Some(3000)),
            (Some("3000000"), Some("1"), None),
            (Some("3000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
            (None, Some(own.as_str()), None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(watchdog(microseconds, pid), expected, "{microseconds:?} {pid:?}");
        }
    }

    #[test]
    fn an_address_is_a_path_or_abstract() {
        for (address, fits) in
            [("/run/x", true), ("@x", true), ("", false), ("run/x", false), ("vsock:2:1", false)]
        {
            assert_eq!(Notifier::to(OsStr::new(address)).is_ok(), fits, "{address}");
        }
    }
}
