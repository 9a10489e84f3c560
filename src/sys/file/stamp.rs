//! The kind of an open file, and the stamp that shows a change (fstat(2)).

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Stat, StatxFlags};
use rustix::io::Errno;

/// Metadata of an open file that tells whether two opens of a name have the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode number.
    pub identity: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the last change of content or attributes: seconds since 1970 and nanoseconds.
    pub ctime: (i64, u32),
    /// Number of names (hard links).
    pub links: u64,
}

/// True where the kernel gives two changes of a file that it was asked about in between the same time if
/// they are less than some milliseconds apart, on all file systems: before Linux 6.13.
static HAS_COARSE_CLOCK: LazyLock<bool> = LazyLock::new(|| is_before_6_13(rustix::system::uname().release()));

/// How long after a change a file may change again without a change of its stamp. A coarse clock for files
/// moves every 1 to 10 ms.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// The same where times have no fractions of a second, as on FAT: its times are even seconds.
const COARSE_CLOCK_STEP: Duration = Duration::from_secs(2);

impl Stamp {
    /// True if the file may get other bytes after `now` and keep its stamp: its last change is just over, and
    /// the clock for files there is not fine, or its file system keeps no fractions of a second.
    pub fn may_recur(&self, now: SystemTime, has_fine_clock: bool) -> bool {
        (!has_fine_clock || self.is_in_seconds()) && !self.shows_changes(now)
    }

    /// True if the file system has no fractions of a second.
    fn is_in_seconds(&self) -> bool {
        self.mtime.1 == 0 && self.ctime.1 == 0
    }

    /// True if a further change of the file after `now` shows in its stamp. False for a file whose last
    /// change is just over, or is still to come by this machine's clock.
    pub fn shows_changes(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.ctime;
        let since_epoch = Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds);
        let age = now.duration_since(SystemTime::UNIX_EPOCH + since_epoch);
        age.is_ok_and(|age| age >= if self.is_in_seconds() { COARSE_CLOCK_STEP } else { CLOCK_STEP })
    }

    /// True if a file whose stamp was `before` still has the bytes that it had: it is unchanged or has only
    /// grown.
    ///
    /// The ctime shows an overwritten file whose mtime was set back. An added or removed name changes the
    /// ctime and the number of links, but not the bytes.
    pub fn continues(&self, before: &Stamp) -> bool {
        let same_times =
            self.mtime == before.mtime && (self.ctime == before.ctime || self.links != before.links);
        self.size > before.size || (self.size == before.size && same_times)
    }
}

/// True if times of files are coarse on all file systems, by the kernel's version. To be called first before
/// the process is confined, which then can't ask.
pub fn has_coarse_clock() -> bool {
    *HAS_COARSE_CLOCK
}

fn is_before_6_13(release: &CStr) -> bool {
    let mut numbers = release.to_str().unwrap_or_default().split(['.', '-', '+']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 13),
        _ => true,
    }
}

/// The kinds of file that matter to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link. Only calls that do not follow links return it.
    Link,
    /// A FIFO, socket or device: never served.
    Special,
}

/// Kind and stamp of an open file.
///
/// # Errors
/// See fstat(2).
pub fn stat(fd: BorrowedFd<'_>) -> io::Result<(Kind, Stamp)> {
    Ok(kind_and_stamp(&rustix::fs::fstat(fd)?))
}

/// Kind and stamp of `name` in a directory; `None` if nothing has this name. A link is not followed.
///
/// # Errors
/// See fstatat(2), such as `EACCES` or `ENAMETOOLONG`.
pub fn stat_at(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<(Kind, Stamp)>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(kind_and_stamp(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Kind and stamp as the kernel has them in one answer.
pub(super) fn kind_and_stamp(stat: &Stat) -> (Kind, Stamp) {
    let kind = kind(FileType::from_raw_mode(stat.st_mode));
    let nanos = |n: u64| u32::try_from(n).unwrap_or(0);
    let stamp = Stamp {
        identity: (stat.st_dev, stat.st_ino),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: (stat.st_mtime, nanos(stat.st_mtime_nsec)),
        ctime: (stat.st_ctime, nanos(stat.st_ctime_nsec)),
        #[allow(clippy::useless_conversion, reason = "the type differs between machines")]
        links: u64::from(stat.st_nlink),
    };
    (kind, stamp)
}

/// Kind and stamp of what a path leads to.
///
/// # Errors
/// See stat(2).
pub fn stat_path(path: &Path) -> io::Result<(Kind, Stamp)> {
    Ok(kind_and_stamp(&rustix::fs::stat(path)?))
}

/// The stamp of an open file as this kernel has it, without a question to another machine (statx(2)
/// `AT_STATX_DONT_SYNC`).
///
/// # Errors
/// See statx(2).
pub fn stat_cached(fd: BorrowedFd<'_>) -> io::Result<Stamp> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(fd, "", flags, StatxFlags::BASIC_STATS)?;
    Ok(Stamp {
        identity: (rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino),
        size: stat.stx_size,
        mtime: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        ctime: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        links: stat.stx_nlink.into(),
    })
}

pub(super) fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn both_ways_to_ask_give_one_stamp() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(stat_cached(file.as_fd()).unwrap(), stat(file.as_fd()).unwrap().1);
    }

    #[test]
    fn the_clock_for_files_is_coarse_before_linux_6_13() {
        for (release, is_coarse) in [
            (c"6.12.9", true),
            (c"6.13.0-rc1", false),
            (c"6.13", false),
            (c"6.13-rc1", false),
            (c"6.18.44-fc-v769", false),
            (c"7.0.1+", false),
            (c"5.15.0-91-generic", true),
            (c"4.19", true),
            (c"6", true),
            (c"", true),
            (c"x.y", true),
            (c"\xff", true),
        ] {
            assert_eq!(is_before_6_13(release), is_coarse, "{release:?}");
        }
    }

    #[test]
    fn a_stamp_shows_changes_once_the_clock_has_moved_on() {
        let at = |seconds, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        let fine = Stamp { identity: (1, 2), size: 1, mtime: (5, 0), ctime: (100, 7), links: 1 };
        let coarse = Stamp { ctime: (100, 0), ..fine };
        for (stamp, now, shows) in [
            (fine, at(100, 7), false),
            (fine, at(100, 20_000_006), false),
            (fine, at(100, 20_000_007), true),
            (fine, at(99, 0), false),
            (fine, at(9999, 0), true),
            (coarse, at(101, 999_999_999), false),
            (coarse, at(102, 0), true),
            (Stamp { ctime: (-5, 7), ..fine }, at(1, 0), true),
        ] {
            assert_eq!(stamp.shows_changes(now), shows, "{stamp:?} {now:?}");
        }
    }

    #[test]
    fn a_stamp_may_recur_where_the_clock_is_not_fine() {
        let at = |nanos| SystemTime::UNIX_EPOCH + Duration::new(100, nanos);
        let stamp = Stamp { identity: (1, 2), size: 1, mtime: (5, 0), ctime: (100, 7), links: 1 };
        let in_seconds = Stamp { ctime: (100, 0), ..stamp };
        for (stamp, nanos, has_fine_clock, recurs) in [
            (stamp, 10, false, true),
            (stamp, 10, true, false),
            (stamp, 20_000_007, false, false),
            (in_seconds, 900_000_000, true, true),
            (in_seconds, 900_000_000, false, true),
        ] {
            assert_eq!(stamp.may_recur(at(nanos), has_fine_clock), recurs, "{stamp:?} {nanos}");
        }
    }

    #[test]
    fn a_file_continues_as_long_as_it_is_unchanged_or_has_grown() {
        let before = Stamp { identity: (1, 2), size: 100, mtime: (5, 6), ctime: (7, 8), links: 2 };
        for (what, now, continues) in [
            ("nothing", before, true),
            ("appended", Stamp { size: 101, mtime: (5, 7), ctime: (7, 9), ..before }, true),
            ("shortened", Stamp { size: 99, mtime: (5, 7), ctime: (7, 9), ..before }, false),
            ("overwritten", Stamp { mtime: (5, 7), ctime: (7, 9), ..before }, false),
            ("overwritten, then set back", Stamp { ctime: (7, 9), ..before }, false),
            ("a clock that went back", Stamp { mtime: (4, 0), ctime: (6, 0), ..before }, false),
            ("a name removed", Stamp { ctime: (7, 9), links: 1, ..before }, true),
            ("a name added", Stamp { ctime: (7, 9), links: 3, ..before }, true),
            (
                "overwritten, a name removed",
                Stamp { mtime: (6, 0), ctime: (7, 9), links: 1, ..before },
                false,
            ),
        ] {
            assert_eq!(now.continues(&before), continues, "{what}");
        }
    }
}
