//! The user and groups that a process changes to.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User};

/// A user and group to change to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: Uid,
    group: Gid,
    /// The account whose supplementary groups are used; `None` for a number without an account.
    account: Option<CString>,
    /// The user's name, for messages.
    pub name: String,
}

/// Looks up `user` and `group`, each a name or a number; the group defaults to the user's own.
///
/// # Errors
/// Part of a sentence that says which name is unknown.
pub fn look_up(user: &str, group: Option<&str>) -> Result<Identity, String> {
    let by_name =
        found(User::from_name(user)).map_err(|why| format!("cannot look up user '{user}': {why}"))?;
    let account = match (by_name, user.parse()) {
        (Some(account), _) => Some(account),
        (None, Ok(number)) => User::from_uid(Uid::from_raw(number)).ok().flatten(),
        (None, Err(_)) => return Err(format!("there is no user '{user}'")),
    };
    let uid = match (&account, user.parse()) {
        (Some(account), _) => account.uid,
        (None, Ok(number)) => Uid::from_raw(number),
        (None, Err(_)) => return Err(format!("there is no user '{user}'")),
    };
    let gid = match group {
        Some(group) => look_up_group(group)?,
        // A number without an account gets the group with the same number, as in Docker.
        None => account.as_ref().map_or(Gid::from_raw(uid.as_raw()), |account| account.gid),
    };
    let account = account.and_then(|account| CString::new(account.name).ok());
    Ok(Identity { user: uid, group: gid, account, name: user.to_owned() })
}

/// The result of a search for an account. Without a list of accounts, as in an image with this program alone,
/// getpwnam(3) returns one of these errors, and no account is found.
fn found<T>(search: nix::Result<Option<T>>) -> Result<Option<T>, &'static str> {
    use nix::errno::Errno;
    match search {
        Ok(account) => Ok(account),
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(error) => Err(error.desc()),
    }
}

fn look_up_group(group: &str) -> Result<Gid, String> {
    let by_name =
        found(Group::from_name(group)).map_err(|why| format!("cannot look up group '{group}': {why}"))?;
    match (by_name, group.parse()) {
        (Some(found), _) => Ok(found.gid),
        (None, Ok(number)) => Ok(Gid::from_raw(number)),
        (None, Err(_)) => Err(format!("there is no group '{group}'")),
    }
}

/// Becomes `identity` for good: supplementary groups, then group, then user, because each step needs the
/// right that the last one takes away.
///
/// # Errors
/// `EPERM` without the capability; see setuid(2).
pub fn become_identity(identity: &Identity) -> io::Result<()> {
    match &identity.account {
        Some(account) => nix::unistd::initgroups(account, identity.group)?,
        None => nix::unistd::setgroups(&[identity.group])?,
    }
    nix::unistd::setgid(identity.group)?;
    nix::unistd::setuid(identity.user)?;
    Ok(())
}

/// The supplementary groups of a user.
#[derive(Clone, Debug)]
pub struct Groups(Vec<rustix::fs::Gid>);

/// Looks up the groups of `identity`, for [`become_identity_in_thread`].
///
/// # Errors
/// See getgrouplist(3).
pub fn groups_of(identity: &Identity) -> io::Result<Groups> {
    let groups = match &identity.account {
        Some(account) => nix::unistd::getgrouplist(account, identity.group)?,
        None => vec![identity.group],
    };
    Ok(Groups(groups.into_iter().map(|group| rustix::fs::Gid::from_raw(group.as_raw())).collect()))
}

/// As [`become_identity`], for the calling thread and those that it starts later. The functions of the C
/// library change all threads of a process.
///
/// # Errors
/// As [`become_identity`].
pub fn become_identity_in_thread(identity: &Identity, groups: &Groups) -> io::Result<()> {
    rustix::thread::set_thread_groups(&groups.0)?;
    rustix::thread::set_thread_gid(rustix::fs::Gid::from_raw(identity.group.as_raw()))?;
    rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(identity.user.as_raw()))?;
    Ok(())
}
