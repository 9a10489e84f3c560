//! The listening sockets: one for each address and slot, kept by the master across workers and generations.
//!
//! Generations share them, so that a reload leaves nobody's accept queue behind. The subtle rule: a socket is closed
//! only when no generation has it any more; the master asks each generation by [`Sockets::have`].

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::StartupError;
use crate::sys::socket;

/// The sockets of one address: the first of all slots, in order.
#[derive(Clone, Debug)]
pub struct Group {
    /// The address as it was asked for, with port 0 perhaps.
    pub asked: SocketAddr,
    /// The address as it is.
    pub bound: SocketAddr,
    /// A listener for each slot.
    pub listeners: Vec<Arc<OwnedFd>>,
}

/// The sockets of one generation, a group for each address.
#[derive(Clone, Debug, Default)]
pub struct Sockets(pub Vec<Group>);

impl Sockets {
    /// The sockets for `addresses` and `slots`: those of `others` where they have them, else new ones.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address that can't be had.
    pub fn open(
        addresses: &[SocketAddr],
        slots: usize,
        backlog: u32,
        others: &[&Sockets],
    ) -> Result<Sockets, StartupError> {
        let mut groups: Vec<Group> = Vec::with_capacity(addresses.len());
        for &asked in addresses {
            // Port 0 may be asked for more than once, and means another port each time.
            let taken = |group: &Group| groups.iter().any(|mine| mine.bound == group.bound);
            let known = others.iter().flat_map(|other| &other.0).filter(|group| group.asked == asked);
            let known = known.filter(|group| !taken(group)).max_by_key(|group| group.listeners.len());
            let group = open_group(asked, slots, backlog, known);
            groups.push(group.map_err(|source| StartupError::Bind { addr: asked, source })?);
        }
        Ok(Sockets(groups))
    }

    /// A slot's listeners, one for each address.
    pub fn of_slot(&self, slot: usize) -> Vec<Arc<OwnedFd>> {
        self.0.iter().filter_map(|group| group.listeners.get(slot).cloned()).collect()
    }

    /// Opens one slot more, at each address.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address where that is not possible.
    pub fn reach(&mut self, slots: usize, backlog: u32) -> Result<(), StartupError> {
        for group in &mut self.0 {
            let addr = group.asked;
            *group = open_group(addr, slots.max(group.listeners.len()), backlog, Some(group))
                .map_err(|source| StartupError::Bind { addr, source })?;
        }
        Ok(())
    }

    /// Lets go of the listeners of a slot and those after it.
    pub fn cut(&mut self, slot: usize) {
        for group in &mut self.0 {
            group.listeners.truncate(slot);
        }
    }

    /// True when these sockets include the given one.
    pub fn have(&self, listener: &Arc<OwnedFd>) -> bool {
        self.0.iter().flat_map(|group| &group.listeners).any(|mine| Arc::ptr_eq(mine, listener))
    }
}

fn open_group(asked: SocketAddr, slots: usize, backlog: u32, known: Option<&Group>) -> io::Result<Group> {
    let (bound, mut listeners) = match known {
        Some(group) => (group.bound, group.listeners.iter().take(slots).cloned().collect::<Vec<_>>()),
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
    Ok(Group { asked, bound, listeners })
}
