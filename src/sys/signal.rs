//! Signals as a readable descriptor (signalfd(2)), and the dispositions of master and children.
//!
//! **Invariant:** a child inherits the mask of blocked signals, so it sets its own before anything else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks the process to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// TERM or INT: stop at once.
    Stop,
    /// QUIT: stop when all clients are served.
    Drain,
    /// CHLD: a child ended.
    Child,
    /// HUP: read the settings again.
    Reload,
    /// USR1: reopen the logs.
    Reopen,
    /// USR2: start the new program beside this one.
    Upgrade,
    /// WINCH: drain all workers and keep the master.
    DrainWorkers,
    /// TTIN: add a worker.
    AddWorker,
    /// TTOU: remove a worker.
    RemoveWorker,
}

/// The signals of the master: those of nginx, and TTIN and TTOU of gunicorn.
const REQUESTS: [(Signal, SignalRequest); 10] = [
    (Signal::SIGTERM, SignalRequest::Stop),
    (Signal::SIGINT, SignalRequest::Stop),
    (Signal::SIGQUIT, SignalRequest::Drain),
    (Signal::SIGCHLD, SignalRequest::Child),
    (Signal::SIGHUP, SignalRequest::Reload),
    (Signal::SIGUSR1, SignalRequest::Reopen),
    (Signal::SIGUSR2, SignalRequest::Upgrade),
    (Signal::SIGWINCH, SignalRequest::DrainWorkers),
    (Signal::SIGTTIN, SignalRequest::AddWorker),
    (Signal::SIGTTOU, SignalRequest::RemoveWorker),
];

/// The signals that end a command.
const ENDING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// A descriptor that delivers a set of signals.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals of the master; the descriptor delivers them.
    ///
    /// # Errors
    /// See signalfd(2).
    pub fn of_master() -> io::Result<Signals> {
        // If CHLD was inherited as ignored, the kernel would reap the workers itself.
        set_disposition(Signal::SIGCHLD, SigHandler::SigDfl)?;
        let requests = REQUESTS.map(|(signal, _)| signal);
        Signals::of(&requests)
    }

    /// Blocks TERM, which stops a child; the descriptor delivers it. The other signals of the master are
    /// ignored, because a terminal sends some of them to the whole process group.
    ///
    /// # Errors
    /// See signalfd(2).
    pub fn of_worker() -> io::Result<Signals> {
        for (ignored, _) in REQUESTS.into_iter().filter(|(signal, _)| *signal != Signal::SIGCHLD) {
            set_disposition(ignored, SigHandler::SigIgn)?;
        }
        set_disposition(Signal::SIGTERM, SigHandler::SigDfl)?;
        SigSet::all().thread_unblock()?;
        Signals::of(&[Signal::SIGTERM])
    }

    /// Blocks the signals that end a command; the descriptor delivers them. One that this process was started
    /// to ignore stays ignored, such as HUP by nohup(1), or INT and QUIT in the background of a script. It is
    /// not blocked, because the kernel would then deliver it all the same.
    ///
    /// # Errors
    /// See sigaction(2) and signalfd(2).
    pub fn of_command() -> io::Result<Signals> {
        let mut signals = Vec::new();
        for signal in ENDING {
            if !is_ignored(signal)? {
                signals.push(signal);
            }
        }
        Signals::of(&signals)
    }

    /// The same for a prompt at a terminal, but with those that are ignored too: Ctrl-C ends a prompt however
    /// it was started.
    ///
    /// # Errors
    /// See signalfd(2).
    pub fn of_prompt() -> io::Result<Signals> {
        Signals::of(&ENDING)
    }

    fn of(signals: &[Signal]) -> io::Result<Signals> {
        let mut mask = SigSet::empty();
        for &signal in signals {
            mask.add(signal);
        }
        mask.thread_block()?;
        Ok(Signals(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Takes the next signal, if one has arrived: its number.
    pub fn next_number(&self) -> Option<u32> {
        Some(self.0.read_signal().ok()??.ssi_signo)
    }

    /// Takes the next signal, if one has arrived.
    pub fn next(&self) -> Option<SignalRequest> {
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

/// Restores the default of SIGSEGV and SIGBUS: the process dies. The handler of the coroutine library ends
/// the coroutine without running destructors, so a lock would stay held. A worker that dies is replaced; one
/// that hangs is not.
///
/// # Errors
/// See sigaction(2).
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

/// True for a signal whose disposition is to be ignored.
fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action nothing is changed, and there is room for the current one.
    if unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written it.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// The signal number of a request.
pub fn number(request: SignalRequest) -> Option<i32> {
    REQUESTS.iter().find(|(_, known)| *known == request).map(|(signal, _)| *signal as i32)
}
