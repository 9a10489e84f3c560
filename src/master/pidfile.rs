//! The file with the master's process id, by which `--signal` and service managers find it.
//!
//! The subtle rule: it is removed only while it still holds this process's id, for another master may have taken its
//! place. At an upgrade the old master's file steps aside to `FILE.oldbin`, as nginx has it.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::Order;
use crate::error::{StartupError, cause};
use crate::sys::process;
use crate::sys::signal::{self, Request};

/// The file of a running master.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    aside: bool,
}

impl PidFile {
    /// Writes this process's id, by way of a file beside it, so that no reader meets half a number.
    ///
    /// # Errors
    /// [`StartupError::PidFile`] where the file can't be written.
    pub fn write(path: &Path) -> Result<PidFile, StartupError> {
        let failed = |source| StartupError::PidFile { path: path.to_owned(), source };
        let new = with_ending(path, ".new");
        let mut file = std::fs::File::create(&new).map_err(failed)?;
        writeln!(file, "{}", process::id()).map_err(failed)?;
        drop(file);
        std::fs::rename(&new, path).map_err(failed)?;
        Ok(PidFile { path: path.to_owned(), aside: false })
    }

    /// Makes room for a new master's file.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn step_aside(&mut self) -> std::io::Result<()> {
        std::fs::rename(&self.path, with_ending(&self.path, ".oldbin"))?;
        self.aside = true;
        Ok(())
    }

    /// Takes its place again, after a new master has gone.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn step_back(&mut self) -> std::io::Result<()> {
        if self.aside {
            std::fs::rename(with_ending(&self.path, ".oldbin"), &self.path)?;
            self.aside = false;
        }
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let path = if self.aside { with_ending(&self.path, ".oldbin") } else { self.path.clone() };
        if read(&path) == Some(process::id()) {
            // Nobody is left to be told of a failure, and a stale file is found out by whoever reads it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Tells the master that a file names what to do.
///
/// # Errors
/// [`StartupError::Signal`] where the file or the process is not there, or may not be told.
pub fn signal(path: &Path, order: Order) -> Result<(), StartupError> {
    let request = match order {
        Order::Stop => Request::Stop,
        Order::Quit => Request::Drain,
        Order::Reload => Request::Reload,
        Order::Reopen => Request::Reopen,
        Order::Upgrade => Request::Upgrade,
    };
    let failed = |what: String| StartupError::Signal { what };
    let shown = path.display();
    let pid = read(path).ok_or_else(|| failed(format!("{shown} has no process id in it")))?;
    signal::send(pid, request)
        .map_err(|error| failed(format!("process {pid}, which {shown} names: {}", cause(&error))))
}

/// The process id in a file.
pub fn read(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok().filter(|&pid| pid > 0)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_steps_aside_and_goes() {
        let path = std::env::temp_dir().join(format!("mayhttpd-pid-{}", process::id()));
        let aside = with_ending(&path, ".oldbin");
        let mut file = PidFile::write(&path).unwrap();
        assert_eq!(read(&path), Some(process::id()));
        file.step_aside().unwrap();
        assert_eq!((read(&path), read(&aside)), (None, Some(process::id())));
        file.step_back().unwrap();
        assert_eq!((read(&path), read(&aside)), (Some(process::id()), None));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_another_masters_by_now_stays() {
        let path = std::env::temp_dir().join(format!("mayhttpd-pid-other-{}", process::id()));
        let file = PidFile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(read(&path), Some(1));
        std::fs::remove_file(path).unwrap();
    }
}
