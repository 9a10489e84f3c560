//! The order in which connections became idle, so that the connection idle longest is found at once.
//!
//! Knows neither sockets nor clocks: an entry is a small number and the tick since which it is idle. The
//! entries form linked lists within one table, so adding and removing an entry takes a few steps and no
//! allocation of its own.
//!
//! **Invariant:** each list is in the order of the ticks. Most entries come with the present tick, at the end
//! of the first list. Entries with an earlier tick go to the second list, or the first would have to be
//! searched for their position.

/// The number of a list, and of its head in the table.
const LISTS: [u32; 2] = [0, 1];

/// The number of heads, which stand before entry 0 in the table.
const HEADS: u32 = LISTS.len() as u32;

/// The neighbour of an entry that is in no list.
const NONE: u32 = u32::MAX;

/// Idle connections, in the order in which they became idle.
pub struct IdleOrder {
    /// The lists are rings through their heads.
    links: Vec<Link>,
}

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    since: u32,
}

/// A link that is in no list.
const LOOSE: Link = Link { before: NONE, after: NONE, since: 0 };

impl Default for IdleOrder {
    fn default() -> IdleOrder {
        IdleOrder { links: LISTS.map(|head| Link { before: head, after: head, since: 0 }).to_vec() }
    }
}

impl IdleOrder {
    /// Adds an entry that is idle since this tick, or moves it to that tick.
    pub fn push(&mut self, entry: u32, since: u32) {
        let at = entry + HEADS;
        if self.links.len() <= at as usize {
            self.links.resize(at as usize + 1, LOOSE);
        }
        self.unlink(at);
        // An entry older than the last of both lists goes to the second, slightly out of order.
        let fits = |head: &u32| self.last(*head).is_none_or(|last| last <= since);
        let head = LISTS.into_iter().find(fits).unwrap_or(LISTS[1]);
        let before = self.links[head as usize].before;
        self.links[at as usize] = Link { before, after: head, since };
        self.links[before as usize].after = at;
        self.links[head as usize].before = at;
    }

    /// Removes an entry, if it is in a list.
    pub fn remove(&mut self, entry: u32) {
        let at = entry + HEADS;
        if (at as usize) < self.links.len() {
            self.unlink(at);
        }
    }

    /// The entry that is idle longest, and the tick since which it is.
    pub fn oldest(&self) -> Option<(u32, u32)> {
        let firsts = LISTS.map(|head| self.links[head as usize].after);
        let entries = firsts.into_iter().filter(|at| *at >= HEADS);
        entries.map(|at| (at - HEADS, self.links[at as usize].since)).min_by_key(|(_, since)| *since)
    }

    /// Gives memory back, when no entry from `entries` on is in a list.
    pub fn shrink_to(&mut self, entries: usize) {
        let length = self.links.len().min(entries + HEADS as usize);
        if self.links[length..].iter().all(|link| link.after == NONE) {
            self.links.truncate(length);
            self.links.shrink_to_fit();
        }
    }

    /// The tick since which the last entry of a list is idle.
    fn last(&self, head: u32) -> Option<u32> {
        let at = self.links[head as usize].before;
        (at >= HEADS).then(|| self.links[at as usize].since)
    }

    fn unlink(&mut self, at: u32) {
        let Link { before, after, .. } = self.links[at as usize];
        if after != NONE {
            self.links[before as usize].after = after;
            self.links[after as usize].before = before;
            self.links[at as usize] = LOOSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries from the one idle longest on.
    fn drain(order: &mut IdleOrder) -> Vec<u32> {
        let next = |order: &mut IdleOrder| {
            let (entry, _) = order.oldest()?;
            order.remove(entry);
            Some(entry)
        };
        std::iter::from_fn(|| next(order)).collect()
    }

    #[test]
    fn entries_come_out_in_the_order_in_which_they_became_idle() {
        let mut order = IdleOrder::default();
        assert_eq!(order.oldest(), None);
        [(3, 10), (0, 10), (7, 12), (1, 20)].iter().for_each(|&(entry, since)| order.push(entry, since));
        assert_eq!(order.oldest(), Some((3, 10)));
        assert_eq!(drain(&mut order), [3, 0, 7, 1]);
        assert_eq!(order.oldest(), None);
    }

    #[test]
    fn an_entry_is_taken_out_wherever_it_stands() {
        for gone in 0..4 {
            let mut order = IdleOrder::default();
            (0..4).for_each(|entry| order.push(entry, entry));
            order.remove(gone);
            order.remove(gone);
            order.remove(99);
            let left: Vec<_> = (0..4).filter(|entry| *entry != gone).collect();
            assert_eq!(drain(&mut order), left);
        }
    }

    #[test]
    fn an_entry_that_is_added_again_moves() {
        let mut order = IdleOrder::default();
        (0..3).for_each(|entry| order.push(entry, 5));
        order.push(0, 6);
        order.push(2, 6);
        assert_eq!(drain(&mut order), [1, 0, 2]);
    }

    #[test]
    fn entries_that_come_late_are_in_order() {
        let mut order = IdleOrder::default();
        for tick in 20..40 {
            order.push(tick, tick);
            // Ten ticks after it became idle.
            order.push(100 + tick, tick - 10);
        }
        let sinces: Vec<_> = std::iter::from_fn(|| {
            let (entry, since) = order.oldest()?;
            order.remove(entry);
            Some(since)
        })
        .collect();
        assert!(sinces.is_sorted() && sinces.len() == 40, "{sinces:?}");
    }

    #[test]
    fn entries_that_are_gone_take_no_memory() {
        let mut order = IdleOrder::default();
        (0..1000).for_each(|entry| order.push(entry, 1));
        order.shrink_to(10);
        assert_eq!(order.links.len(), 1002, "what is in use stays");
        (5..1000).for_each(|entry| order.remove(entry));
        order.shrink_to(10);
        assert_eq!(order.links.len(), 12);
        assert_eq!(drain(&mut order), [0, 1, 2, 3, 4]);
        order.push(1000, 2);
        assert_eq!(order.oldest(), Some((1000, 2)));
    }
}
