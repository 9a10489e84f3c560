//! Kinds of file systems (statfs(2)): which may make the caller wait, and which calls tell beforehand.
//!
//! A kind that is not in the list counts as a network's.

use std::io::{self, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use procfs_core::FromBufRead;
use procfs_core::process::MountInfos;
use rustix::fs::{AtFlags, StatxFlags};

use super::file::Root;

/// What the kernel tells of a file system's files that are not in memory. Measured for each kind; the figures
/// are in docs/design/background.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemClass {
    /// All of it is in memory.
    Memory,
    /// Opens and reads that would wait say so (openat2(2) `RESOLVE_CACHED`, preadv2(2) `RWF_NOWAIT`).
    Probed,
    /// Opens that would wait say so; a read that says so may have waited before.
    HalfProbed,
    /// Opens that would wait say so, reads do not.
    Unprobed,
    /// Another machine or process answers each open, read and stat.
    Remote,
}

impl FileSystemClass {
    /// True if its times of change are finer than the ticks of the kernel's clock. `is_coarse`: this kernel
    /// has [none that are](super::file::has_coarse_clock); from Linux 6.13 on those of ext4, XFS, Btrfs and
    /// tmpfs are (`FS_MGTIME`). On a network the clock of the other machine counts, which is not known; it is
    /// taken for fine.
    pub fn has_fine_clock(self, is_coarse: bool) -> bool {
        match self {
            Memory | Probed | HalfProbed => !is_coarse,
            Unprobed => false,
            Remote => true,
        }
    }
}

use FileSystemClass::{HalfProbed, Memory, Probed, Remote, Unprobed};

/// File systems whose every change goes through this kernel, by their number in `statfs` (statfs(2),
/// linux/magic.h; the last two from their own sources) and their names in `mountinfo`. On others, such as NFS
/// or FUSE, another machine may change a file, and a look-up may wait for a server that does not answer.
const LOCAL: &[(u64, &[&str], FileSystemClass)] = &[
    (0xef53, &["ext2", "ext3", "ext4"], Probed),
    (0x5846_5342, &["xfs"], Probed),
    (0x9123_683e, &["btrfs"], HalfProbed),
    (0x0102_1994, &["tmpfs", "devtmpfs"], Memory),
    (0x8584_58f6, &["ramfs", "rootfs"], Memory),
    (0x794c_7630, &["overlay"], Unprobed),
    (0xf2f5_2010, &["f2fs"], Unprobed),
    (0x3153_464a, &["jfs"], Unprobed),
    (0x3434, &["nilfs2"], Unprobed),
    (0x4d44, &["vfat", "msdos"], Unprobed),
    (0x2011_bab0, &["exfat"], Unprobed),
    (0x7366_746e, &["ntfs3"], Unprobed),
    (0x7371_7368, &["squashfs"], Unprobed),
    (0xe0f5_e1e2, &["erofs"], Unprobed),
    (0x9660, &["iso9660"], Unprobed),
    (0x1501_3346, &["udf"], Unprobed),
    (0xca45_1a4e, &["bcachefs"], Unprobed),
    (0x2fc1_2fc1, &["zfs"], Unprobed),
];

/// The class of the file system that an open file or directory is on. This call itself may wait for a
/// network.
///
/// # Errors
/// See fstatfs(2).
pub fn class_of(node: BorrowedFd<'_>) -> io::Result<FileSystemClass> {
    // The type is signed on some machines, but the number has at most 32 bits.
    let magic = rustix::fs::fstatfs(node)?.f_type as u64 & 0xffff_ffff;
    Ok(LOCAL.iter().find(|(number, ..)| *number == magic).map_or(Remote, |(.., class)| *class))
}

/// True if an open file or directory is on a local file system. May wait for a network.
///
/// # Errors
/// See fstatfs(2).
pub fn is_local(node: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(class_of(node)? != Remote)
}

/// The mounts of this process (proc_pid_mountinfo(5)), which tell classes without a wait.
pub struct Mounts(Option<MountInfos>);

impl Mounts {
    /// Reads them.
    pub fn read() -> Mounts {
        let file = std::fs::File::open("/proc/self/mountinfo");
        Mounts(file.ok().and_then(|file| MountInfos::from_buf_read(BufReader::new(file)).ok()))
    }

    /// The class of the file system that an open file or directory is on. Waits for nothing, unless there is
    /// no `/proc`.
    pub fn class_of(&self, node: BorrowedFd<'_>) -> FileSystemClass {
        let known = self.0.as_ref().and_then(|mounts| {
            let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
            let stat = rustix::fs::statx(node, "", flags, StatxFlags::MNT_ID).ok()?;
            let mount = mounts.iter().find(|mount| u64::try_from(mount.mnt_id) == Ok(stat.stx_mnt_id))?;
            let name = mount.fs_type.as_str();
            let found = LOCAL.iter().find(|(_, names, _)| names.contains(&name));
            Some(found.map_or(Remote, |(.., class)| *class))
        });
        known.unwrap_or_else(|| class_of(node).unwrap_or(Remote))
    }
}

/// True if opening the directory at `path` waits for no network: the directory and all above it are on local
/// file systems, by the path as written and with its links resolved. False if that is unknown.
///
/// This call itself may wait for a network, where a directory on the way is not in the kernel's memory.
pub fn path_is_local(path: &Path) -> bool {
    let mounts = Mounts::read();
    let is_local = |directory: &Path| {
        Root::open(directory).is_ok_and(|directory| mounts.class_of(directory.as_fd()) != Remote)
    };
    let written = std::path::absolute(path);
    let real = std::fs::canonicalize(path);
    [written, real].into_iter().all(|path| path.is_ok_and(|path| path.ancestors().all(is_local)))
}

/// True if to look at a file, and to read it, waits for no network: the directories on the way to it are on
/// local file systems, and the file itself, which may be mounted alone. False if it can't be opened.
///
/// This call itself may wait for a network.
pub fn file_is_local(path: &Path) -> bool {
    let is_beside = |path: &Path| path.parent().is_some_and(path_is_local);
    let written = std::path::absolute(path);
    let real = std::fs::canonicalize(path);
    let is_own = std::fs::File::open(path).and_then(|file| is_local(file.as_fd()));
    is_own.unwrap_or(false) && [written, real].into_iter().all(|path| path.is_ok_and(|path| is_beside(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_find_a_class_agree() {
        for path in ["/", "/proc/self", "/dev/shm", "/tmp", "/sys"] {
            let Ok(directory) = Root::open(Path::new(path)) else { continue };
            let by_mount = Mounts::read().class_of(directory.as_fd());
            assert_eq!(by_mount, class_of(directory.as_fd()).unwrap(), "{path}");
        }
    }

    #[test]
    fn a_path_is_local_where_all_directories_on_the_way_are() {
        // A tmpfs or a disk, and a file system that is in no list.
        let directory = std::env::temp_dir().join(format!("mayhttpd-filesystem-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::os::unix::fs::symlink("/proc/self", directory.join("link")).unwrap();
        assert!(path_is_local(&directory));
        assert!(!path_is_local(Path::new("/proc/self")));
        assert!(!path_is_local(&directory.join("link")));
        assert!(!path_is_local(&directory.join("absent")));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
