//! A users file as the master has read it, and whether there is another version of it.
//!
//! The master reads it, since the workers' user may not. It looks at the stamp once a second. A file on a
//! network file system, which could make the master wait, is read at a start and a reload alone.
//!
//! **Invariant:** a version with a fault changes nothing, and is reported once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{StartupError, cause};
use crate::password::users::{MAX_FILE, Users};
use crate::sys::file::{self, Stamp, WholeFile};
use crate::sys::filesystem::file_is_local;

/// A users file.
#[derive(Clone, Debug)]
pub struct UsersFile {
    path: PathBuf,
    /// What was last seen at the path; an error as its words. `None` has the next check read the file.
    seen: Option<Result<Stamp, String>>,
    /// False if to look at the path may wait for a network.
    local: bool,
    users: Arc<Users>,
}

/// Another version of a users file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It is taken up; these are its bytes.
    New(Vec<u8>),
    /// It can't be used, for this reason.
    Faulty(String),
}

impl UsersFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`StartupError::UsersFile`].
    pub fn open(path: &Path) -> Result<UsersFile, StartupError> {
        let failed = |why| StartupError::UsersFile { path: path.to_owned(), why };
        let (stamp, bytes) = read(path).map_err(|error| failed(cause(&error)))?;
        let users = Users::parse(&bytes).map_err(|fault| failed(fault.to_string()))?;
        let (local, users) = (file_is_local(path), Arc::new(users));
        Ok(UsersFile { path: path.to_owned(), seen: Some(Ok(stamp)), local, users })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The users.
    pub fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users)
    }

    /// True if changes are looked for.
    pub fn is_watched(&self) -> bool {
        self.local
    }

    /// Has the next check take the file up again, changed or not.
    pub fn forget_stamp(&mut self) {
        self.seen = None;
    }

    /// Looks whether there is another version since the last check, and takes it up.
    pub fn check(&mut self) -> Option<FileChange> {
        if !self.local {
            return None;
        }
        let found = file::stat_path(&self.path).map(|(_, stamp)| stamp).map_err(|error| cause(&error));
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        match read(&self.path) {
            // It is being written; or it was replaced since.
            Ok((stamp, _)) if found != Ok(stamp) => None,
            Ok((_, bytes)) => {
                self.seen = Some(found);
                match Users::parse(&bytes) {
                    Ok(users) => {
                        self.users = Arc::new(users);
                        Some(FileChange::New(bytes))
                    }
                    Err(fault) => Some(FileChange::Faulty(fault.to_string())),
                }
            }
            Err(error) => {
                self.seen = Some(found);
                Some(FileChange::Faulty(cause(&error)))
            }
        }
    }
}

/// The bytes of a file, and its stamp after they were read.
fn read(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    // A byte more than there may be tells that the file is too long.
    let WholeFile { bytes, stamp, .. } = file::read_whole(path, MAX_FILE + 1)?;
    Ok((stamp, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const A: &str = "anna:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n";
    const B: &str = "ben:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n";

    #[test]
    fn a_new_version_is_taken_up_once_and_a_faulty_one_is_reported_once() {
        let directory = std::env::temp_dir().join(format!("mayhttpd-users-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (path, next) = (directory.join("users"), directory.join("next"));
        let replace = |text: &str| {
            fs::write(&next, text).unwrap();
            fs::rename(&next, &path).unwrap();
        };
        let absent = UsersFile::open(&path).unwrap_err().to_string();
        assert!(absent.contains("users file") && absent.contains("no such file"), "{absent}");
        replace("anna:plain\n");
        let faulty = UsersFile::open(&path).unwrap_err().to_string();
        assert!(faulty.contains("users: line 1: the hash of user anna"), "{faulty}");

        replace(A);
        let mut file = UsersFile::open(&path).unwrap();
        let count = |file: &UsersFile| file.users().count();
        assert_eq!((file.check(), count(&file)), (None, 1));
        replace(&[A, B].concat());
        assert_eq!(file.check(), Some(FileChange::New([A, B].concat().into_bytes())));
        assert_eq!((file.check(), count(&file)), (None, 2));
        for (text, why) in [("ben:plain", "line 1"), (&[A, A].concat(), "line 2")] {
            replace(text);
            assert!(matches!(file.check(), Some(FileChange::Faulty(found)) if found.contains(why)), "{why}");
            assert_eq!((file.check(), count(&file)), (None, 2));
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(file.check(), Some(FileChange::Faulty(why)) if why.contains("no such file")));
        assert_eq!((file.check(), count(&file)), (None, 2));
        fs::create_dir(&path).unwrap();
        assert!(matches!(file.check(), Some(FileChange::Faulty(why)) if why.contains("regular")));
        fs::remove_dir(&path).unwrap();
        replace(A);
        assert!(matches!(file.check(), Some(FileChange::New(_))));
        assert_eq!((file.check(), count(&file)), (None, 1));
        file.forget_stamp();
        assert!(matches!(file.check(), Some(FileChange::New(_))));
        fs::remove_dir_all(&directory).unwrap();
    }
}
