//! The permissions of a file that is made like another one: mode bits, group, and access control list.
//!
//! **Invariant:** a user who may not read the other file may not read the new one, unless as its owner. That
//! goes for mode bits and POSIX lists. Lists of NFSv4 are not known here.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, Stat, XattrFlags, fgetxattr, fgetxattr_query, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// The POSIX access control list of a file (acl(5)), as the kernel gives and takes it.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// The permission bits in a mode.
const PERMISSIONS: u32 = 0o777;

/// Those of the owner.
const OF_OWNER: u32 = 0o700;

/// Gives an open file, which is `own`, the group, the access control list and the permission bits of the open
/// file `like`, which is `model`. Without the right to give the group or the list, others get less.
///
/// # Errors
/// See fchmod(2).
pub(super) fn copy_permissions(
    (file, own): (BorrowedFd<'_>, &Stat),
    (like, model): (BorrowedFd<'_>, &Stat),
) -> io::Result<()> {
    let group = Gid::from_raw(model.st_gid);
    let has_group = model.st_gid == own.st_gid || rustix::fs::fchown(file, None, Some(group)).is_ok();
    let bits = model.st_mode & PERMISSIONS;
    let mode = match access_list(like) {
        Ok(None) if remove_access_list(file).is_err() => bits & OF_OWNER,
        Ok(None) if has_group => bits,
        Ok(None) => without_group(bits),
        // The bits of the group are the mask of the list (acl(5)), so they alone would give it too much.
        Ok(Some(list)) if has_group && fsetxattr(file, ACCESS_LIST, &list, XattrFlags::empty()).is_ok() => {
            bits
        }
        Ok(Some(_)) | Err(_) => bits & OF_OWNER,
    };
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// The mode of a file that has not the group of its model. Members of the new group have been others, and
/// members of the model's group become others: both get what both had.
fn without_group(mode: u32) -> u32 {
    let both = (mode >> 3) & mode & 0o7;
    mode & OF_OWNER | both << 3 | both
}

/// The access control list, if the file has one beyond its mode.
fn access_list(file: BorrowedFd<'_>) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut list = match fgetxattr_query(file, ACCESS_LIST) {
        Ok(length) => vec![0; length],
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = fgetxattr(file, ACCESS_LIST, &mut list[..])?;
    list.truncate(length);
    Ok(Some(list))
}

/// Removes the list that a new file has by a default of its directory.
fn remove_access_list(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match fremovexattr(file, ACCESS_LIST) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_group_a_file_gives_both_classes_what_both_had() {
        for (mode, expected) in [
            (0o644, 0o644),
            (0o444, 0o444),
            (0o640, 0o600),
            (0o604, 0o600),
            (0o755, 0o755),
            (0o750, 0o700),
            (0o664, 0o644),
            (0o646, 0o644),
            (0o777, 0o777),
            (0o600, 0o600),
            (0o000, 0o000),
        ] {
            assert_eq!(without_group(mode), expected, "{mode:o}");
        }
    }
}
