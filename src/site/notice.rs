//! What the operator should know of the names that files are found by, in words for the log.

use std::fmt;

/// What the operator should know.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// There are more names than may be held.
    TooMany(usize),
    /// All are held again.
    Held(usize),
    /// Changes are not reported, or not of all directories, and why.
    Unreported(String),
    /// A directory that the system fails to read, and why.
    Unreadable(Vec<u8>, String),
}

impl Notice {
    /// Whether something is amiss.
    pub fn is_bad(&self) -> bool {
        !matches!(self, Notice::Held(_))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::TooMany(most) => write!(
                f,
                "there are more than {most} names (--find-limit), so that none is looked up: what is not found by \
                 its path gets 503"
            ),
            Notice::Held(count) => write!(f, "there are {count} names again, which are looked up as usual"),
            Notice::Unreported(why) => write!(
                f,
                "changes are not reported ({why}), so that names are read anew when they are older than --cache-valid"
            ),
            Notice::Unreadable(path, why) => {
                write!(f, "{} can't be read ({why}), so that no name in it is found", path.escape_ascii())
            }
        }
    }
}
