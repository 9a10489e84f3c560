//! The keys that tickets of TLS sessions are sealed with (RFC 8446 §4.6.1, RFC 5077), in memory that master
//! and workers share.
//!
//! The master writes a new key each hour. Workers seal with the newest one, and open with that and the one
//! before. So a ticket is good for one to two hours: with any worker, after a reload, and after an upgrade,
//! for the new program's master has the same memory. While both masters live, the one that comes first
//! rotates the keys, for both.
//!
//! ```text
//! word 0   the turn: how many keys there have been; the newest is in slot turn % 4
//! word 1   when that turn began, in milliseconds of the monotonic clock
//! word 8   four slots of four words, each a key of 256 bits
//! ```
//!
//! **Invariant:** a slot is written two turns before it is read next, and read for two turns after it was
//! written. So no reader meets half a key.

use std::io;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};

use crate::sys::random;
use crate::sys::secret_page::{SecretPage, WORDS};

/// How long a turn lasts.
const TURN: Duration = Duration::from_secs(60 * 60);

/// How long a ticket is good at most: the rest of its turn, and the next one.
pub const LIFETIME: Duration = TURN.saturating_mul(2);

const SLOTS: usize = 4;

/// Words of a key, and bytes of a word.
const KEY: usize = 4;
const WORD: usize = size_of::<u64>();

mod at {
    pub(super) const TURN: usize = 0;
    pub(super) const BEGAN: usize = 1;
    pub(super) const SLOTS: usize = 8;
}

/// The keys. Copies refer to the same memory.
#[derive(Clone, Copy)]
pub struct TicketKeys(&'static [AtomicU64; WORDS]);

/// Without the keys.
impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TicketKeys").field(&self.turn()).finish()
    }
}

impl TicketKeys {
    /// The keys in a page, of which a new one has none.
    pub fn in_page(page: &SecretPage) -> TicketKeys {
        TicketKeys(page.words())
    }

    /// In a master: writes a new key if it is time to, at this time of the monotonic clock.
    ///
    /// # Errors
    /// Those of getrandom(2). Then the keys stay for another turn.
    pub fn rotate_if_due(self, now: Duration) -> io::Result<()> {
        let (began, turn) = (self.0[at::BEGAN].load(Acquire), self.turn());
        if turn != 0 && now < due(began) {
            return Ok(());
        }
        // 0 stands for never.
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
        let begin = |before| (before == began).then_some(now);
        if self.0[at::BEGAN].fetch_update(AcqRel, Relaxed, begin).is_err() {
            // Another master has rotated them meanwhile.
            return Ok(());
        }
        let key: [u8; KEY * WORD] = random::bytes()?;
        let next = turn + 1;
        for (word, bytes) in self.slot(next).iter().zip(key.as_chunks::<WORD>().0) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
        self.0[at::TURN].store(next, Release);
        Ok(())
    }

    /// When the next key is due, on the monotonic clock.
    pub fn due(self) -> Duration {
        due(self.0[at::BEGAN].load(Acquire))
    }

    /// The number of the newest key; 0 if there is none.
    pub(super) fn turn(self) -> u64 {
        self.0[at::TURN].load(Acquire)
    }

    /// The key of a turn, which must be in use.
    pub(super) fn key(self, turn: u64) -> Option<LessSafeKey> {
        let mut key = [0; KEY * WORD];
        for (word, bytes) in self.slot(turn).iter().zip(key.as_chunks_mut::<WORD>().0) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        UnboundKey::new(&AES_256_GCM_SIV, &key).ok().map(LessSafeKey::new)
    }

    fn slot(self, turn: u64) -> &'static [AtomicU64] {
        let slot = usize::try_from(turn % SLOTS as u64).unwrap_or(0);
        &self.0[at::SLOTS + slot * KEY..][..KEY]
    }
}

fn due(began: u64) -> Duration {
    Duration::from_millis(began) + TURN
}
