//! Steering: the kernel gives new connections to the listeners of slots whose workers answer, and to no
//! listener that is about to close.
//!
//! The kernel knows a listener of an address by an index (see [`crate::sys::reuseport`]). As long as
//! listeners are only added, the index is the slot. When a worker closes one, the last listener gets its
//! index. The master can't see when that is.
//!
//! **Invariant:** when listeners stop to belong to this master, the indices from the lowest of them on count
//! as unknown, until every process that may have one open has ended. Unknown indices are chosen all together,
//! or not at all.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use crate::config::address::ListenAddress;
use crate::error::cause;
use crate::master::listeners::ListenerGroup;
use crate::sys::reuseport;

/// Which listeners of an address get new connections.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    /// All listeners.
    All,
    /// These listeners only, by the kernel's index.
    Only {
        /// The indices below this number get new connections.
        count: usize,
        /// These indices don't, in ascending order.
        excluded: Vec<usize>,
    },
}

/// What is known of the listeners of one address.
struct AddressState {
    address: ListenAddress,
    /// The listeners that stay, in the order of slots.
    listeners: Vec<Weak<OwnedFd>>,
    /// For the first `certain` listeners the kernel's index is known: it is the slot.
    certain: usize,
    /// The processes that may have a listener open which no longer stays.
    holders: Vec<i32>,
    /// What the kernel was told last; `None` if that is not known.
    chosen: Option<Choice>,
}

/// The listeners of all addresses, and the slots to avoid.
#[derive(Default)]
pub struct Steering {
    addresses: Vec<AddressState>,
    avoided: Vec<usize>,
    /// For these addresses, the number of listeners with a worker that serves. The listeners after them get
    /// no new connections yet.
    serving: Vec<(ListenAddress, usize)>,
    /// True if listeners that begin to listen from now on get no connections.
    closed: bool,
}

impl Steering {
    /// Starts with the listeners that the previous master handed over, in the order of slots. A listener that
    /// the next update leaves out belongs to the previous master alone.
    pub fn inherit(&mut self, groups: &[ListenerGroup]) {
        for group in groups {
            let mut known = AddressState::new(group.bound);
            known.listeners = group.listeners.iter().map(Arc::downgrade).collect();
            known.certain = known.listeners.len();
            self.addresses.push(known);
        }
    }

    /// From the next update on, keeps new connections from these slots, in ascending order.
    pub fn avoid(&mut self, slots: Vec<usize>) {
        self.avoided = slots;
    }

    /// From the next update on, only this number of listeners of an address gets new connections. The workers
    /// of the listeners after them start, and may fail.
    pub fn hold_back(&mut self, serving: Vec<(ListenAddress, usize)>) {
        self.serving = serving;
    }

    /// From the next update on, listeners that begin to listen later get no new connections, or get them
    /// again.
    pub fn hold_back_new_listeners(&mut self, closed: bool) {
        self.closed = closed;
    }

    /// Notes that a process has ended.
    pub fn process_ended(&mut self, pid: i32) {
        for known in &mut self.addresses {
            known.holders.retain(|holder| *holder != pid);
        }
    }

    /// Forgets what the kernel was told, since another process may have told it something else.
    pub fn forget_choices(&mut self) {
        self.addresses.iter_mut().for_each(|known| known.chosen = None);
    }

    /// Tells the kernel where to send new connections, where that has changed. `groups` are the listeners
    /// that stay; `holders` returns the processes that may hold the listeners of a slot.
    pub fn update(&mut self, groups: &[&ListenerGroup], holders: impl Fn(usize) -> Vec<i32>) {
        self.addresses.retain(|known| groups.iter().any(|group| group.bound == known.address));
        for group in groups {
            let at = self.addresses.iter().position(|known| known.address == group.bound);
            let at = at.unwrap_or_else(|| {
                self.addresses.push(AddressState::new(group.bound));
                self.addresses.len() - 1
            });
            self.addresses[at].update(&group.listeners, &holders);
            let serving = self.serving.iter().find(|(address, _)| *address == group.bound);
            let serving = serving.map_or(group.listeners.len(), |(_, count)| *count);
            let in_service = self.avoided.iter().copied().filter(|slot| *slot < serving);
            let avoided: Vec<usize> = in_service.chain(serving..group.listeners.len()).collect();
            self.addresses[at].choose(&avoided, self.closed);
        }
    }
}

impl AddressState {
    fn new(address: ListenAddress) -> AddressState {
        AddressState { address, listeners: Vec::new(), certain: 0, holders: Vec::new(), chosen: None }
    }

    fn update(&mut self, listeners: &[Arc<OwnedFd>], holders: impl Fn(usize) -> Vec<i32>) {
        let same = |(mine, theirs): &(&Weak<OwnedFd>, &Arc<OwnedFd>)| mine.as_ptr() == Arc::as_ptr(theirs);
        let kept = self.listeners.iter().zip(listeners).take_while(same).count();
        for slot in kept..self.listeners.len() {
            self.holders.extend(holders(slot));
        }
        self.certain = self.certain.min(kept);
        let all_were_certain = self.certain == kept && self.holders.is_empty();
        self.listeners = listeners.iter().map(Arc::downgrade).collect();
        // The last unknown listener has the last index.
        if all_were_certain || (self.holders.is_empty() && self.listeners.len() - self.certain <= 1) {
            self.certain = self.listeners.len();
        }
    }

    /// The listeners that get new connections when the slots `avoided` should get none. If no listener is
    /// left, all get them.
    fn choice(&self, avoided: &[usize]) -> Choice {
        let all = self.listeners.len();
        let uncertain_one_is_avoided = avoided.iter().any(|slot| (self.certain..all).contains(slot));
        let excluded: Vec<usize> = avoided.iter().copied().filter(|slot| *slot < self.certain).collect();
        let none_is_avoided = excluded.is_empty() && !uncertain_one_is_avoided;
        let count = match self.holders.is_empty() {
            true if none_is_avoided => return Choice::All,
            true if uncertain_one_is_avoided => self.certain,
            true => all,
            // Connections for a listener that is about to close are better than none for some that stay.
            false if none_is_avoided && self.certain < all => return Choice::All,
            false => self.certain,
        };
        if count > excluded.len() { Choice::Only { count, excluded } } else { Choice::All }
    }

    fn choose(&mut self, avoided: &[usize], closed: bool) {
        let mut choice = self.choice(avoided);
        if closed && choice == Choice::All && self.certain == self.listeners.len() {
            choice = Choice::Only { count: self.certain, excluded: Vec::new() };
        }
        if self.chosen.as_ref() == Some(&choice) {
            return;
        }
        let Some(listener) = self.listeners.first().and_then(Weak::upgrade) else { return };
        let done = match &choice {
            Choice::Only { count, excluded } => reuseport::choose(listener.as_fd(), *count, excluded),
            Choice::All => reuseport::choose_any(&listener),
        };
        // A listener that has always stood alone has nothing to choose from.
        if let Err(error) = done
            && self.listeners.len() > 1
        {
            ::log::warn!("new connections to {} can't be steered: {}", self.address, cause(&error));
        }
        self.chosen = Some(choice);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::sys::socket;

    const NO_HOLDERS: fn(usize) -> Vec<i32> = |_| Vec::new();

    fn group(count: usize) -> ListenerGroup {
        let asked: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = socket::listen_alone(asked, false, 16).unwrap();
        let bound = socket::local_address(&first).unwrap();
        let mut group = ListenerGroup {
            asked: asked.into(),
            bound: bound.into(),
            tls: false,
            listeners: vec![Arc::new(first)],
            open: 1,
        };
        grow(&mut group, count);
        group
    }

    fn grow(group: &mut ListenerGroup, count: usize) {
        while group.listeners.len() < count {
            let ListenAddress::Socket(bound) = group.bound else { unreachable!() };
            group.listeners.push(Arc::new(socket::listen_beside(bound, false, 16).unwrap()));
        }
    }

    fn only(count: usize, excluded: &[usize]) -> Choice {
        Choice::Only { count, excluded: excluded.to_vec() }
    }

    /// The choice after an update, with the listeners' holders named 100 and the slot.
    fn choice(steering: &mut Steering, group: &ListenerGroup, avoided: &[usize]) -> Choice {
        steering.avoid(avoided.to_vec());
        steering.update(&[group], |slot| vec![100 + i32::try_from(slot).unwrap()]);
        steering.addresses[0].chosen.clone().unwrap()
    }

    #[test]
    fn nothing_is_chosen_while_all_answer_or_none_does() {
        let (mut steering, group) = (Steering::default(), group(3));
        assert_eq!(choice(&mut steering, &group, &[]), Choice::All);
        assert_eq!(choice(&mut steering, &group, &[1]), only(3, &[1]));
        assert_eq!(choice(&mut steering, &group, &[0, 1, 2]), Choice::All);
        assert_eq!(choice(&mut steering, &group, &[7]), Choice::All, "there is no such slot");
    }

    #[test]
    fn new_listeners_have_the_next_indices() {
        let (mut steering, mut group) = (Steering::default(), group(1));
        assert_eq!(choice(&mut steering, &group, &[0]), Choice::All);
        grow(&mut group, 4);
        assert_eq!(choice(&mut steering, &group, &[0, 3]), only(4, &[0, 3]));
    }

    #[test]
    fn a_listener_about_to_close_gets_no_connections_until_its_holder_has_ended() {
        let (mut steering, mut group) = (Steering::default(), group(3));
        choice(&mut steering, &group, &[]);
        group.listeners.truncate(2);
        assert_eq!(choice(&mut steering, &group, &[]), only(2, &[]));
        assert_eq!(choice(&mut steering, &group, &[0]), only(2, &[0]));
        steering.process_ended(101);
        assert_eq!(choice(&mut steering, &group, &[]), only(2, &[]));
        steering.process_ended(102);
        assert_eq!(choice(&mut steering, &group, &[]), Choice::All);
    }

    #[test]
    fn indices_behind_a_listener_about_to_close_are_unknown() {
        let (mut steering, mut group) = (Steering::default(), group(4));
        choice(&mut steering, &group, &[]);
        group.listeners.truncate(2);
        choice(&mut steering, &group, &[]);
        grow(&mut group, 4);
        assert_eq!(choice(&mut steering, &group, &[]), Choice::All, "the new ones are not left out for long");
        assert_eq!(choice(&mut steering, &group, &[0]), only(2, &[0]));
        steering.process_ended(102);
        steering.process_ended(103);
        // Slots 2 and 3 have indices 2 and 3, or 3 and 2.
        assert_eq!(choice(&mut steering, &group, &[0]), only(4, &[0]));
        assert_eq!(choice(&mut steering, &group, &[2]), only(2, &[]));
        group.listeners.truncate(3);
        choice(&mut steering, &group, &[]);
        steering.process_ended(103);
        assert_eq!(choice(&mut steering, &group, &[2]), only(3, &[2]), "one is left for one index");
    }

    #[test]
    fn listeners_whose_workers_start_get_no_connections_until_they_serve() {
        let (mut steering, mut group) = (Steering::default(), group(2));
        choice(&mut steering, &group, &[]);
        steering.hold_back(vec![(group.bound, 2)]);
        grow(&mut group, 4);
        assert_eq!(choice(&mut steering, &group, &[]), only(4, &[2, 3]));
        assert_eq!(choice(&mut steering, &group, &[1]), only(4, &[1, 2, 3]));
        steering.hold_back(vec![(group.bound, 4)]);
        steering.hold_back_new_listeners(true);
        assert_eq!(choice(&mut steering, &group, &[]), only(4, &[]));
        assert_eq!(choice(&mut steering, &group, &[1]), only(4, &[1]));
        steering.hold_back_new_listeners(false);
        assert_eq!(choice(&mut steering, &group, &[]), Choice::All);
    }

    #[test]
    fn another_process_may_have_told_the_kernel_something_else() {
        let (mut steering, group) = (Steering::default(), group(2));
        choice(&mut steering, &group, &[]);
        reuseport::choose(group.listeners[0].as_fd(), 2, &[0]).unwrap();
        steering.forget_choices();
        assert!(steering.addresses[0].chosen.is_none());
        steering.update(&[&group], NO_HOLDERS);
        assert_eq!(steering.addresses[0].chosen, Some(Choice::All));
    }

    #[test]
    fn listeners_that_were_handed_on_and_are_not_used_get_no_connections_until_their_owner_has_ended() {
        let (mut steering, mut group) = (Steering::default(), group(4));
        steering.inherit(std::slice::from_ref(&group));
        let theirs = group.listeners.split_off(2);
        steering.update(&[&group], |_| vec![7]);
        assert_eq!(steering.addresses[0].chosen, Some(only(2, &[])));
        drop(theirs);
        steering.process_ended(7);
        steering.update(&[&group], NO_HOLDERS);
        assert_eq!(steering.addresses[0].chosen, Some(Choice::All));
    }

    #[test]
    fn an_address_that_is_gone_is_forgotten() {
        let (mut steering, group) = (Steering::default(), group(2));
        choice(&mut steering, &group, &[]);
        steering.update(&[], NO_HOLDERS);
        assert!(steering.addresses.is_empty());
    }
}
