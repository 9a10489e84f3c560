//! Why a name could not be opened.

use std::io;

use rustix::io::Errno;

/// Why a name could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Nothing with that name exists or can exist there (`ENOENT`, `ENOTDIR`, `ENAMETOOLONG`).
    Missing,
    /// The permissions forbid it, or it is a device, FIFO or socket (`EACCES`, `EPERM`, `ENXIO`).
    Denied,
    /// Links lead outside the root or in a circle (`EXDEV`, `ELOOP`).
    Outside,
    /// No descriptors or memory are left (`EMFILE`, `ENFILE`, `ENOMEM`).
    Exhausted,
    /// What it takes is not in memory, or is on another mount: an open that may wait is needed. Only opens
    /// that do not wait say so.
    Cold,
    /// Anything else, such as a failing disk.
    Other(io::Error),
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::Missing,
            Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => OpenError::Denied,
            Errno::XDEV | Errno::LOOP => OpenError::Outside,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => OpenError::Exhausted,
            other => OpenError::Other(other.into()),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => OpenError::Other(error),
        }
    }
}
