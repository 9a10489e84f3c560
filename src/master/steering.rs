//! Which listeners get new connections: those of slots whose workers answer, and none that is about to close.
//!
//! The kernel knows a listener of an address by an index (see [`crate::sys::reuseport`]). As long as listeners are only added,
//! the index is the slot. One that is closed gives its index to the last, at a moment when its worker closes it, which
//! the master can't see. The subtle rule: from the lowest listener that was let go of, indices count as unknown until all
//! processes that may hold one have ended, and an unknown index is either among all the unknown ones or not chosen.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use super::sockets::Group;
use crate::error::cause;
use crate::sys::reuseport;

/// The listeners that new connections may come to: the first so many, without some of them. `None` is all.
type Choice = Option<(usize, Vec<usize>)>;

/// What is known of the listeners of one address.
struct Known {
    address: SocketAddr,
    /// Those that stay, in the order of slots.
    listeners: Vec<Weak<OwnedFd>>,
    /// So many of them have the index of their slot.
    certain: usize,
    /// Processes that may hold a listener which was let go of.
    holders: Vec<i32>,
    /// What the kernel was told; `None` when that is not known.
    told: Option<Choice>,
}

/// The listeners of all addresses, and the slots to avoid.
#[derive(Default)]
pub struct Steering {
    addresses: Vec<Known>,
    avoided: Vec<usize>,
}

impl Steering {
    /// Takes in the listeners that another process handed on, as they stand: in the order of slots. Those that the next
    /// update leaves out are that process's alone from then on.
    pub fn inherit(&mut self, groups: &[Group]) {
        for group in groups {
            let mut known = Known::new(group.bound);
            known.listeners = group.listeners.iter().map(Arc::downgrade).collect();
            known.certain = known.listeners.len();
            self.addresses.push(known);
        }
    }

    /// From the next update on, keeps new connections from these slots, in ascending order.
    pub fn avoid(&mut self, slots: Vec<usize>) {
        self.avoided = slots;
    }

    /// Takes in that a process has ended.
    pub fn ended(&mut self, pid: i32) {
        for known in &mut self.addresses {
            known.holders.retain(|holder| *holder != pid);
        }
    }

    /// Forgets what the kernel was told, since another process may have told it something else.
    pub fn doubt(&mut self) {
        self.addresses.iter_mut().for_each(|known| known.told = None);
    }

    /// Takes in the listeners that stay, and tells the kernel where to send new connections, where that has changed.
    /// `holders` says which processes may hold the listeners of a slot.
    pub fn update(&mut self, groups: &[&Group], holders: impl Fn(usize) -> Vec<i32>) {
        self.addresses.retain(|known| groups.iter().any(|group| group.bound == known.address));
        for group in groups {
            let at = self.addresses.iter().position(|known| known.address == group.bound);
            let at = at.unwrap_or_else(|| {
                self.addresses.push(Known::new(group.bound));
                self.addresses.len() - 1
            });
            self.addresses[at].update(&group.listeners, &holders);
            self.addresses[at].tell(&self.avoided);
        }
    }
}

impl Known {
    fn new(address: SocketAddr) -> Known {
        Known { address, listeners: Vec::new(), certain: 0, holders: Vec::new(), told: None }
    }

    fn update(&mut self, listeners: &[Arc<OwnedFd>], holders: impl Fn(usize) -> Vec<i32>) {
        let same = |(mine, theirs): &(&Weak<OwnedFd>, &Arc<OwnedFd>)| mine.as_ptr() == Arc::as_ptr(theirs);
        let stay = self.listeners.iter().zip(listeners).take_while(same).count();
        for slot in stay..self.listeners.len() {
            self.holders.extend(holders(slot));
        }
        self.certain = self.certain.min(stay);
        let all_were_certain = self.certain == stay && self.holders.is_empty();
        self.listeners = listeners.iter().map(Arc::downgrade).collect();
        // The last unknown listener has the last index.
        if all_were_certain || (self.holders.is_empty() && self.listeners.len() - self.certain <= 1) {
            self.certain = self.listeners.len();
        }
    }

    fn choice(&self, avoided: &[usize]) -> Choice {
        let all = self.listeners.len();
        let uncertain_one_is_avoided = avoided.iter().any(|slot| (self.certain..all).contains(slot));
        let avoided: Vec<usize> = avoided.iter().copied().filter(|slot| *slot < self.certain).collect();
        let nobody_is_avoided = avoided.is_empty() && !uncertain_one_is_avoided;
        let count = match self.holders.is_empty() {
            true if nobody_is_avoided => return None,
            true if uncertain_one_is_avoided => self.certain,
            true => all,
            // To spread over all, those about to close included, is better than to leave out some that stay.
            false if nobody_is_avoided && self.certain < all => return None,
            false => self.certain,
        };
        (count > avoided.len()).then_some((count, avoided))
    }

    fn tell(&mut self, avoided: &[usize]) {
        let choice = self.choice(avoided);
        if self.told.as_ref() == Some(&choice) {
            return;
        }
        let Some(listener) = self.listeners.first().and_then(Weak::upgrade) else { return };
        let done = match &choice {
            Some((count, avoided)) => reuseport::choose(listener.as_fd(), *count, avoided),
            None => reuseport::choose_any(&listener),
        };
        if let Err(error) = done {
            ::log::warn!("new connections to {} can't be steered: {}", self.address, cause(&error));
        }
        self.told = Some(choice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;

    const NOBODY: fn(usize) -> Vec<i32> = |_| Vec::new();

    fn group(count: usize) -> Group {
        let asked: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = socket::listen_alone(asked, 16).unwrap();
        let bound = socket::local_address(&first).unwrap();
        let mut group = Group { asked, bound, listeners: vec![Arc::new(first)], open: 1 };
        grow(&mut group, count);
        group
    }

    fn grow(group: &mut Group, count: usize) {
        while group.listeners.len() < count {
            group.listeners.push(Arc::new(socket::listen_beside(group.bound, 16).unwrap()));
        }
    }

    /// The choice after an update, with the listeners' holders named 100 and the slot.
    fn choice(steering: &mut Steering, group: &Group, avoided: &[usize]) -> Choice {
        steering.avoid(avoided.to_vec());
        steering.update(&[group], |slot| vec![100 + i32::try_from(slot).unwrap()]);
        steering.addresses[0].told.clone().unwrap()
    }

    #[test]
    fn nothing_is_chosen_while_all_answer_or_nobody_does() {
        let (mut steering, group) = (Steering::default(), group(3));
        assert_eq!(choice(&mut steering, &group, &[]), None);
        assert_eq!(choice(&mut steering, &group, &[1]), Some((3, vec![1])));
        assert_eq!(choice(&mut steering, &group, &[0, 1, 2]), None);
        assert_eq!(choice(&mut steering, &group, &[7]), None, "there is no such slot");
    }

    #[test]
    fn new_listeners_have_the_next_indices() {
        let (mut steering, mut group) = (Steering::default(), group(1));
        assert_eq!(choice(&mut steering, &group, &[0]), None);
        grow(&mut group, 4);
        assert_eq!(choice(&mut steering, &group, &[0, 3]), Some((4, vec![0, 3])));
    }

    #[test]
    fn a_listener_about_to_close_gets_no_connections_until_its_holder_has_ended() {
        let (mut steering, mut group) = (Steering::default(), group(3));
        choice(&mut steering, &group, &[]);
        group.listeners.truncate(2);
        assert_eq!(choice(&mut steering, &group, &[]), Some((2, vec![])));
        assert_eq!(choice(&mut steering, &group, &[0]), Some((2, vec![0])));
        steering.ended(101);
        assert_eq!(choice(&mut steering, &group, &[]), Some((2, vec![])));
        steering.ended(102);
        assert_eq!(choice(&mut steering, &group, &[]), None);
    }

    #[test]
    fn indices_behind_a_listener_about_to_close_are_unknown() {
        let (mut steering, mut group) = (Steering::default(), group(4));
        choice(&mut steering, &group, &[]);
        group.listeners.truncate(2);
        choice(&mut steering, &group, &[]);
        grow(&mut group, 4);
        assert_eq!(choice(&mut steering, &group, &[]), None, "the new ones are not left out for long");
        assert_eq!(choice(&mut steering, &group, &[0]), Some((2, vec![0])));
        steering.ended(102);
        steering.ended(103);
        // Slots 2 and 3 have indices 2 and 3, or 3 and 2.
        assert_eq!(choice(&mut steering, &group, &[0]), Some((4, vec![0])));
        assert_eq!(choice(&mut steering, &group, &[2]), Some((2, vec![])));
        group.listeners.truncate(3);
        choice(&mut steering, &group, &[]);
        steering.ended(103);
        assert_eq!(choice(&mut steering, &group, &[2]), Some((3, vec![2])), "one is left for one index");
    }

    #[test]
    fn another_process_may_have_told_the_kernel_something_else() {
        let (mut steering, group) = (Steering::default(), group(2));
        choice(&mut steering, &group, &[]);
        reuseport::choose(group.listeners[0].as_fd(), 2, &[0]).unwrap();
        steering.doubt();
        assert!(steering.addresses[0].told.is_none());
        steering.update(&[&group], NOBODY);
        assert_eq!(steering.addresses[0].told, Some(None));
    }

    #[test]
    fn listeners_that_were_handed_on_and_are_not_used_get_no_connections_until_their_owner_has_ended() {
        let (mut steering, mut group) = (Steering::default(), group(4));
        steering.inherit(std::slice::from_ref(&group));
        let theirs = group.listeners.split_off(2);
        steering.update(&[&group], |_| vec![7]);
        assert_eq!(steering.addresses[0].told, Some(Some((2, vec![]))));
        drop(theirs);
        steering.ended(7);
        steering.update(&[&group], NOBODY);
        assert_eq!(steering.addresses[0].told, Some(None));
    }

    #[test]
    fn an_address_that_is_gone_is_forgotten() {
        let (mut steering, group) = (Steering::default(), group(2));
        choice(&mut steering, &group, &[]);
        steering.update(&[], NOBODY);
        assert!(steering.addresses.is_empty());
    }
}
