//! The directory and all beneath it: which files are worth to be compressed, and which of their compressed
//! forms are up to date.
//!
//! Hidden names are left out, as a server does not serve them; `.well-known` is not. So are links, and files
//! that are themselves compressed.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::drafts::is_draft;
use super::place::{Place, PrecompressMode};
use super::summary::{Finding, Summary};
use super::variant::{Made, remove_outdated};
use super::work::Work;
use crate::compression::is_compressible;
use crate::http::content_coding::ContentCoding;
use crate::http::mime::Types;
use crate::sys::file::{self, Kind, Stamp};
use crate::sys::signal::Signals;

/// The files of a directory and of all beneath it.
pub struct Tree<'a> {
    /// Where they are, and what is done.
    pub place: &'a Place,
    /// Their types.
    pub types: &'a Types,
    /// The codings of the variants.
    pub codings: &'a [ContentCoding],
    /// Looked at before each entry: one directory may have millions.
    pub signals: &'a Signals,
}

/// Why a directory was not read to its end.
enum ReadEnd {
    /// The number of the signal that came.
    Signal(u32),
    Failed(io::Error),
}

impl From<io::Error> for ReadEnd {
    fn from(error: io::Error) -> ReadEnd {
        ReadEnd::Failed(error)
    }
}

/// What stands at the name of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    UpToDate,
    Outdated,
    /// A directory, a link or something else that is never replaced.
    Foreign,
}

impl State {
    fn of(source: &Stamp, variant: Option<(Kind, Stamp)>) -> State {
        match variant {
            None => State::Missing,
            Some((Kind::Regular, variant)) if is_up_to_date(source, &variant) => State::UpToDate,
            Some((Kind::Regular, _)) => State::Outdated,
            Some(_) => State::Foreign,
        }
    }
}

/// Where all files of builds have one mtime, only the ctime shows that a file was replaced: it is then later
/// than that of the variant, which was written after its file. A later ctime of a variant says nothing.
fn is_up_to_date(source: &Stamp, variant: &Stamp) -> bool {
    variant.mtime == source.mtime && variant.ctime >= source.ctime
}

impl Tree<'_> {
    /// Reads all directories. Returns what is to be compressed; or the signal that came meanwhile.
    pub fn read(&self, summary: &mut Summary) -> Result<Vec<Work>, u32> {
        let mut work = Vec::new();
        let mut directories = vec![Vec::new()];
        while let Some(directory) = directories.pop() {
            match self.read_directory(&directory, &mut directories, &mut work, summary) {
                Ok(()) => {}
                Err(ReadEnd::Signal(number)) => return Err(number),
                Err(ReadEnd::Failed(error)) => {
                    summary.failed("read", &self.place.shown(&directory, b""), &error);
                }
            }
        }
        Ok(work)
    }

    /// An error if a signal has come.
    fn look_for_signals(&self) -> Result<(), ReadEnd> {
        self.signals.next_number().map_or(Ok(()), |number| Err(ReadEnd::Signal(number)))
    }

    fn read_directory(
        &self,
        path: &[u8],
        directories: &mut Vec<Vec<u8>>,
        work: &mut Vec<Work>,
        summary: &mut Summary,
    ) -> Result<(), ReadEnd> {
        self.look_for_signals()?;
        let directory = file::open_beneath(self.place.root.as_fd(), path)?;
        let mut kinds = HashMap::new();
        for name in names(&directory)? {
            self.look_for_signals()?;
            if is_draft(&name) && self.place.mode != PrecompressMode::Check {
                file::remove_abandoned(directory.as_fd(), &name);
            } else if !is_hidden(&name) {
                match file::stat_at(directory.as_fd(), &name) {
                    Ok(Some(found)) => drop(kinds.insert(name, found)),
                    Ok(None) => {}
                    Err(error) => summary.failed("read", &self.place.shown(path, &name), &error),
                }
            }
        }
        let mut names: Vec<&Vec<u8>> = kinds.keys().collect();
        names.sort_unstable();
        for name in names {
            self.look_for_signals()?;
            match kinds[name] {
                (Kind::Directory, _) => directories.push(joined(path, name)),
                (Kind::Regular, stamp) if self.is_source(name) => {
                    summary.files += 1;
                    for &coding in self.codings {
                        let variant = kinds.get(&[name, coding.suffix().as_bytes()].concat()).copied();
                        let item =
                            Work { directory: path.into(), name: name.clone(), size: stamp.size, coding };
                        work.extend(self.take(item, State::of(&stamp, variant), directory.as_fd(), summary));
                    }
                }
                (Kind::Regular, _) if self.is_orphan(name, &kinds) => {
                    summary.found(Finding::Orphaned, &self.place.shown(path, name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts a variant, or removes it. Returns it if it is to be compressed.
    fn take(
        &self,
        item: Work,
        state: State,
        directory: BorrowedFd<'_>,
        summary: &mut Summary,
    ) -> Option<Work> {
        let variant = item.variant();
        match (self.place.mode, state) {
            (PrecompressMode::Remove, State::UpToDate | State::Outdated) => {
                match file::remove(directory, &variant) {
                    Ok(()) => summary.removed += 1,
                    Err(error) => {
                        summary.failed("remove", &self.place.shown(&item.directory, &variant), &error)
                    }
                }
            }
            (PrecompressMode::Remove, State::Missing | State::Foreign) => {}
            (_, State::Foreign) => {
                let error = io::Error::other("it is no regular file");
                summary.failed("replace", &self.place.shown(&item.directory, &variant), &error);
            }
            (_, State::UpToDate) => summary.up_to_date += 1,
            (PrecompressMode::Check, State::Outdated) => {
                summary.found(Finding::Outdated, &self.place.shown(&item.directory, &variant));
            }
            (PrecompressMode::Write, State::Outdated) if !item.may_be_worth() => {
                match remove_outdated(directory, &variant) {
                    Ok(made) => summary.made(&self.place.shown(&item.directory, &variant), made),
                    Err(error) => {
                        summary.failed("remove", &self.place.shown(&item.directory, &variant), &error)
                    }
                }
            }
            (PrecompressMode::Check | PrecompressMode::Write, State::Missing) if !item.may_be_worth() => {
                let made = Made::NotWorth { removed: false };
                summary.made(&self.place.shown(&item.directory, &variant), made);
            }
            // Whether one that is missing would save enough is seen when it is compressed.
            (PrecompressMode::Check | PrecompressMode::Write, State::Missing)
            | (PrecompressMode::Write, State::Outdated) => {
                return Some(item);
            }
        }
        None
    }

    /// True for files of types that are worth to be compressed.
    fn is_source(&self, name: &[u8]) -> bool {
        source_of(name).is_none() && is_compressible(&self.types.of(name))
    }

    /// True for a variant that was made of a file which is not there. It may be an archive of its own.
    fn is_orphan(&self, name: &[u8], kinds: &HashMap<Vec<u8>, (Kind, Stamp)>) -> bool {
        self.place.mode == PrecompressMode::Check
            && source_of(name).is_some_and(|(source, coding)| {
                self.codings.contains(&coding) && self.is_source(source) && !kinds.contains_key(source)
            })
    }
}

/// The name of the file that a variant is of, by its suffix in any case.
fn source_of(name: &[u8]) -> Option<(&[u8], ContentCoding)> {
    ContentCoding::ALL.into_iter().find_map(|coding| {
        let suffix = coding.suffix().as_bytes();
        let (source, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
        end.eq_ignore_ascii_case(suffix).then_some((source, coding))
    })
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b".well-known"
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// All names in a directory.
fn names(directory: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let (mut buffer, mut names) = (vec![MaybeUninit::uninit(); 32 * 1024], Vec::new());
    while file::entries(directory.as_fd(), &mut buffer, |name, _| names.push(name.to_vec()))? {}
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_form_is_up_to_date_if_it_has_the_mtime_of_its_file_and_no_earlier_ctime() {
        let stamp = |mtime, ctime| Stamp { identity: (0, 0), size: 1, mtime, ctime, links: 1 };
        let source = stamp((5, 5), (9, 9));
        for (variant, state) in [
            (None, State::Missing),
            (Some((Kind::Regular, stamp((5, 5), (9, 9)))), State::UpToDate),
            (Some((Kind::Regular, stamp((5, 5), (9, 10)))), State::UpToDate),
            (Some((Kind::Regular, stamp((5, 5), (10, 0)))), State::UpToDate),
            (Some((Kind::Regular, stamp((5, 5), (9, 8)))), State::Outdated),
            (Some((Kind::Regular, stamp((5, 5), (8, 10)))), State::Outdated),
            (Some((Kind::Regular, stamp((5, 4), (9, 9)))), State::Outdated),
            (Some((Kind::Regular, stamp((5, 6), (9, 10)))), State::Outdated),
            (Some((Kind::Regular, stamp((6, 5), (9, 9)))), State::Outdated),
            (Some((Kind::Link, stamp((5, 5), (9, 9)))), State::Foreign),
            (Some((Kind::Directory, stamp((5, 5), (9, 9)))), State::Foreign),
            (Some((Kind::Special, stamp((5, 5), (9, 9)))), State::Foreign),
        ] {
            assert_eq!(State::of(&source, variant), state, "{variant:?}");
        }
    }

    #[test]
    fn a_suffix_in_any_case_tells_that_a_file_is_compressed() {
        for (name, source) in [
            (&b"a.js.br"[..], Some((&b"a.js"[..], ContentCoding::Brotli))),
            (b"a.js.GZ", Some((b"a.js", ContentCoding::Gzip))),
            (b"a.zst", Some((b"a", ContentCoding::Zstd))),
            (b".gz", Some((b"", ContentCoding::Gzip))),
            (b"gz", None),
            (b"", None),
            (b"a.js.gz2", None),
            (b"a.js.zs", None),
        ] {
            assert_eq!(source_of(name), source, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn hidden_names_are_left_out_but_one() {
        let hidden = [&b".git"[..], b".htaccess", b".well-known2", b".mayhttpd-precompress-1-2", b".."];
        assert!(hidden.iter().all(|name| is_hidden(name)));
        assert!(!is_hidden(b".well-known") && !is_hidden(b"a.b") && !is_hidden(b"\xff"));
    }
}
