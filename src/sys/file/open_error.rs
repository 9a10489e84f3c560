//! Why a name could not be opened.

use std::fmt;
use std::io;

use rustix::io::Errno;

use super::link_policy::LinkRefusal;

/// Why a name could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Nothing with that name exists or can exist there (`ENOENT`, `ENOTDIR`, `ENAMETOOLONG`).
    Missing,
    /// The permissions forbid it, or it is a device, FIFO or socket (`EACCES`, `EPERM`, `ENXIO`).
    Denied,
    /// A symbolic link is not followed (`EXDEV`, `ELOOP`).
    Link(LinkRefusal),
    /// No descriptors or memory are left (`EMFILE`, `ENFILE`, `ENOMEM`).
    Exhausted,
    /// What it takes is not in memory, or is on another mount: an open that may wait is needed. Only opens
    /// that do not wait say so.
    Cold,
    /// Anything else, such as a failing disk.
    Other(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Missing => f.write_str("nothing has that name"),
            OpenError::Denied => {
                f.write_str("the permissions or the sandbox forbid it, or it is a device, FIFO or socket")
            }
            OpenError::Link(refusal) => refusal.fmt(f),
            OpenError::Exhausted => f.write_str("no descriptors or memory are left"),
            OpenError::Cold => f.write_str("it would take a wait"),
            OpenError::Other(error) => error.fmt(f),
        }
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::Missing,
            Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => OpenError::Denied,
            Errno::XDEV => OpenError::Link(LinkRefusal::Outside),
            Errno::LOOP => OpenError::Link(LinkRefusal::TooMany),
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
