//! The listening sockets: one for each address and slot, kept by the master across workers and generations.
//!
//! Generations share listeners, so that a reload loses no accept queue. Inherited listeners (socket
//! activation) replace all of the server's own. All slots share each inherited listener, and its owner, such
//! as systemd, goes on to use it. So no worker may shut it down.
//!
//! Whether connections begin with TLS is a matter of a generation's settings and not of the socket, so a
//! reload or a new program may use a socket in the other way.
//!
//! **Invariant:** a socket is closed only when no generation has it any more (see [`Listeners::contains`]).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::config::Settings;
use crate::config::address::ListenAddress;
use crate::config::listener_name::ListenerName;
use crate::error::StartupError;
use crate::sys::{activation, socket};
use crate::worker;

/// The sockets of one address, in the order of slots.
#[derive(Clone, Debug)]
pub struct ListenerGroup {
    /// The address in the settings. Its port may be 0.
    pub asked: ListenAddress,
    /// The address that the sockets are bound to.
    pub bound: ListenAddress,
    /// True if connections begin with TLS.
    pub tls: bool,
    /// A listener for each slot.
    pub listeners: Vec<Arc<OwnedFd>>,
    /// The number of listeners that stay open: the first of `listeners`. Those after them are about to close.
    pub open: usize,
}

/// The sockets of one generation.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// The server's own listeners, a group for each address: those without TLS, then those with it.
    pub groups: Vec<ListenerGroup>,
    /// The listeners of socket activation. If there are any, `groups` is empty.
    pub inherited: Vec<Arc<OwnedFd>>,
}

impl Listeners {
    /// The sockets that this process has inherited by socket activation.
    ///
    /// # Errors
    /// [`StartupError::InheritedSocket`] for one that can't be served on.
    pub fn inherited() -> Result<Listeners, StartupError> {
        let inherited = activation::take();
        let inherited =
            inherited.map_err(|(descriptor, source)| StartupError::InheritedSocket { descriptor, source })?;
        Ok(Listeners { groups: Vec::new(), inherited: inherited.into_iter().map(Arc::new).collect() })
    }

    /// The sockets for all addresses and slots of `settings`. If `others` have inherited sockets, these are
    /// the only ones. Otherwise sockets of `others` at these addresses are shared, with their backlog (see
    /// [`Listeners::set_backlog`]), and the missing ones are opened.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address that can't be had.
    pub fn open(settings: &Settings, others: &[&Listeners]) -> Result<Listeners, StartupError> {
        if let Some(other) = others.iter().find(|other| !other.inherited.is_empty()) {
            return Ok(Listeners { groups: Vec::new(), inherited: other.inherited.clone() });
        }
        let Settings { listen, tls_listen, workers: slots, backlog, .. } = settings;
        let plain = listen.iter().map(|address| (*address, false));
        let addresses = plain.chain(tls_listen.iter().map(|address| (*address, true)));
        let mut groups: Vec<ListenerGroup> = Vec::new();
        for (asked, tls) in addresses {
            let others = others.iter().flat_map(|other| &other.groups);
            // Port 0 may be asked for more than once, and means another port each time.
            let others: Vec<&ListenerGroup> =
                others.filter(|group| groups.iter().all(|mine| mine.bound != group.bound)).collect();
            let group = match known(&others, (asked, tls)) {
                Some(group) => extend(asked, *slots, *backlog, group),
                None => new_group((asked, tls), *slots, *backlog, &others),
            };
            let group = group.map_err(|source| StartupError::Bind { addr: asked.to_string(), source })?;
            groups.push(ListenerGroup { tls, ..group });
        }
        Ok(Listeners { groups, inherited: Vec::new() })
    }

    /// Sets the length of the accept queues of the server's own sockets; the queue of an inherited socket is
    /// its owner's.
    ///
    /// # Errors
    /// What listen(2) says.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        // A second listen(2) changes the length of the queue and nothing else.
        let mut listeners = self.groups.iter().flat_map(|group| &group.listeners);
        listeners.try_for_each(|listener| socket::set_backlog(listener, backlog))
    }

    /// A slot's listeners, one for each address.
    pub fn of_slot(&self, slot: usize) -> Vec<Arc<OwnedFd>> {
        let own = self.groups.iter().filter_map(|group| group.listeners.get(slot));
        own.chain(&self.inherited).cloned().collect()
    }

    /// In a worker: takes the listeners of its slot and closes all others. `settings` say which of them
    /// expect the PROXY protocol.
    ///
    /// # Errors
    /// A text, if an address has no listener for the slot, or another part of the process still has it open.
    /// Without this error the worker would silently serve one address less.
    pub fn into_listeners(
        self,
        slot: usize,
        settings: &Settings,
    ) -> Result<Vec<worker::start::Listener>, String> {
        let names = &settings.proxy_protocol;
        let mut mine = Vec::new();
        for group in self.groups {
            let proxy_header = names.iter().any(|name| name.matches(group.asked));
            let listener = group.listeners.into_iter().nth(slot);
            let listener = listener.ok_or_else(|| format!("there is no listener at {}", group.asked))?;
            mine.push((listener, proxy_header, group.tls));
        }
        for socket in self.inherited {
            let proxy_header = names.iter().any(|name| names_inherited(name, &socket));
            let tls = is_inherited_tls(settings, &socket);
            mine.push((socket, proxy_header, tls));
        }
        if mine.is_empty() {
            return Err("there is no listener".to_owned());
        }
        let sole = |(socket, proxy_header, tls)| match Arc::try_unwrap(socket) {
            Ok(socket) => Ok(worker::start::Listener { socket, proxy_header, tls }),
            Err(shared) => Err(format!("{} is held twice", worker::start::address_of(&shared))),
        };
        mine.into_iter().map(sole).collect()
    }

    /// Checks that there is a listener for each name that `settings` give to one.
    ///
    /// # Errors
    /// [`StartupError::NoListener`] for the first name without one.
    pub fn check_names(&self, settings: &Settings) -> Result<(), StartupError> {
        let is_inherited =
            |name: &ListenerName| self.inherited.iter().any(|socket| names_inherited(name, socket));
        let is_known = |name: &&ListenerName| {
            self.groups.iter().any(|group| name.matches(group.asked)) || is_inherited(name)
        };
        let no_listener = |purpose, name: String| Err(StartupError::NoListener { purpose, name });
        if let Some(name) = settings.proxy_protocol.iter().find(|name| !is_known(name)) {
            return no_listener("take PROXY headers", name.to_string());
        }
        let mut tls = settings.tls_listen.iter().filter(|_| !self.inherited.is_empty());
        match tls.find(|address| !is_inherited(&ListenerName::Address(**address))) {
            Some(address) => no_listener("use TLS", address.to_string()),
            None => Ok(()),
        }
    }

    /// Opens listeners at each address until there is one for each of `slots` slots.
    ///
    /// # Errors
    /// [`StartupError::Bind`] for an address that can't be bound again.
    pub fn extend_to(&mut self, slots: usize, backlog: u32) -> Result<(), StartupError> {
        for group in &mut self.groups {
            let addr = group.asked;
            *group = extend(addr, slots.max(group.open), backlog, group)
                .map_err(|source| StartupError::Bind { addr: addr.to_string(), source })?;
        }
        Ok(())
    }

    /// Drops the listeners of this slot and of the slots after it.
    pub fn truncate(&mut self, slot: usize) {
        for group in &mut self.groups {
            group.listeners.truncate(slot);
            group.open = group.open.min(slot);
        }
    }

    /// Notes that a listener is about to close, and those after it at its address. No later generation takes
    /// them over.
    pub fn mark_closing(&mut self, listener: &Arc<OwnedFd>) {
        for group in &mut self.groups {
            if let Some(slot) = group.listeners.iter().position(|mine| Arc::ptr_eq(mine, listener)) {
                group.open = group.open.min(slot);
            }
        }
    }

    /// True when these sockets include the given one.
    pub fn contains(&self, listener: &Arc<OwnedFd>) -> bool {
        let own = self.groups.iter().flat_map(|group| &group.listeners);
        own.chain(&self.inherited).any(|mine| Arc::ptr_eq(mine, listener))
    }

    /// True for a socket of socket activation, which its owner goes on to use.
    pub fn is_inherited(&self, listener: &Arc<OwnedFd>) -> bool {
        self.inherited.iter().any(|mine| Arc::ptr_eq(mine, listener))
    }
}

/// True if connections of an inherited socket begin with TLS.
pub fn is_inherited_tls(settings: &Settings, socket: &OwnedFd) -> bool {
    settings.tls_listen.iter().any(|address| names_inherited(&ListenerName::Address(*address), socket))
}

/// True if a name is that of an inherited socket.
fn names_inherited(name: &ListenerName, socket: &OwnedFd) -> bool {
    match name {
        ListenerName::Unix(path) => socket::local_path(socket).is_some_and(|bound| bound == *path),
        ListenerName::All => true,
        ListenerName::Address(_) => {
            socket::local_address(socket).is_ok_and(|bound| name.matches_inherited(bound))
        }
    }
}

/// The group of `others` for an address, with TLS or without. Where the kernel chose the port, listeners of
/// both kinds may have been asked for in the same words, and each keeps its own port: in a handover, which
/// does not tell the kinds apart, those without TLS come first.
fn known<'a>(others: &[&'a ListenerGroup], (asked, tls): (ListenAddress, bool)) -> Option<&'a ListenerGroup> {
    let same = |group: &&&ListenerGroup| group.asked == asked || group.bound == asked;
    let rank = |group: &&&ListenerGroup| (asked.port() != 0 || group.tls == tls, group.open);
    // Of equals the first.
    others.iter().rev().filter(same).max_by_key(rank).copied()
}

/// A group for `slots` slots: the open listeners of `group`, and new ones for the other slots, at the same
/// port.
fn extend(
    asked: ListenAddress,
    slots: usize,
    backlog: u32,
    group: &ListenerGroup,
) -> io::Result<ListenerGroup> {
    let listeners = group.listeners.iter().take(slots.min(group.open)).cloned().collect();
    let extended = complete(asked, group.bound, listeners, slots, backlog)?;
    Ok(ListenerGroup { tls: group.tls, ..extended })
}

fn new_group(
    (asked, tls): (ListenAddress, bool),
    slots: usize,
    backlog: u32,
    others: &[&ListenerGroup],
) -> io::Result<ListenerGroup> {
    let any = |ip: IpAddr| SocketAddr::new(ip, asked.port());
    let ipv4 = any(Ipv4Addr::UNSPECIFIED.into());
    let first = match asked {
        ListenAddress::Socket(address) => first(address, false, backlog, others),
        ListenAddress::Any(_) => first(any(Ipv6Addr::UNSPECIFIED.into()), true, backlog, others),
    };
    let first = match first {
        Err(error) if matches!(asked, ListenAddress::Any(_)) && socket::is_without_ipv6(&error) => {
            ::log::info!("there is no IPv6 here: listening on {ipv4} alone");
            match known(others, (ipv4.into(), tls)) {
                Some(group) => return extend(asked, slots, backlog, group),
                None => self::first(ipv4, false, backlog, others)?,
            }
        }
        first => first?,
    };
    let bound = socket::local_address(&first)?;
    let is_any = matches!(asked, ListenAddress::Any(_)) && bound.is_ipv6();
    let bound = if is_any { ListenAddress::Any(bound.port()) } else { bound.into() };
    complete(asked, bound, vec![Arc::new(first)], slots, backlog)
}

/// The address that sockets are bound to, and true if they take IPv4 and IPv6.
fn bind_address(bound: ListenAddress) -> (SocketAddr, bool) {
    match bound {
        ListenAddress::Socket(address) => (address, false),
        ListenAddress::Any(port) => (SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), true),
    }
}

/// The first listener at an address, which no other process may have. If listeners of this server overlap the
/// address, the new one shares it with them. Then only the family that they don't have can be checked.
fn first(address: SocketAddr, both: bool, backlog: u32, others: &[&ListenerGroup]) -> io::Result<OwnedFd> {
    let asked = if both { ListenAddress::Any(address.port()) } else { address.into() };
    let ours: Vec<ListenAddress> =
        others.iter().map(|group| group.bound).filter(|bound| bound.overlaps(asked)).collect();
    if ours.is_empty() {
        let first = socket::listen_alone(address, both, backlog)?;
        // The kernel makes the SO_REUSEPORT group with the second listener, and accepts no steering program
        // before. So a second listener is opened and closed. This is safe only at a new address: beside other
        // listeners it would lose the clients that it got meanwhile.
        drop(socket::listen_beside(socket::local_address(&first)?, both, backlog)?);
        return Ok(first);
    }
    let free = |ip: IpAddr| socket::check_free(SocketAddr::new(ip, address.port()));
    if both && !ours.iter().any(|bound| bound.has_ipv6()) {
        free(Ipv6Addr::UNSPECIFIED.into())?;
    }
    if both && !ours.iter().any(|bound| bound.has_ipv4()) {
        free(Ipv4Addr::UNSPECIFIED.into())?;
    }
    socket::listen_beside(address, both, backlog)
}

fn complete(
    asked: ListenAddress,
    bound: ListenAddress,
    mut listeners: Vec<Arc<OwnedFd>>,
    slots: usize,
    backlog: u32,
) -> io::Result<ListenerGroup> {
    let (address, both) = bind_address(bound);
    while listeners.len() < slots {
        listeners.push(Arc::new(socket::listen_beside(address, both, backlog)?));
    }
    Ok(ListenerGroup { asked, bound, tls: false, open: listeners.len(), listeners })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> ListenAddress {
        SocketAddr::from(([127, 0, 0, 1], 0)).into()
    }

    /// Settings of a listener without TLS and one with it.
    fn settings(slots: usize) -> Settings {
        let (listen, tls_listen) = (vec![any()], vec![any()]);
        Settings { listen, tls_listen, workers: slots, backlog: 16, ..Settings::default() }
    }

    fn sockets(slots: usize) -> Listeners {
        Listeners::open(&settings(slots), &[]).unwrap()
    }

    #[test]
    fn a_worker_takes_the_listeners_of_its_slot_at_every_address() {
        let sockets = sockets(3);
        let bound: Vec<_> = sockets.groups.iter().map(|group| group.bound).collect();
        let settings = Settings { proxy_protocol: vec![ListenerName::All], ..settings(3) };
        let listeners = sockets.into_listeners(2, &settings).unwrap();
        assert!(listeners.iter().all(|listener| listener.proxy_header));
        assert!(listeners.iter().map(|listener| listener.tls).eq([false, true]));
        let taken = listeners
            .iter()
            .map(|listener| ListenAddress::from(socket::local_address(&listener.socket).unwrap()));
        assert!(taken.eq(bound));
    }

    #[test]
    fn a_listener_that_something_else_holds_or_that_is_missing_is_an_error() {
        let held = sockets(1);
        let copy = Arc::clone(&held.groups[1].listeners[0]);
        let why = held.into_listeners(0, &settings(1)).err().unwrap();
        assert_eq!(why, format!("{} is held twice", socket::local_address(&copy).unwrap()));
        let mut short = sockets(2);
        short.groups[0].listeners.truncate(1);
        assert_eq!(
            short.into_listeners(1, &settings(1)).err().unwrap(),
            "there is no listener at 127.0.0.1:0"
        );
        assert_eq!(
            Listeners::default().into_listeners(0, &settings(1)).err().unwrap(),
            "there is no listener"
        );
        let inherited =
            Listeners { inherited: sockets(1).groups.remove(0).listeners, ..Listeners::default() };
        let copy = inherited.clone();
        assert!(inherited.into_listeners(5, &settings(1)).err().unwrap().ends_with(" is held twice"));
        assert_eq!(copy.into_listeners(5, &settings(1)).unwrap().len(), 1);
    }

    #[test]
    fn a_socket_is_shared_by_generations_that_use_it_with_tls_and_without() {
        let plain = sockets(2);
        let ListenAddress::Socket(bound) = plain.groups[0].bound else { panic!("{plain:?}") };
        let moved = Settings { listen: Vec::new(), tls_listen: vec![bound.into()], ..settings(2) };
        let tls = Listeners::open(&moved, &[&plain]).unwrap();
        assert!(tls.groups[0].tls && !plain.groups[0].tls);
        assert!(plain.groups[0].listeners.iter().all(|listener| tls.contains(listener)));
        let mut more = tls.clone();
        more.extend_to(3, 16).unwrap();
        assert!(more.groups[0].tls && more.groups[0].listeners.len() == 3);
    }

    #[test]
    fn a_port_that_the_kernel_chose_stays_with_its_kind() {
        let bound =
            |listeners: &Listeners| listeners.groups.iter().map(|group| group.bound).collect::<Vec<_>>();
        let first = sockets(2);
        let reloaded = Listeners::open(&settings(2), &[&first]).unwrap();
        assert_eq!(bound(&reloaded), bound(&first));
        let mut handed_over = reloaded.clone();
        handed_over.groups.iter_mut().for_each(|group| group.tls = false);
        let upgraded = Listeners::open(&settings(2), &[&handed_over]).unwrap();
        assert_eq!(bound(&upgraded), bound(&first));
        let swapped = Listeners { groups: first.groups.iter().rev().cloned().collect(), ..first.clone() };
        assert_eq!(bound(&Listeners::open(&settings(2), &[&swapped]).unwrap()), bound(&first));
    }

    #[test]
    fn an_inherited_socket_has_tls_by_its_address() {
        let inherited: Vec<_> = sockets(1).groups.into_iter().flat_map(|group| group.listeners).collect();
        let bound = socket::local_address(&inherited[1]).unwrap();
        let other = socket::local_address(&inherited[0]).unwrap();
        let given = Listeners { inherited, ..Listeners::default() };
        let with = |tls_listen| Settings { tls_listen, ..settings(1) };
        let settings = with(vec![bound.into()]);
        let listeners = Listeners::open(&settings, &[&given]).unwrap();
        listeners.check_names(&settings).unwrap();
        let is_tls = |socket: &Arc<OwnedFd>| is_inherited_tls(&settings, socket);
        assert!(listeners.inherited.iter().map(is_tls).eq([false, true]));
        listeners.check_names(&with(vec![bound.into(), other.into()])).unwrap();
        let absent = with(vec![bound.into(), SocketAddr::from(([127, 0, 0, 1], 1)).into()]);
        let error = listeners.check_names(&absent).unwrap_err();
        assert_eq!(error.to_string(), "cannot use TLS on 127.0.0.1:1: no listener is there");
    }
}
