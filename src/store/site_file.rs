//! A short file beneath a root that is read as a whole: `_redirects` and `_headers`.
//!
//! It may wait for a disk, so a background thread calls it, or the start of a worker.

use std::os::fd::AsFd;

use crate::sys::file::{self, Kind, OpenError, Root, Stamp};

/// What is at a path.
#[derive(Debug)]
pub enum SiteFile {
    /// No file.
    Absent,
    /// The file that is known already.
    Same,
    /// Another file, or another content.
    New(Stamp, Vec<u8>),
    /// It can't be read; why.
    Unreadable(String),
}

/// Reads the file at `path` beneath a root, unless it has the stamp `known`. Of a file that is longer than
/// `max` bytes only these and one more are read.
pub fn read(root: &Root, path: &[u8], known: Option<&Stamp>, max: usize) -> SiteFile {
    let open = match root.open_beneath(path) {
        Ok(open) => open,
        Err(OpenError::Missing) => return SiteFile::Absent,
        Err(OpenError::Denied) => return SiteFile::Unreadable("permission denied, or not a file".to_owned()),
        Err(OpenError::Link(refusal)) => return SiteFile::Unreadable(refusal.to_string()),
        Err(OpenError::Exhausted | OpenError::Cold) => {
            return SiteFile::Unreadable("no descriptors or memory are left".to_owned());
        }
        Err(OpenError::Other(error)) => return SiteFile::Unreadable(error.to_string()),
    };
    let stamp = match file::stat(open.as_fd()) {
        Ok((Kind::Regular, stamp)) => stamp,
        Ok(_) => return SiteFile::Unreadable("not a file".to_owned()),
        Err(error) => return SiteFile::Unreadable(error.to_string()),
    };
    if known == Some(&stamp) {
        return SiteFile::Same;
    }
    let length = usize::try_from(stamp.size).unwrap_or(usize::MAX).min(max + 1);
    let (mut bytes, mut end) = (vec![0; length], 0);
    while end < length {
        match file::read_at(open.as_fd(), &mut bytes[end..], end as u64) {
            // It has become shorter, which the next stamp shows.
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) => return SiteFile::Unreadable(error.to_string()),
        }
    }
    bytes.truncate(end);
    SiteFile::New(stamp, bytes)
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
        assert!(matches!(read(&root, b"a", Some(&stamp), 10), SiteFile::Same));
        fs::write(directory.join("a"), "").unwrap();
        let SiteFile::New(_, bytes) = read(&root, b"a", Some(&stamp), 10) else { panic!() };
        assert!(bytes.is_empty());
        assert!(matches!(read(&root, b"folder", None, 10), SiteFile::Unreadable(_)));
        fs::remove_dir_all(directory).unwrap();
    }
}
