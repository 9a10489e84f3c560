//! Signals as a readable descriptor (signalfd(2)), and the dispositions that master and workers need.
//!
//! The subtle rule: blocked signals cross a fork, so a worker sets its own mask before it does anything else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// TERM or INT: stop at once.
    Stop,
    /// QUIT: stop when the clients have been served.
    Drain,
    /// CHLD: a child ended.
    Child,
}

/// A descriptor that delivers the signals it was made for.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals of the master and has them arrive here. Those that other servers know, and that mean nothing
    /// here, are ignored rather than deadly.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn of_master() -> io::Result<Signals> {
        // Inherited as ignored, CHLD would have the kernel reap the workers unseen.
        set_disposition(Signal::SIGCHLD, SigHandler::SigDfl)?;
        for ignored in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH] {
            set_disposition(ignored, SigHandler::SigIgn)?;
        }
        Signals::of(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGCHLD])
    }

    /// Blocks the signals of a worker. INT and QUIT reach a whole terminal's process group; they are the master's to
    /// handle, so a worker ignores its copies. TERM sent to a worker alone stops it.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn of_worker() -> io::Result<Signals> {
        for ignored in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
            set_disposition(ignored, SigHandler::SigIgn)?;
        }
        SigSet::all().thread_unblock()?;
        Signals::of(&[Signal::SIGTERM])
    }

    fn of(signals: &[Signal]) -> io::Result<Signals> {
        let mut mask = SigSet::empty();
        for &signal in signals {
            mask.add(signal);
        }
        mask.thread_block()?;
        Ok(Signals(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Takes the next signal that has arrived, if any.
    pub fn next(&self) -> Option<Request> {
        loop {
            let info = self.0.read_signal().ok()??;
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
            match signal {
                Some(Signal::SIGTERM | Signal::SIGINT) => return Some(Request::Stop),
                Some(Signal::SIGQUIT) => return Some(Request::Drain),
                Some(Signal::SIGCHLD) => return Some(Request::Child),
                _ => {}
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Signals {
    fn as_raw_fd(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.0.as_fd())
    }
}

/// Gives SIGSEGV and SIGBUS back their default: the coroutine library's handler resumes past a fault without running
/// destructors, so a lock stays held for ever. A worker that dies is replaced; one that hangs is not.
///
/// # Errors
/// What sigaction(2) says.
pub fn die_of_memory_faults() -> io::Result<()> {
    set_disposition(Signal::SIGSEGV, SigHandler::SigDfl)?;
    set_disposition(Signal::SIGBUS, SigHandler::SigDfl)
}

fn set_disposition(signal: Signal, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is SIG_IGN or SIG_DFL, so no code of ours runs in signal context.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}
