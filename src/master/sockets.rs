//! The listening sockets: one for each address and slot, kept by the master across workers and generations.
//!
//! Generations share them, so that a reload leaves nobody's accept queue behind. The subtle rule: a socket is closed
//! only when no generation has it any more; the master asks each generation by [`Sockets::have`].
//!
//! Sockets that were lent to the server (socket activation) take the place of all of its own. Each is one that all slots
//! share, and its owner goes on with it whatever happens here, so that no worker may end it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::config::proxies::ListenerName;
use crate::error::StartupError;
use crate::sys::{activation, socket};

/// The sockets of one address: the first of all slots, in order.
#[derive(Clone, Debug)]
pub struct Group {
    /// The address as it was asked for, with port 0 perhaps.
    pub asked: SocketAddr,
    /// The address as it is.
    pub bound: SocketAddr,
    /// A listener for each slot.
    pub listeners: Vec<Arc<OwnedFd>>,
    /// So many of them, the first ones, are not about to close.
    pub open: usize,
}

/// The sockets of one generation.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    /// Those of the server's own, a group for each address.
    pub groups: Vec<Group>,
    /// Those that were lent; then there are no groups.
    pub lent: Vec<Arc<OwnedFd>>,
}

impl Sockets {
    /// The sockets that were lent to this process by whoever started it.
    ///
    /// # Errors
    /// [`StartupError::Lent`] for one that can't be served on.
    pub fn lent() -> Result<Sockets, StartupError> {
        let lent = activation::take();
        let lent = lent.map_err(|(descriptor, source)| StartupError::Lent { descriptor, source })?;
        Ok(Sockets { groups: Vec::new(), lent: lent.into_iter().map(Arc::new).collect() })
    }

    /// The sockets for `addresses` and `slots`: lent ones if `others` have any, else those of `others` where they have
    /// them, else new ones.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address that can't be had.
    pub fn open(
        addresses: &[SocketAddr],
        slots: usize,
        backlog: u32,
        others: &[&Sockets],
    ) -> Result<Sockets, StartupError> {
        if let Some(other) = others.iter().find(|other| !other.lent.is_empty()) {
            return Ok(Sockets { groups: Vec::new(), lent: other.lent.clone() });
        }
        let mut groups: Vec<Group> = Vec::with_capacity(addresses.len());
        for &asked in addresses {
            // Port 0 may be asked for more than once, and means another port each time.
            let taken = |group: &Group| groups.iter().any(|mine| mine.bound == group.bound);
            let known = others.iter().flat_map(|other| &other.groups).filter(|group| group.asked == asked);
            let known = known.filter(|group| !taken(group)).max_by_key(|group| group.open);
            let group = open_group(asked, slots, backlog, known);
            groups.push(group.map_err(|source| StartupError::Bind { addr: asked, source })?);
        }
        Ok(Sockets { groups, lent: Vec::new() })
    }

    /// A slot's listeners, one for each address.
    pub fn of_slot(&self, slot: usize) -> Vec<Arc<OwnedFd>> {
        let own = self.groups.iter().filter_map(|group| group.listeners.get(slot));
        own.chain(&self.lent).cloned().collect()
    }

    /// Of each of a slot's listeners, in the order of [`Sockets::of_slot`], whether one of `names` is its.
    pub fn are_named(&self, slot: usize, names: &[ListenerName]) -> Vec<bool> {
        let own = self.groups.iter().filter(|group| slot < group.listeners.len());
        let own = own.map(|group| names.iter().any(|name| name.is_of(group.asked)));
        own.chain(self.lent.iter().map(|lent| names.iter().any(|name| names_lent(name, lent)))).collect()
    }

    /// Checks that there is a listener for each name.
    ///
    /// # Errors
    /// [`StartupError::NoListener`] for the first name that is nobody's.
    pub fn check_names(&self, names: &[ListenerName]) -> Result<(), StartupError> {
        let known = |name: &&ListenerName| {
            self.groups.iter().any(|group| name.is_of(group.asked))
                || self.lent.iter().any(|lent| names_lent(name, lent))
        };
        match names.iter().find(|name| !known(name)) {
            Some(name) => Err(StartupError::NoListener { name: name.to_string() }),
            None => Ok(()),
        }
    }

    /// Opens one slot more, at each address.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address where that is not possible.
    pub fn reach(&mut self, slots: usize, backlog: u32) -> Result<(), StartupError> {
        for group in &mut self.groups {
            let addr = group.asked;
            *group = open_group(addr, slots.max(group.open), backlog, Some(group))
                .map_err(|source| StartupError::Bind { addr, source })?;
        }
        Ok(())
    }

    /// Lets go of the listeners of a slot and those after it.
    pub fn cut(&mut self, slot: usize) {
        for group in &mut self.groups {
            group.listeners.truncate(slot);
            group.open = group.open.min(slot);
        }
    }

    /// Notes that a listener is about to close, and those after it at its address: no generation may go on with them.
    pub fn close(&mut self, listener: &Arc<OwnedFd>) {
        for group in &mut self.groups {
            if let Some(slot) = group.listeners.iter().position(|mine| Arc::ptr_eq(mine, listener)) {
                group.open = group.open.min(slot);
            }
        }
    }

    /// True when these sockets include the given one.
    pub fn have(&self, listener: &Arc<OwnedFd>) -> bool {
        let own = self.groups.iter().flat_map(|group| &group.listeners);
        own.chain(&self.lent).any(|mine| Arc::ptr_eq(mine, listener))
    }

    /// True for a socket that its owner goes on with.
    pub fn is_lent(&self, listener: &Arc<OwnedFd>) -> bool {
        self.lent.iter().any(|mine| Arc::ptr_eq(mine, listener))
    }
}

/// Whether a name is that of a socket that was lent.
fn names_lent(name: &ListenerName, lent: &OwnedFd) -> bool {
    match name {
        ListenerName::Unix(path) => socket::local_path(lent).is_some_and(|bound| bound == *path),
        ListenerName::All => true,
        ListenerName::Address(_) => socket::local_address(lent).is_ok_and(|bound| name.is_of(bound)),
    }
}

fn open_group(asked: SocketAddr, slots: usize, backlog: u32, known: Option<&Group>) -> io::Result<Group> {
    let (bound, mut listeners) = match known {
        // Where all that there were are about to close, new ones stand beside them, at the same port.
        Some(group) => {
            (group.bound, group.listeners.iter().take(slots.min(group.open)).cloned().collect::<Vec<_>>())
        }
        None => {
            let first = socket::listen_alone(asked, backlog)?;
            (socket::local_address(&first)?, vec![Arc::new(first)])
        }
    };
    for listener in &listeners {
        // A second listen(2) changes the length of the queue and nothing else.
        socket::set_backlog(listener, backlog)?;
    }
    while listeners.len() < slots {
        listeners.push(Arc::new(socket::listen_beside(bound, backlog)?));
    }
    Ok(Group { asked, bound, open: listeners.len(), listeners })
}
