//! Seals and opens tickets of TLS sessions, by keys that all workers share.
//!
//! ```text
//! turn (8 bytes, big-endian) │ nonce (12 bytes) │ sealed session │ tag (16 bytes)
//! ```
//!
//! The algorithm is AES-256-GCM-SIV (RFC 8452): if two workers ever drew the same nonce, an attacker would
//! learn no more than whether two sessions are the same. Clients can use a ticket more than once, as no
//! worker knows what the others have seen. That does no harm, because there is no early data (RFC 8446 §8).

use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use super::ticket_keys::{LIFETIME, TicketKeys};

/// Seals and opens tickets.
pub struct Ticketer {
    keys: TicketKeys,
    /// The keys of turns in use that were needed so far: two at most.
    known: Mutex<Vec<(u64, LessSafeKey)>>,
}

impl Ticketer {
    /// Uses the newest of these keys, whichever they are at a time.
    pub fn new(keys: TicketKeys) -> Ticketer {
        Ticketer { keys, known: Mutex::default() }
    }

    /// Calls `operation` with the key of a turn, if it is in use: the newest or the one before.
    fn with_key<T>(&self, turn: u64, operation: impl FnOnce(&LessSafeKey) -> Option<T>) -> Option<T> {
        let newest = self.keys.turn();
        // Before the first turn there was no key, and its slot has zeros, which anybody could seal with.
        let in_use = |turn: u64| turn > 0 && turn <= newest && newest - turn <= 1;
        if !in_use(turn) {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(turn, _)| in_use(*turn));
        let index = match known.iter().position(|(known, _)| *known == turn) {
            Some(index) => index,
            None => {
                known.push((turn, self.keys.key(turn)?));
                known.len() - 1
            }
        };
        operation(&known.get(index)?.1)
    }
}

/// Without the keys.
impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let turn = self.keys.turn();
        self.with_key(turn, |key| {
            let mut nonce = [0; NONCE_LEN];
            rand::fill(&mut nonce).ok()?;
            let mut sealed = plain.to_vec();
            let turn = turn.to_be_bytes();
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(turn), &mut sealed)
                .ok()?;
            Some([&turn[..], &nonce, &sealed].concat())
        })
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (turn, rest) = ticket.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        self.with_key(u64::from_be_bytes(*turn), |key| {
            let mut opened = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.open_in_place(nonce, Aad::from(*turn), &mut opened).ok()?.len();
            opened.truncate(length);
            Some(opened)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, IntoRawFd};
    use std::time::Duration;

    use super::*;
    use crate::sys::secret_page::SecretPage;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The page as another process has it.
    fn adopted(page: &SecretPage) -> SecretPage {
        SecretPage::adopt(page.as_fd().try_clone_to_owned().unwrap().into_raw_fd()).unwrap()
    }

    /// A master's page with its first key, and the ticketers of two workers.
    fn shared() -> (SecretPage, TicketKeys, [Ticketer; 2]) {
        let page = SecretPage::new().unwrap();
        let keys = TicketKeys::in_page(&page);
        keys.rotate_if_due(HOUR).unwrap();
        let workers = [(); 2].map(|()| {
            let page = adopted(&page);
            let keys = TicketKeys::in_page(&page);
            page.only_read().unwrap();
            Ticketer::new(keys)
        });
        (page, keys, workers)
    }

    #[test]
    fn a_ticket_of_one_worker_is_opened_by_another_for_this_turn_and_the_next() {
        let (_page, keys, [one, other]) = shared();
        assert!(one.enabled() && one.lifetime() == 7200);
        for plain in [&b""[..], b"a session", &[7; 5000]] {
            let ticket = one.encrypt(plain).unwrap();
            assert_eq!(ticket.len(), 8 + NONCE_LEN + plain.len() + 16);
            assert_eq!(other.decrypt(&ticket).as_deref(), Some(plain));
            assert_ne!(one.encrypt(plain).unwrap(), ticket, "each has its nonce");
        }
        let ticket = one.encrypt(b"a session").unwrap();
        keys.rotate_if_due(2 * HOUR - Duration::from_millis(1)).unwrap();
        assert_eq!((keys.turn(), keys.due()), (1, 2 * HOUR));
        keys.rotate_if_due(2 * HOUR).unwrap();
        assert_eq!((keys.turn(), keys.due()), (2, 3 * HOUR));
        let next = other.encrypt(b"another").unwrap();
        for worker in [&one, &other] {
            assert_eq!(worker.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
            assert_eq!(worker.decrypt(&next).as_deref(), Some(&b"another"[..]));
        }
        keys.rotate_if_due(3 * HOUR).unwrap();
        for worker in [&one, &other] {
            assert_eq!(worker.decrypt(&ticket), None, "it is too old");
            assert_eq!(worker.decrypt(&next).as_deref(), Some(&b"another"[..]));
            assert!(worker.known.lock().unwrap().len() <= 2);
        }
        // Its slot has another key by now.
        (4..9).for_each(|hours| keys.rotate_if_due(hours * HOUR).unwrap());
        assert_eq!((keys.turn(), one.decrypt(&ticket), one.decrypt(&next)), (8, None, None));
    }

    #[test]
    fn a_ticket_that_was_changed_is_no_ticket() {
        let (_page, keys, [one, other]) = shared();
        keys.rotate_if_due(2 * HOUR).unwrap();
        let ticket = one.encrypt(b"a session").unwrap();
        for index in 0..ticket.len() {
            for bit in 0..8 {
                let mut changed = ticket.clone();
                changed[index] ^= 1 << bit;
                assert_eq!(other.decrypt(&changed), None, "bit {bit} of byte {index}");
            }
        }
        for length in 0..ticket.len() {
            assert_eq!(other.decrypt(&ticket[..length]), None, "{length}");
        }
        assert_eq!(other.decrypt(&[&ticket[..], b"x"].concat()), None);
    }

    #[test]
    fn before_the_first_turn_there_is_no_key() {
        let page = SecretPage::new().unwrap();
        let ticketer = Ticketer::new(TicketKeys::in_page(&page));
        assert_eq!(ticketer.encrypt(b"a session"), None);
        // Who knows that the words are zeros can seal with them.
        let (_page, keys, [worker, _]) = shared();
        assert_eq!(keys.turn(), 1);
        let nonce = [0; NONCE_LEN];
        let mut sealed = b"a session".to_vec();
        let key = TicketKeys::in_page(&page).key(0).unwrap();
        let turn = 0_u64.to_be_bytes();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(turn), &mut sealed)
            .unwrap();
        assert_eq!(worker.decrypt(&[&turn[..], &nonce, &sealed].concat()), None);
    }

    #[test]
    fn of_two_masters_that_share_the_page_the_first_rotates_for_both() {
        let (page, keys, [one, _]) = shared();
        let successor = adopted(&page);
        let next = TicketKeys::in_page(&successor);
        let ticket = one.encrypt(b"a session").unwrap();
        assert_eq!(Ticketer::new(next).decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
        next.rotate_if_due(2 * HOUR).unwrap();
        keys.rotate_if_due(2 * HOUR).unwrap();
        assert_eq!((keys.turn(), next.turn(), keys.due()), (2, 2, 3 * HOUR));
        assert_eq!(one.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
        drop(page);
        next.rotate_if_due(3 * HOUR).unwrap();
        assert_eq!(one.decrypt(&Ticketer::new(next).encrypt(b"b").unwrap()).as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn no_key_is_shown() {
        let (_page, _, [one, _]) = shared();
        let ticket = one.encrypt(b"a session").unwrap();
        assert!(one.decrypt(&ticket).is_some());
        assert_eq!(format!("{one:?}"), "Ticketer { keys: TicketKeys(1), .. }");
    }
}
