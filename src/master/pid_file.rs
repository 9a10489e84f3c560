//! The file with the master's process id, by which `--signal`, the commands of an init script and service
//! managers find it.
//!
//! A master keeps its file locked as long as it lives. The kernel tells a reader which process has the lock.
//! So a reader never takes another process for the master that has got the same process id since.
//!
//! **Invariant:** the file is removed only if this process's id is in it, since another master may have
//! written it meanwhile. At an upgrade the old master renames its file to `FILE.oldbin`, as nginx does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{StartupError, cause};
use crate::sys::lock::{self, Holder};
use crate::sys::pidfd::Process;
use crate::sys::process;
use crate::sys::signal::SignalRequest;

/// The file of a running master.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    aside: bool,
    /// Open, and locked: the lock goes when this is closed.
    _held: File,
}

impl PidFile {
    /// Writes this process's id to a new file and renames it to `path`, so that no reader sees half a number.
    ///
    /// # Errors
    /// [`StartupError::PidFile`] if the file can't be written or locked, or another running master has it.
    pub fn write(path: &Path) -> Result<PidFile, StartupError> {
        let failed = |source| StartupError::PidFile { path: path.to_owned(), source };
        match find(path).map_err(failed)? {
            Found::Master(master) => {
                let words = format!("process {}, which serves already, has it", master.pid);
                return Err(failed(io::Error::other(words)));
            }
            Found::Stale(_) | Found::Missing => {}
        }
        let new = with_ending(path, ".new");
        let mut file = File::options().write(true).create(true).truncate(false).open(&new).map_err(failed)?;
        // Locked before it is emptied, since another start may be about to rename it.
        lock::take(&file).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => failed(io::Error::other("another server is about to have it")),
            _ => failed(error),
        })?;
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", process::id()).map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)?;
        Ok(PidFile { path: path.to_owned(), aside: false, _held: file })
    }

    /// Renames the file for an upgrade: the new master's file takes the path.
    ///
    /// # Errors
    /// What rename(2) says.
    pub fn step_aside(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, aside(&self.path))?;
        self.aside = true;
        Ok(())
    }

    /// Renames the file back, after the new master has ended.
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

    /// In a child of the master: closes the descriptor. The file stays, and the master keeps the lock, which
    /// a child does not inherit.
    pub fn drop_inherited(mut self) {
        // Without a path, `drop` removes no file.
        self.path.clear();
        self.aside = false;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let path = if self.aside { aside(&self.path) } else { self.path.clone() };
        if read(&path) == Some(process::id()) {
            // An error is ignored: a file that stays is stale, and readers see that it is not locked.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The path of a master's file while a new program runs beside it.
pub fn aside(path: &Path) -> PathBuf {
    with_ending(path, ".oldbin")
}

/// A running master. `process` keeps its process id from being taken for another process.
#[derive(Debug)]
pub struct RunningMaster {
    /// Its process id.
    pub pid: i32,
    /// The process itself.
    pub process: Process,
}

/// What a pid file leads to.
#[derive(Debug)]
pub enum Found {
    /// The master that wrote it.
    Master(RunningMaster),
    /// The master has ended. With the process id in the file, if it can be read.
    Stale(Option<i32>),
    /// There is no such file.
    Missing,
}

/// Finds the master that a file names.
///
/// # Errors
/// If the file can't be opened, or its master runs in another pid namespace.
pub fn find(path: &Path) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    let pid = match lock::holder(&file)? {
        Holder::NoProcess => return Ok(Found::Stale(read(path))),
        Holder::Elsewhere => return Err(io::Error::other("its process is of another pid namespace")),
        Holder::Process(pid) => pid,
    };
    let process = Process::of(pid)?;
    // Asked again, since the process may have ended, and another got its id, before it was opened.
    match (process, lock::holder(&file)?) {
        (Some(process), Holder::Process(same)) if same == pid => {
            Ok(Found::Master(RunningMaster { pid, process }))
        }
        _ => Ok(Found::Stale(read(path))),
    }
}

/// Sends a signal to the master that a file names.
///
/// # Errors
/// [`StartupError::Signal`] if there is no file or no such process, or kill(2) is not permitted.
pub fn signal(path: &Path, request: SignalRequest) -> Result<(), StartupError> {
    let failed = |what: String| StartupError::Signal { what };
    let shown = path.display();
    match find(path) {
        Ok(Found::Master(RunningMaster { pid, process })) => process
            .signal(request)
            .map_err(|error| failed(format!("process {pid}, which {shown} names: {}", cause(&error)))),
        Ok(Found::Stale(Some(pid))) => {
            Err(failed(format!("process {pid}, which {shown} names, is no server or has ended")))
        }
        Ok(Found::Stale(None)) => Err(failed(format!("{shown} has no process id in it"))),
        Ok(Found::Missing) => Err(failed(format!("there is no {shown}"))),
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
    fn a_file_without_a_lock_is_stale_whatever_process_has_the_id() {
        let path = std::env::temp_dir().join(format!("mayhttpd-pid-stale-{}", process::id()));
        assert!(matches!(find(&path), Ok(Found::Missing)));
        let parent = process::parent();
        std::fs::write(&path, format!("{parent}\n")).unwrap();
        assert!(matches!(find(&path), Ok(Found::Stale(Some(pid))) if pid == parent));
        let error = signal(&path, SignalRequest::Stop).unwrap_err().to_string();
        assert!(error.contains(&format!("process {parent}, which")), "{error}");
        std::fs::write(&path, "-1\n").unwrap();
        assert!(matches!(find(&path), Ok(Found::Stale(None))));
        let file = PidFile::write(&path).unwrap();
        assert_eq!(read(&path), Some(process::id()));
        file.drop_inherited();
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
