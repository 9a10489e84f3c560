//! Processes that are not children of this one, by a descriptor (pidfd_open(2)).
//!
//! **Invariant:** a process id can pass to another process, a descriptor always means the same one. Check
//! which process it is after the descriptor is open, not before.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::process::wait_readable;
use super::signal::{self, SignalRequest};

/// A process, even if its id passes to another one.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process with this id, if there is one.
    ///
    /// # Errors
    /// See pidfd_open(2), such as `EMFILE`.
    pub fn of(pid: i32) -> io::Result<Option<Process>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Process(process))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends it the signal for a request.
    ///
    /// # Errors
    /// `ESRCH` if it has ended, `EPERM` without the permission.
    pub fn signal(&self, request: SignalRequest) -> io::Result<()> {
        let signal = signal::number(request).and_then(Signal::from_named_raw);
        let Some(signal) = signal else { return Err(io::ErrorKind::InvalidInput.into()) };
        Ok(rustix::process::pidfd_send_signal(&self.0, signal)?)
    }

    /// Waits up to `timeout` for its end. Returns true if it has ended.
    ///
    /// # Errors
    /// See poll(2).
    pub fn has_ended(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_readable(&[self.0.as_fd()], Some(timeout))?.contains(&true))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_signalled_and_its_end_is_seen() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap().unwrap();
        assert!(!process.has_ended(Duration::ZERO).unwrap());
        process.signal(SignalRequest::Stop).unwrap();
        assert!(process.has_ended(Duration::from_secs(30)).unwrap());
        child.wait().unwrap();
        assert!(process.signal(SignalRequest::Stop).is_err());
        assert!(Process::of(0).unwrap().is_none());
    }
}
