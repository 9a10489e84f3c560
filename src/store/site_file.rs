//! A short file beneath a root that is read as a whole: `_redirects` and `_headers`.
//!
//! It may wait for a disk, so a background thread calls it, or the start of a worker.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use crate::sys::file::{self, Kind, OpenError, Root, Stamp};

/// A file that changed this recently may change once more within the same step of the file system's clock,
/// which its stamp does not show.
const RACY: Duration = Duration::from_secs(2);

/// The stamp of a file as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadStamp {
    stamp: Stamp,
    /// True if the content may be another one in spite of the same stamp.
    racy: bool,
}

impl ReadStamp {
    /// `before` is a time before the stamp was taken.
    fn new(stamp: Stamp, before: SystemTime) -> ReadStamp {
        // A time before 1970 counts as 1970.
        let changed = Duration::from_secs(u64::try_from(stamp.ctime.0).unwrap_or(0));
        let before = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        ReadStamp { stamp, racy: changed.saturating_add(RACY) >= before }
    }

    /// True if the content may be another one in spite of the same stamp. It is read again then.
    pub fn is_racy(&self) -> bool {
        self.racy
    }
}

/// What is at a path.
#[derive(Debug)]
pub enum SiteFile {
    /// No file.
    Absent,
    /// The file that is known already.
    Same,
    /// Another file, or another content.
    New(ReadStamp, Vec<u8>),
    /// This process may not read it, or it is no file; why.
    Unreadable(String),
    /// What is there is not known, because descriptors or memory are short or the disk fails; why.
    Unknown(String),
}

/// Reads the file at `path` beneath a root, unless it has the stamp `known`, which is not racy. Of a file
/// that is longer than `max` bytes only these and one more are read.
pub fn read(root: &Root, path: &[u8], known: Option<&ReadStamp>, max: usize) -> SiteFile {
    let before = SystemTime::now();
    let open = match root.open_beneath(path) {
        Ok(open) => open,
        Err(OpenError::Missing) => return SiteFile::Absent,
        Err(OpenError::Denied) => return SiteFile::Unreadable("permission denied, or not a file".to_owned()),
        Err(OpenError::Link(refusal)) => return SiteFile::Unreadable(refusal.to_string()),
        Err(OpenError::Exhausted | OpenError::Cold) => {
            return SiteFile::Unknown("no descriptors or memory are left".to_owned());
        }
        Err(OpenError::Other(error)) => return SiteFile::Unknown(error.to_string()),
    };
    let stamp = match file::stat(open.as_fd()) {
        Ok((Kind::Regular, stamp)) => stamp,
        Ok(_) => return SiteFile::Unreadable("not a file".to_owned()),
        Err(error) => return SiteFile::Unknown(error.to_string()),
    };
    if known.is_some_and(|known| known.stamp == stamp && !known.racy) {
        return SiteFile::Same;
    }
    let length = usize::try_from(stamp.size).unwrap_or(usize::MAX).min(max + 1);
    let (mut bytes, mut end) = (vec![0; length], 0);
    while end < length {
        match file::read_at(open.as_fd(), &mut bytes[end..], end as u64) {
            // It has become shorter, which the next stamp shows.
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) => return SiteFile::Unknown(error.to_string()),
        }
    }
    bytes.truncate(end);
    SiteFile::New(ReadStamp::new(stamp, before), bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_once_for_each_stamp() {
        let directory = std::env::temp_dir().join(format!("mayhttpd-site-file-{}", std::process::id()));
        fs::create_dir_all(directory.join("folder")).unwrap();
        let root = Root::open(&directory).unwrap();
        assert!(matches!(read(&root, b"a", None, 10), SiteFile::Absent));
        fs::write(directory.join("a"), "0123456789abcdef").unwrap();
        let SiteFile::New(stamp, bytes) = read(&root, b"a", None, 10) else { panic!() };
        assert_eq!(bytes, b"0123456789a");
        // It is new, so the same stamp may stand for another content.
        assert!(stamp.is_racy());
        assert!(matches!(read(&root, b"a", Some(&stamp), 10), SiteFile::New(..)));
        let stamp = ReadStamp { racy: false, ..stamp };
        assert!(matches!(read(&root, b"a", Some(&stamp), 10), SiteFile::Same));
        fs::write(directory.join("a"), "").unwrap();
        let SiteFile::New(_, bytes) = read(&root, b"a", Some(&stamp), 10) else { panic!() };
        assert!(bytes.is_empty());
        assert!(matches!(read(&root, b"folder", None, 10), SiteFile::Unreadable(_)));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_equal_stamp_counts_once_the_clock_has_gone_on() {
        let stamp = |ctime| Stamp { identity: (1, 2), size: 3, mtime: (4, 5), ctime: (ctime, 999), links: 1 };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (ctime, racy) in
            [(i64::MAX, true), (1001, true), (1000, true), (998, true), (997, false), (0, false), (-1, false)]
        {
            assert_eq!(ReadStamp::new(stamp(ctime), now).is_racy(), racy, "{ctime}");
        }
    }
}
