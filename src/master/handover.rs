//! Hands the listening sockets over to a new program, and the keys of TLS tickets. The new program inherits
//! the descriptors; an environment variable gives their numbers.
//!
//! Both masters serve from the same sockets until one of them ends.
//!
//! **Invariant:** the variable names the parent of the process that it is meant for, since all later children
//! of that process inherit the variable as well.
//!
//! ```text
//! _MAYHTTPD_LISTENERS=PARENT;ASKED=FD,FD,…;ASKED=FD,FD,…;admin@ASKED=FD;ticket-keys@=FD
//! ```
//!
//! Listeners of socket activation stand under the word `INHERITED` in place of an address. The socket
//! behind `admin@` holds the address of the admin listener. `ticket-keys@` is there if TLS is served.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::config::address::{self, ListenAddress};
use crate::master::listeners::{ListenerGroup, Listeners};
use crate::sys::secret_page::SecretPage;
use crate::sys::{process, socket};

/// The variable's name. Its prefix differs from that of settings, since it is not a setting.
const VARIABLE: &str = "_MAYHTTPD_LISTENERS";

/// Stands for the address of listeners of socket activation. Older versions use this word, so it can't
/// change.
const INHERITED: &str = "lent";

/// The prefix of the address of the admin listener.
const ADMIN: &str = "admin@";

/// Stands for the page of the keys of TLS tickets.
const TICKET_KEYS: &str = "ticket-keys@=";

/// The address of the admin listener in the settings, and a socket that is bound to it.
pub type HeldAddress<T> = (SocketAddr, T);

/// What the previous master has handed over.
#[derive(Default)]
pub struct Handover {
    /// The listeners.
    pub listeners: Listeners,
    /// The address of the admin listener.
    pub admin: Option<HeldAddress<OwnedFd>>,
    /// The keys of TLS tickets.
    pub ticket_page: Option<SecretPage>,
}

/// Starts the program again with this one's arguments, the sockets and the page. Returns its process id.
///
/// # Errors
/// What fork(2) and execve(2) say.
pub fn start(
    sockets: &Listeners,
    admin: Option<HeldAddress<BorrowedFd<'_>>>,
    ticket_page: Option<BorrowedFd<'_>>,
) -> io::Result<i32> {
    let mut text = process::id().to_string();
    let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
    let own = sockets.groups.iter().map(|group| (group.asked.to_string(), &group.listeners));
    let shared = (!sockets.inherited.is_empty()).then(|| (INHERITED.to_owned(), &sockets.inherited));
    for (asked, listeners) in own.chain(shared) {
        let numbers: Vec<String> = listeners.iter().map(|l| l.as_raw_fd().to_string()).collect();
        // Writing to a string can't fail.
        let _ = write!(text, ";{asked}={}", numbers.join(","));
        fds.extend(listeners.iter().map(|listener| listener.as_fd()));
    }
    if let Some((asked, held)) = admin {
        let _ = write!(text, ";{ADMIN}{asked}={}", held.as_raw_fd());
        fds.push(held);
    }
    if let Some(page) = ticket_page {
        let _ = write!(text, ";{TICKET_KEYS}{}", page.as_raw_fd());
        fds.push(page);
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    process::spawn(&arguments, (VARIABLE, &text), &fds)
}

/// True if this program was started by an upgrade.
pub fn is_successor() -> bool {
    std::env::var(VARIABLE).is_ok_and(|text| is_meant(text.split(';').next().unwrap_or_default()))
}

fn is_meant(parent: &str) -> bool {
    parent.parse() == Ok(process::parent())
}

/// The sockets that the previous master has handed over, if this program was started by an upgrade.
///
/// # Errors
/// What is wrong with the variable or a socket that it names.
pub fn receive() -> Result<Option<Handover>, String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(None) };
    let (parent, groups) = text.split_once(';').unwrap_or((&text, ""));
    if !is_meant(parent) {
        return Ok(None);
    }
    let mut handover = Handover::default();
    for text in groups.split(';').filter(|group| !group.is_empty()) {
        if let Some(admin) = text.strip_prefix(ADMIN) {
            handover.admin = Some(take_admin(admin)?);
        } else if let Some(number) = text.strip_prefix(TICKET_KEYS) {
            handover.ticket_page = Some(take_ticket_page(number)?);
        } else {
            take_group(&mut handover.listeners, text)?;
        }
    }
    Ok(Some(handover))
}

fn take_admin(text: &str) -> Result<HeldAddress<OwnedFd>, String> {
    let bad = || format!("{VARIABLE} is damaged at '{ADMIN}{text}'");
    let (asked, number) = text.split_once('=').ok_or_else(bad)?;
    let (asked, number) = (asked.parse().map_err(|_| bad())?, number.parse().map_err(|_| bad())?);
    let held = socket::adopt_held(number)
        .map_err(|error| format!("descriptor {number} is no held address of mine: {error}"))?;
    Ok((asked, held))
}

fn take_ticket_page(text: &str) -> Result<SecretPage, String> {
    let number = text.parse().map_err(|_| format!("{VARIABLE} is damaged at '{TICKET_KEYS}{text}'"))?;
    SecretPage::adopt(number).map_err(|error| format!("descriptor {number} is no page of mine: {error}"))
}

fn take_group(sockets: &mut Listeners, text: &str) -> Result<(), String> {
    let bad = || format!("{VARIABLE} is damaged at '{text}'");
    let (asked, numbers) = text.split_once('=').ok_or_else(bad)?;
    let mut listeners = Vec::new();
    for number in numbers.split(',') {
        let number = number.parse().map_err(|_| bad())?;
        let listener = socket::adopt_listener(number)
            .map_err(|error| format!("descriptor {number} is no listener of mine: {error}"))?;
        listeners.push(Arc::new(listener));
    }
    if asked == INHERITED {
        sockets.inherited = listeners;
        return Ok(());
    }
    let asked = address::listen(asked).map_err(|_| bad())?;
    let first = listeners.first().ok_or_else(bad)?;
    let bound = socket::local_address(first).map_err(|error| format!("{asked}: {error}"))?;
    // Where there was no IPv6, every address is 0.0.0.0. Which listeners have TLS is said by the settings of
    // this program.
    let bound = match asked {
        ListenAddress::Any(_) if bound.is_ipv6() => ListenAddress::Any(bound.port()),
        _ => bound.into(),
    };
    sockets.groups.push(ListenerGroup { asked, bound, tls: false, open: listeners.len(), listeners });
    Ok(())
}
