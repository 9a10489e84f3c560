//! A terminal that does not show what is typed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// True if this is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    termios::isatty(fd)
}

/// A terminal whose echo is off until this is dropped.
#[derive(Debug)]
pub struct HiddenInput<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl HiddenInput<'_> {
    /// Switches the echo off, but for the end of a line. What was typed before is thrown away, because it was
    /// shown.
    ///
    /// # Errors
    /// See tcsetattr(3).
    pub fn begin(terminal: BorrowedFd<'_>) -> io::Result<HiddenInput<'_>> {
        let before = termios::tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
        termios::tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(HiddenInput { terminal, before })
    }
}

impl Drop for HiddenInput<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs no echo.
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
