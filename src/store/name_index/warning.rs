//! What the operator should know about a name index, in words for the log.

use std::fmt;

/// The most warnings that wait to be taken: on a failing disk each directory would make one.
const MAX_WAITING: usize = 16;

/// A warning about the names beneath one root, or the end of one.
#[derive(Debug, PartialEq, Eq)]
pub enum IndexWarning {
    /// There are more names than this limit.
    TooManyNames(usize),
    /// The end of `TooManyNames`: the index is complete again, with so many names.
    Complete(usize),
    /// Changes are not reported, or not of all directories, and why.
    Unwatched(String),
    /// A directory that the system fails to read, and why.
    Unreadable(Vec<u8>, String),
    /// The thread that reads names has panicked.
    Failed,
}

impl IndexWarning {
    /// True for the end of an earlier warning.
    pub fn is_over(&self) -> bool {
        matches!(self, IndexWarning::Complete(_))
    }
}

impl fmt::Display for IndexWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IndexWarning::TooManyNames(limit) => write!(
                f,
                "there are more than {limit} names (--find-limit): no file is found by its name, and \
                 requests that need it get 503"
            ),
            IndexWarning::Complete(count) => write!(f, "all {count} names are indexed again"),
            IndexWarning::Unwatched(why) => write!(
                f,
                "changes are not reported ({why}): names are read again when they are older than \
                 --cache-valid"
            ),
            IndexWarning::Unreadable(path, why) => {
                write!(f, "{} can't be read ({why}): no file in it is found by its name", path.escape_ascii())
            }
            IndexWarning::Failed => f.write_str(
                "the thread that reads names has failed: no file is found by its name until a reload, and \
                 requests that need it get 503",
            ),
        }
    }
}

/// The warnings of an index that wait to be taken. Each lasting condition is reported once.
#[derive(Default)]
pub struct WaitingWarnings {
    waiting: Vec<IndexWarning>,
    has_too_many: bool,
    is_unwatched: bool,
}

impl WaitingWarnings {
    /// The warnings since the last call.
    pub fn take(&mut self) -> Vec<IndexWarning> {
        std::mem::take(&mut self.waiting)
    }

    /// There are more names than `limit`.
    pub fn too_many_names(&mut self, limit: usize) {
        if !std::mem::replace(&mut self.has_too_many, true) {
            self.waiting.push(IndexWarning::TooManyNames(limit));
        }
    }

    /// All names have been read, `count` of them.
    pub fn complete(&mut self, count: usize) {
        if std::mem::take(&mut self.has_too_many) {
            self.waiting.push(IndexWarning::Complete(count));
        }
    }

    /// Changes are not reported.
    pub fn unwatched(&mut self, why: String) {
        if !std::mem::replace(&mut self.is_unwatched, true) {
            self.waiting.push(IndexWarning::Unwatched(why));
        }
    }

    /// The directory at `path` can't be read.
    pub fn unreadable(&mut self, path: &[u8], why: String) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(IndexWarning::Unreadable(path.to_vec(), why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_condition_is_reported_once() {
        let mut warnings = WaitingWarnings::default();
        warnings.complete(1);
        assert_eq!(warnings.take(), []);
        for _ in 0..2 {
            warnings.too_many_names(5);
            warnings.unwatched("a".to_owned());
        }
        assert_eq!(warnings.take(), [IndexWarning::TooManyNames(5), IndexWarning::Unwatched("a".to_owned())]);
        warnings.complete(4);
        warnings.too_many_names(5);
        assert_eq!(warnings.take(), [IndexWarning::Complete(4), IndexWarning::TooManyNames(5)]);
    }

    #[test]
    fn a_failing_disk_makes_a_bounded_number_of_warnings() {
        let mut warnings = WaitingWarnings::default();
        for _ in 0..100 {
            warnings.unreadable(b"a", "b".to_owned());
        }
        assert_eq!(warnings.take().len(), MAX_WAITING);
    }
}
