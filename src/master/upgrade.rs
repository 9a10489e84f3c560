//! Handing the listening sockets to a new program: by a variable that names them and by descriptor number.
//!
//! Both masters serve from the same sockets until one of them leaves. The subtle rule: the variable names the process
//! that it is meant for by its parent, since every later child of that process inherits it as well.
//!
//! ```text
//! _MAYHTTPD_LISTENERS=PARENT;ASKED=FD,FD,…;ASKED=FD,FD,…
//! ```
//!
//! Sockets that were lent stand under `lent` in place of an address.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::sockets::{Group, Sockets};
use crate::sys::{process, socket};

/// The variable's name. It has no prefix of ours, since it is no setting.
const VARIABLE: &str = "_MAYHTTPD_LISTENERS";

/// What stands for the address of sockets that were lent.
const LENT: &str = "lent";

/// Starts the program that this one was started as, anew and with the sockets, and returns its process id.
///
/// # Errors
/// What fork(2) and execve(2) say.
pub fn start(sockets: &Sockets) -> io::Result<i32> {
    let mut text = process::id().to_string();
    let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
    let own = sockets.groups.iter().map(|group| (group.asked.to_string(), &group.listeners));
    let lent = (!sockets.lent.is_empty()).then(|| (LENT.to_owned(), &sockets.lent));
    for (asked, listeners) in own.chain(lent) {
        let numbers: Vec<String> = listeners.iter().map(|l| l.as_raw_fd().to_string()).collect();
        // Writing to a string can't fail.
        let _ = write!(text, ";{asked}={}", numbers.join(","));
        fds.extend(listeners.iter().map(|listener| listener.as_fd()));
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    process::spawn(&arguments, (VARIABLE, &text), &fds)
}

/// Whether this program was started by another one that handed its sockets on.
pub fn is_successor() -> bool {
    std::env::var(VARIABLE).is_ok_and(|text| is_meant(text.split(';').next().unwrap_or_default()))
}

fn is_meant(parent: &str) -> bool {
    parent.parse() == Ok(process::parent())
}

/// The sockets that the program before this one handed on, if one did.
///
/// # Errors
/// What is wrong with the variable or a socket that it names.
pub fn inherited() -> Result<Option<Sockets>, String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(None) };
    let (parent, groups) = text.split_once(';').unwrap_or((&text, ""));
    if !is_meant(parent) {
        return Ok(None);
    }
    let mut sockets = Sockets::default();
    for text in groups.split(';').filter(|group| !group.is_empty()) {
        take_group(&mut sockets, text)?;
    }
    Ok(Some(sockets))
}

fn take_group(sockets: &mut Sockets, text: &str) -> Result<(), String> {
    let bad = || format!("{VARIABLE} is damaged at '{text}'");
    let (asked, numbers) = text.split_once('=').ok_or_else(bad)?;
    let mut listeners = Vec::new();
    for number in numbers.split(',') {
        let number = number.parse().map_err(|_| bad())?;
        let listener = socket::adopt_listener(number)
            .map_err(|error| format!("descriptor {number} is no listener of mine: {error}"))?;
        listeners.push(Arc::new(listener));
    }
    if asked == LENT {
        sockets.lent = listeners;
        return Ok(());
    }
    let asked = asked.parse().map_err(|_| bad())?;
    let first = listeners.first().ok_or_else(bad)?;
    let bound = socket::local_address(first).map_err(|error| format!("{asked}: {error}"))?;
    sockets.groups.push(Group { asked, bound, open: listeners.len(), listeners });
    Ok(())
}
