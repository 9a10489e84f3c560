//! Datagrams to the service manager (sd_notify(3)), and the watchdog interval that it asks for
//! (sd_watchdog_enabled(3)).
//!
//! Only sends; `master/systemd.rs` decides what and when. The variables stay in the environment, because the
//! new program of an upgrade reports to the same service manager.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// How long a send waits while the service manager's queue is full.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Notifier {
    /// Opens a socket to the address in `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// `Unsupported` for an address that is neither a path nor abstract; see socket(2).
    pub fn to(address: &OsStr) -> io::Result<Notifier> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path @ [b'/', ..] => SocketAddrUnix::new(path)?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(SEND_TIMEOUT))?;
        Ok(Notifier { socket, address })
    }

    /// Sends lines of `NAME=value` as one datagram. Waits for a second at most.
    ///
    /// # Errors
    /// See sendto(2), such as `ENOENT`, `ECONNREFUSED`, or `EAGAIN` after a second.
    pub fn send(&self, lines: &str) -> io::Result<()> {
        rustix::net::sendto(&self.socket, lines.as_bytes(), SendFlags::NOSIGNAL, &self.address)?;
        Ok(())
    }
}

/// The watchdog interval that the service manager asks of this process: `microseconds` is `WATCHDOG_USEC`,
/// `pid` is `WATCHDOG_PID`. `None` if there is none, or if it is meant for another process.
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
    fn the_watchdog_is_for_the_process_that_it_names() {
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
