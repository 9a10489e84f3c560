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
    /// HUP: settle the settings anew.
    Reload,
    /// USR1: open the logs anew.
    Reopen,
    /// USR2: start the program anew beside this one.
    Upgrade,
    /// WINCH: have the workers leave.
    Empty,
    /// TTIN: one worker more.
    More,
    /// TTOU: one worker less.
    Fewer,
}

/// What each signal asks of a master, as nginx has it.
const REQUESTS: [(Signal, Request); 10] = [
    (Signal::SIGTERM, Request::Stop),
    (Signal::SIGINT, Request::Stop),
    (Signal::SIGQUIT, Request::Drain),
    (Signal::SIGCHLD, Request::Child),
    (Signal::SIGHUP, Request::Reload),
    (Signal::SIGUSR1, Request::Reopen),
    (Signal::SIGUSR2, Request::Upgrade),
    (Signal::SIGWINCH, Request::Empty),
    (Signal::SIGTTIN, Request::More),
    (Signal::SIGTTOU, Request::Fewer),
];

/// A descriptor that delivers the signals it was made for.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals of the master and has them arrive here.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn of_master() -> io::Result<Signals> {
        // Inherited as ignored, CHLD would have the kernel reap the workers unseen.
        set_disposition(Signal::SIGCHLD, SigHandler::SigDfl)?;
        let requests = REQUESTS.map(|(signal, _)| signal);
        Signals::of(&requests)
    }

    /// Blocks the signals of a worker. Some reach a whole terminal's process group; all are the master's to handle, so a
    /// worker ignores its copies. TERM sent to a worker alone stops it.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub fn of_worker() -> io::Result<Signals> {
        for (ignored, _) in REQUESTS.into_iter().filter(|(signal, _)| *signal != Signal::SIGCHLD) {
            set_disposition(ignored, SigHandler::SigIgn)?;
        }
        set_disposition(Signal::SIGTERM, SigHandler::SigDfl)?;
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
            let found = REQUESTS.iter().find(|(known, _)| Some(*known) == signal);
            if let Some((_, request)) = found {
                return Some(*request);
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

/// The number of the signal that stands for a request.
pub fn number(request: Request) -> Option<i32> {
    REQUESTS.iter().find(|(_, known)| *known == request).map(|(signal, _)| *signal as i32)
}
