//! Other processes that are no children of this one, by a descriptor (pidfd_open(2)).
//!
//! Does not decide whom to signal. The subtle rule: an id can be taken over by another process, a descriptor never
//! changes whom it means. So who a process is has to be asked again after this was opened.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::process::wait_readable;
use super::signal::{self, Request};

/// A process, whatever becomes of its id.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process that has this id now, if there is one.
    ///
    /// # Errors
    /// What pidfd_open(2) says, such as `EMFILE`.
    pub fn of(pid: i32) -> io::Result<Option<Process>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => Ok(Some(Process(process))),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends it the signal of a request.
    ///
    /// # Errors
    /// `ESRCH` when it has gone, `EPERM` without the right to.
    pub fn tell(&self, request: Request) -> io::Result<()> {
        let signal = signal::number(request).and_then(Signal::from_named_raw);
        let Some(signal) = signal else { return Err(io::ErrorKind::InvalidInput.into()) };
        Ok(rustix::process::pidfd_send_signal(&self.0, signal)?)
    }

    /// Waits up to `timeout` for its end, and tells whether it has come.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn has_ended(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_readable(&[self.0.as_fd()], Some(timeout))?.contains(&true))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_told_and_seen_to_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id().cast_signed()).unwrap().unwrap();
        assert!(!process.has_ended(Duration::ZERO).unwrap());
        process.tell(Request::Stop).unwrap();
        assert!(process.has_ended(Duration::from_secs(30)).unwrap());
        child.wait().unwrap();
        assert!(process.tell(Request::Stop).is_err());
        assert!(Process::of(0).unwrap().is_none());
    }
}
