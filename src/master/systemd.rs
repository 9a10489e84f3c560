//! Reports to the service manager (sd_notify(3)): ready, reloading, stopping, and the watchdog's keep-alive.
//!
//! Without a service manager nothing is sent. A report that fails is logged and not repeated, since the
//! server can serve without it.

use std::time::Duration;

use crate::sys::notify::{self, Notifier};
use crate::sys::process;

/// The service manager, if there is one. All times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct ServiceManager {
    notifier: Option<Notifier>,
    /// The period of the keep-alive (`WATCHDOG=1`), and when the next one is due.
    watchdog: Option<(Duration, Duration)>,
}

impl ServiceManager {
    /// The service manager that the environment names. After an upgrade (`inherited` listeners)
    /// `WATCHDOG_PID` still names the old master, so it is ignored.
    pub fn from_environment(now: Duration, inherited: bool) -> ServiceManager {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return ServiceManager::default();
        };
        let notifier = match Notifier::to(&address) {
            Ok(notifier) => Some(notifier),
            Err(error) => {
                ::log::warn!("cannot report to {}: {error}", address.display());
                None
            }
        };
        let (limit, pid) =
            (std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok().filter(|_| !inherited));
        // Half of the interval, as sd_watchdog_enabled(3) advises.
        let watchdog = notify::watchdog(limit.as_deref(), pid.as_deref()).map(|limit| (limit / 2, now));
        ServiceManager { notifier, watchdog }
    }

    /// All workers serve, after the start or a reload. `status` is one line for the user.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}\nMAINPID={}", one_line(status), process::id()));
    }

    /// A reload begins. [`ServiceManager::ready`] must follow.
    pub fn reloading(&self, now: Duration) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The server stops or drains.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// This master ends, and the master with this process id replaces it.
    pub fn handed_on(&self, pid: i32) {
        self.send(&format!("MAINPID={pid}"));
    }

    /// When the next keep-alive is due.
    pub fn due(&self) -> Option<Duration> {
        self.watchdog.map(|(_, next)| next)
    }

    /// Sends the keep-alive, if it is due.
    pub fn beat(&mut self, now: Duration) {
        let Some((period, next)) = &mut self.watchdog else { return };
        if now >= *next {
            *next = now + *period;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, lines: &str) {
        let Some(notifier) = &self.notifier else { return };
        if let Err(error) = notifier.send(lines) {
            ::log::warn!("cannot report to the service manager: {error}");
        }
    }
}

/// Replaces control characters: a line break would start another assignment.
fn one_line(status: &str) -> String {
    status.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn each_report_is_one_datagram_of_assignments() {
        let path = std::env::temp_dir().join(format!("mayhttpd-report-{}", process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        let second = Duration::from_secs(1);
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        let mut report = ServiceManager { notifier: Some(notifier), watchdog: Some((second, second * 10)) };
        let heard = || {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        report.ready("serving a\nMAINPID=1");
        assert_eq!(heard(), format!("READY=1\nSTATUS=serving a MAINPID=1\nMAINPID={}", process::id()));
        report.reloading(Duration::from_nanos(12_345_678));
        assert_eq!(heard(), "RELOADING=1\nMONOTONIC_USEC=12345");
        report.handed_on(42);
        assert_eq!(heard(), "MAINPID=42");
        report.stopping("bye");
        assert_eq!(heard(), "STOPPING=1\nSTATUS=bye");
        report.beat(second * 9);
        assert_eq!(report.due(), Some(second * 10));
        report.beat(second * 10);
        assert_eq!(heard(), "WATCHDOG=1");
        assert_eq!(report.due(), Some(second * 11));
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut [0; 8]).is_err(), "a sign of life before its time");
        std::fs::remove_file(path).unwrap();
        report.stopping("without a listener");
    }

    #[test]
    fn without_a_service_manager_nothing_is_due() {
        let mut report = ServiceManager::default();
        report.ready("serving");
        report.beat(Duration::from_secs(1));
        assert_eq!(report.due(), None);
    }
}
