//! What the service manager is told, in the words of sd_notify(3): that all workers serve, that the settings are being
//! read again, that the server stops, and, as often as it wants to hear it, that the master is alive.
//!
//! Without a service manager all of this does nothing. The subtle rule: a report that fails is logged and forgotten. A
//! server that serves must not end because nobody could be told of it.

use std::time::Duration;

use crate::sys::notify::{self, Notifier};
use crate::sys::process;

/// The way to the service manager, if there is one. All times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct Report {
    manager: Option<Notifier>,
    /// How often it wants to hear from the master, and when it does next.
    pulse: Option<(Duration, Duration)>,
}

impl Report {
    /// To the service manager that the environment names. A master that was `handed` its listeners by another is the
    /// one to watch after that one, whom the variables still name.
    pub fn from_environment(now: Duration, handed: bool) -> Report {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Report::default();
        };
        let manager = match Notifier::to(&address) {
            Ok(manager) => Some(manager),
            Err(error) => {
                ::log::warn!("cannot report to {}: {error}", address.display());
                None
            }
        };
        let (limit, pid) =
            (std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok().filter(|_| !handed));
        // Half of the time that it waits, as sd_watchdog_enabled(3) advises.
        let pulse = notify::watchdog(limit.as_deref(), pid.as_deref()).map(|limit| (limit / 2, now));
        Report { manager, pulse }
    }

    /// All workers serve, or serve again with new settings. `status` is for people, one line.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}\nMAINPID={}", one_line(status), process::id()));
    }

    /// The settings are being read again; [`Report::ready`] is to follow.
    pub fn reloading(&self, now: Duration) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The server stops, at once or when its clients have been served.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// This master leaves and the one with this process id stays.
    pub fn handed_on(&self, pid: i32) {
        self.send(&format!("MAINPID={pid}"));
    }

    /// When the next pulse is due.
    pub fn due(&self) -> Option<Duration> {
        self.pulse.map(|(_, next)| next)
    }

    /// Says that the master is alive, if that is due.
    pub fn beat(&mut self, now: Duration) {
        let Some((period, next)) = &mut self.pulse else { return };
        if now >= *next {
            *next = now + *period;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, lines: &str) {
        let Some(manager) = &self.manager else { return };
        if let Err(error) = manager.send(lines) {
            ::log::warn!("cannot report to the service manager: {error}");
        }
    }
}

/// A line break would end the assignment and begin another.
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
        let to = Notifier::to(path.as_os_str()).unwrap();
        let mut report = Report { manager: Some(to), pulse: Some((second, second * 10)) };
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
        assert!(manager.recv(&mut [0; 8]).is_err(), "a pulse before its time");
        std::fs::remove_file(path).unwrap();
        report.stopping("to nobody");
    }

    #[test]
    fn without_a_service_manager_nothing_is_due() {
        let mut report = Report::default();
        report.ready("serving");
        report.beat(Duration::from_secs(1));
        assert_eq!(report.due(), None);
    }
}
