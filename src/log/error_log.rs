//! The error log of this process: opening, reopening and replacing its file.
//!
//! The format of a line is in `record`, and the write in `sink`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::log::LevelFilter;

use super::sink::{Output, logger};
use crate::config::{LogFormat, Settings};
use crate::error::StartupError;
use crate::sys::file;
use crate::sys::stream;

/// The open log. Its descriptor number never changes: reopening puts another file behind it.
static OPEN: OnceLock<Open> = OnceLock::new();

struct Open {
    output: Arc<Output>,
    /// `None` for standard error.
    path: Mutex<Option<PathBuf>>,
}

impl Open {
    fn has(&self, path: &Option<PathBuf>) -> bool {
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) == *path
    }
}

/// Opens the error log and makes it the target of the macros of the crate `log`. Call it once, before the
/// process drops its privileges: workers go on writing to the file that root opened.
///
/// # Errors
/// [`StartupError::Log`] if the file can't be opened for appending, or the log is set already.
pub fn init(settings: &Settings) -> Result<(), StartupError> {
    let path = settings.log_file.clone();
    let opened = open(path.as_deref()).and_then(|fd| {
        let output = Arc::new(Output::new(fd, settings.log_format, path.is_none()));
        ::log::set_boxed_logger(logger(Arc::clone(&output))).map_err(io::Error::other)?;
        let path = Mutex::new(path.clone());
        OPEN.set(Open { output, path }).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))
    });
    ::log::set_max_level(settings.log_level);
    opened.map_err(|source| failed(path, source))
}

/// The error log of one generation: open, but not in use before [`ErrorLog::adopt`].
#[derive(Debug)]
pub struct ErrorLog {
    fd: OwnedFd,
    /// `None` for standard error.
    path: Option<PathBuf>,
    format: LogFormat,
    level: LevelFilter,
}

impl ErrorLog {
    /// Opens the log that the settings name. If the current log has the same name, its open file is used.
    ///
    /// # Errors
    /// [`StartupError::Log`] if the file can't be opened.
    pub fn open(settings: &Settings) -> Result<ErrorLog, StartupError> {
        let path = settings.log_file.clone();
        let fd = match OPEN.get() {
            Some(log) if log.has(&path) => log.output.fd.try_clone(),
            _ => open(path.as_deref()),
        };
        let fd = fd.map_err(|source| failed(path.clone(), source))?;
        Ok(ErrorLog { fd, path, format: settings.log_format, level: settings.log_level })
    }

    /// Makes this process log there from now on, in this format and at this level.
    ///
    /// # Errors
    /// The error of dup3(2). The current log stays in use.
    pub fn adopt(&self) -> io::Result<()> {
        let Some(log) = OPEN.get() else { return Ok(()) };
        move_to(self.descriptor())?;
        *log.path.lock().unwrap_or_else(PoisonError::into_inner) = self.path.clone();
        log.output.set_format(self.format, self.path.is_none());
        ::log::set_max_level(self.level);
        Ok(())
    }

    /// Opens the file again by its name, behind the same descriptor. If this process has reopened it already,
    /// that file is used.
    ///
    /// # Errors
    /// [`StartupError::Log`] if the file can't be opened. The current file stays in use.
    pub fn reopen(&self) -> Result<(), StartupError> {
        let replaced = match (OPEN.get(), &self.path) {
            (Some(log), path) if log.has(path) => file::replace(self.descriptor(), log.output.fd.as_fd()),
            (_, Some(path)) => stream::open(path).and_then(|fd| file::replace(self.descriptor(), fd.as_fd())),
            (_, None) => Ok(()),
        };
        replaced.map_err(|source| failed(self.path.clone(), source))
    }

    /// The descriptor that lines go to.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens the log's file again by its name, after a log rotation moved the old file away. Standard error stays
/// as it is.
///
/// # Errors
/// [`StartupError::Log`] if the file can't be opened. The current file stays in use.
pub fn reopen() -> Result<(), StartupError> {
    let Some(log) = OPEN.get() else { return Ok(()) };
    let Some(path) = log.path.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
    let moved = stream::open(&path).and_then(|fd| move_to(fd.as_fd()));
    moved.map_err(|source| failed(Some(path), source))
}

/// Puts another file behind the log's descriptor.
///
/// # Errors
/// The error of dup3(2). The current file stays in use.
pub fn move_to(file: BorrowedFd<'_>) -> io::Result<()> {
    let Some(log) = OPEN.get() else { return Ok(()) };
    file::replace(log.output.fd.as_fd(), file)?;
    log.output.file_replaced();
    Ok(())
}

/// The descriptor of the log; `None` before [`init`].
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    OPEN.get().map(|log| log.output.fd.as_fd())
}

fn open(path: Option<&Path>) -> io::Result<OwnedFd> {
    match path {
        Some(path) => stream::open(path),
        None => stream::own_descriptor(io::stderr().as_fd()),
    }
}

fn failed(path: Option<PathBuf>, source: io::Error) -> StartupError {
    StartupError::Log { path: path.unwrap_or_else(|| "standard error".into()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        let settings = Settings { log_file: Some("/no/such/dir/log".into()), ..Settings::default() };
        assert_eq!(
            init(&settings).unwrap_err().to_string(),
            "cannot open the log /no/such/dir/log: no such file or directory"
        );
    }
}
