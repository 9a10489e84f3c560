//! One of `_redirects` and `_headers` as it was last found, and what was logged about it.
//!
//! What can't be read for the moment stays as it was: with no descriptor left, redirects and security headers
//! must not vanish.

use std::path::Path;
use std::sync::Arc;

use crate::routing::text_lines::UnknownLines;
use crate::store::site_file::{ReadStamp, SiteFile};

/// What was last found at a path.
#[derive(Clone, Debug, Default)]
pub struct RuleFile {
    /// The file that the rules are of; `None` if there is none that can be read.
    read: Option<FileContent>,
    /// What was logged last.
    logged: Vec<String>,
}

/// A file that was read.
#[derive(Clone, Debug)]
struct FileContent {
    stamp: ReadStamp,
    /// The content, as long as the file is read again in spite of the same stamp.
    compared: Option<Arc<[u8]>>,
}

impl RuleFile {
    /// The stamp that the file was read with.
    pub fn stamp(&self) -> Option<&ReadStamp> {
        self.read.as_ref().map(|read| &read.stamp)
    }

    /// Takes what is at `path` now. `parse` gets the content where it is another one than before, and returns
    /// the lines that it does not understand. `warnings` gets what was not logged yet.
    pub fn take(
        &mut self,
        found: SiteFile,
        path: &Path,
        warnings: &mut Vec<String>,
        parse: impl FnOnce(&[u8]) -> UnknownLines,
    ) {
        let file = path.display();
        let logged = match found {
            SiteFile::Same => return,
            SiteFile::Unknown(why) => {
                vec![format!("{file} can't be read, so its rules stay as they are: {why}")]
            }
            SiteFile::New(stamp, bytes) => {
                let before = self.read.as_ref().and_then(|read| read.compared.as_deref());
                let is_known = before == Some(&*bytes);
                let logged = if is_known { None } else { Some(lines(path, parse(&bytes))) };
                let compared = stamp.is_racy().then(|| bytes.into());
                self.read = Some(FileContent { stamp, compared });
                let Some(logged) = logged else { return };
                logged
            }
            SiteFile::Absent => {
                self.forget(parse);
                Vec::new()
            }
            SiteFile::Unreadable(why) => {
                self.forget(parse);
                vec![format!("{file} is not used: {why}")]
            }
        };
        if logged != self.logged {
            warnings.extend_from_slice(&logged);
            self.logged = logged;
        }
    }

    fn forget(&mut self, parse: impl FnOnce(&[u8]) -> UnknownLines) {
        if self.read.take().is_some() {
            parse(b"");
        }
    }
}

/// Lines that are not understood, as lines of the log.
fn lines(path: &Path, unknown: UnknownLines) -> Vec<String> {
    let file = path.display();
    let each = unknown.lines.iter().map(|unknown| format!("{file}:{}: {}", unknown.line, unknown.why));
    let more = (unknown.more > 0).then(|| format!("{file}: {} more lines are not understood", unknown.more));
    each.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::routing::text_lines::UnknownLine;
    use crate::store::site_file;
    use crate::sys::file::Root;

    /// What is taken of a file: how often it is parsed, and the warnings.
    fn taken(version: &mut RuleFile, found: SiteFile) -> (Option<Vec<u8>>, Vec<String>) {
        let (mut parsed, mut warnings) = (None, Vec::new());
        version.take(found, Path::new("/w/_headers"), &mut warnings, |bytes| {
            parsed = Some(bytes.to_vec());
            let bad = bytes.starts_with(b"bad").then(|| UnknownLine { line: 1, why: "why".to_owned() });
            UnknownLines { lines: bad.into_iter().collect(), more: 0 }
        });
        (parsed, warnings)
    }

    #[test]
    fn only_a_known_state_changes_the_rules() {
        let directory = std::env::temp_dir().join(format!("mayhttpd-rule-file-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let root = Root::open(&directory).unwrap();
        let mut version = RuleFile::default();
        let read = |version: &RuleFile| site_file::read(&root, b"a", version.stamp(), 100);
        let found = read(&version);
        assert_eq!(taken(&mut version, found), (None, vec![]));
        fs::write(directory.join("a"), "bad 1").unwrap();
        let found = read(&version);
        let logged = "/w/_headers:1: why".to_owned();
        assert_eq!(taken(&mut version, found), (Some(b"bad 1".to_vec()), vec![logged]));
        // The file is new, so it is read again; what is the same is neither parsed nor logged again.
        let found = read(&version);
        assert!(matches!(found, SiteFile::New(..)));
        assert_eq!(taken(&mut version, found), (None, vec![]));
        fs::write(directory.join("a"), "bad 2").unwrap();
        let found = read(&version);
        assert_eq!(taken(&mut version, found), (Some(b"bad 2".to_vec()), vec![]));
        // A failing disk changes nothing, and is logged once.
        for count in [1, 0] {
            let (parsed, warnings) = taken(&mut version, SiteFile::Unknown("no memory".to_owned()));
            assert_eq!((parsed, warnings.len()), (None, count));
            assert!(version.stamp().is_some());
        }
        assert_eq!(taken(&mut version, SiteFile::Same), (None, vec![]));
        let gone = taken(&mut version, SiteFile::Unreadable("denied".to_owned()));
        assert_eq!(gone, (Some(vec![]), vec!["/w/_headers is not used: denied".to_owned()]));
        assert_eq!(taken(&mut version, SiteFile::Absent), (None, vec![]));
        fs::remove_dir_all(directory).unwrap();
    }
}
