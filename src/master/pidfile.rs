//! The file with the master's process id, by which `--signal`, the commands of an init script and service managers find it.
//!
//! A master holds its file locked for as long as it lives. So whoever looks for it learns from the kernel whether the
//! process is still the one that wrote the file, and never takes a stranger for it that has got the same id since.
//!
//! The subtle rule: it is removed only while it still holds this process's id, for another master may have taken its
//! place. At an upgrade the old master's file steps aside to `FILE.oldbin`, as nginx has it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::Order;
use crate::error::{StartupError, cause};
use crate::sys::lock::{self, Holder};
use crate::sys::pidfd::Process;
use crate::sys::process;
use crate::sys::signal::Request;

/// The file of a running master.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    aside: bool,
    /// Open, and locked: the lock goes when this is closed.
    _held: File,
}

impl PidFile {
    /// Writes this process's id, by way of a file beside it, so that no reader meets half a number.
    ///
    /// # Errors
    /// [`StartupError::PidFile`] where the file can't be written or locked, or is that of another master that lives.
    pub fn write(path: &Path) -> Result<PidFile, StartupError> {
        let failed = |source| StartupError::PidFile { path: path.to_owned(), source };
        match find(path).map_err(failed)? {
            Found::Master(master) => {
                let words = format!("process {}, which serves already, has it", master.pid);
                return Err(failed(io::Error::other(words)));
            }
            Found::Stale(_) | Found::Nothing => {}
        }
        let new = with_ending(path, ".new");
        let mut file = File::options().write(true).create(true).truncate(false).open(&new).map_err(failed)?;
        // Not emptied before it is held, because another start may be about to put it in its place.
        lock::take(&file).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => failed(io::Error::other("another server is about to have it")),
            _ => failed(error),
        })?;
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", process::id()).map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)?;
        Ok(PidFile { path: path.to_owned(), aside: false, _held: file })
    }

    /// Makes room for a new master's file.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn step_aside(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, aside(&self.path))?;
        self.aside = true;
        Ok(())
    }

    /// Takes its place again, after a new master has gone.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn step_back(&mut self) -> io::Result<()> {
        if self.aside {
            std::fs::rename(aside(&self.path), &self.path)?;
            self.aside = false;
        }
        Ok(())
    }

    /// In a child of the master: closes the descriptor. The file stays, and so does the lock, which no child has.
    pub fn leave_to_master(mut self) {
        // What has no name is not removed.
        self.path.clear();
        self.aside = false;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let path = if self.aside { aside(&self.path) } else { self.path.clone() };
        if read(&path) == Some(process::id()) {
            // Nobody is left to be told of a failure, and a stale file is found out by whoever reads it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Where a master's file is while a new program runs beside it.
pub fn aside(path: &Path) -> PathBuf {
    with_ending(path, ".oldbin")
}

/// A master that lives, and can't be mistaken for another process.
#[derive(Debug)]
pub struct Master {
    /// Its process id.
    pub pid: i32,
    /// The process itself.
    pub process: Process,
}

/// What is found by a pid file.
#[derive(Debug)]
pub enum Found {
    /// The master that wrote it.
    Master(Master),
    /// None any more, and the id that it left there, if it can be read.
    Stale(Option<i32>),
    /// There is no such file.
    Nothing,
}

/// Looks for the master that a file names.
///
/// # Errors
/// Where the file can't be opened, or its master is to be seen from another pid namespace only.
pub fn find(path: &Path) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let pid = match lock::holder(&file)? {
        Holder::Nobody => return Ok(Found::Stale(read(path))),
        Holder::Elsewhere => return Err(io::Error::other("its process is of another pid namespace")),
        Holder::Process(pid) => pid,
    };
    let process = Process::of(pid)?;
    // Asked again, since the id may have changed hands before the process was opened.
    match (process, lock::holder(&file)?) {
        (Some(process), Holder::Process(same)) if same == pid => Ok(Found::Master(Master { pid, process })),
        _ => Ok(Found::Stale(read(path))),
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
    match find(path) {
        Ok(Found::Master(Master { pid, process })) => process
            .tell(request)
            .map_err(|error| failed(format!("process {pid}, which {shown} names: {}", cause(&error)))),
        Ok(Found::Stale(Some(pid))) => {
            Err(failed(format!("process {pid}, which {shown} names, is no server or has ended")))
        }
        Ok(Found::Stale(None)) => Err(failed(format!("{shown} has no process id in it"))),
        Ok(Found::Nothing) => Err(failed(format!("there is no {shown}"))),
        Err(error) => Err(failed(format!("{shown}: {}", cause(&error)))),
    }
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
        let moved = aside(&path);
        let mut file = PidFile::write(&path).unwrap();
        assert_eq!(read(&path), Some(process::id()));
        file.step_aside().unwrap();
        assert_eq!((read(&path), read(&moved)), (None, Some(process::id())));
        file.step_back().unwrap();
        assert_eq!((read(&path), read(&moved)), (Some(process::id()), None));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_nobody_holds_is_stale_whoever_has_the_id() {
        let path = std::env::temp_dir().join(format!("mayhttpd-pid-stale-{}", process::id()));
        assert!(matches!(find(&path), Ok(Found::Nothing)));
        let parent = process::parent();
        std::fs::write(&path, format!("{parent}\n")).unwrap();
        assert!(matches!(find(&path), Ok(Found::Stale(Some(pid))) if pid == parent));
        let error = signal(&path, Order::Stop).unwrap_err().to_string();
        assert!(error.contains(&format!("process {parent}, which")), "{error}");
        std::fs::write(&path, "-1\n").unwrap();
        assert!(matches!(find(&path), Ok(Found::Stale(None))));
        let file = PidFile::write(&path).unwrap();
        assert_eq!(read(&path), Some(process::id()));
        file.leave_to_master();
        assert!(path.exists());
        std::fs::remove_file(path).unwrap();
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
