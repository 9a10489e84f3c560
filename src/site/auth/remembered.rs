//! The sign-ins that were right a short while ago, so that not each request costs a verification.

use lru::LruCache;

use super::digest::CredentialsDigest;
use crate::time::TICK_MS;

/// How long one is remembered, in ticks: 5 minutes, however often it is used.
const LIFETIME: u32 = 300 * 1000 / TICK_MS;

/// The most that are remembered, in some 400 KiB. Beyond it the one that was not used for longest is
/// forgotten.
const MOST: usize = 4096;

/// The sign-ins that were right a short while ago, each with the tick at which it is forgotten.
pub struct RememberedSignIns(LruCache<CredentialsDigest, u32>);

impl RememberedSignIns {
    /// None.
    pub fn new() -> RememberedSignIns {
        // Memory is taken as they come.
        RememberedSignIns(LruCache::unbounded())
    }

    /// Remembers one that was right at this tick.
    pub fn add(&mut self, digest: CredentialsDigest, tick: u32) {
        self.0.put(digest, tick.saturating_add(LIFETIME));
        if self.0.len() > MOST {
            self.0.pop_lru();
        }
    }

    /// True if one is remembered.
    pub fn has(&mut self, digest: &CredentialsDigest, tick: u32) -> bool {
        match self.0.get(digest) {
            Some(&end) if tick < end => true,
            Some(_) => {
                self.0.pop(digest);
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> CredentialsDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest
    }

    #[test]
    fn one_is_forgotten_after_five_minutes_though_it_is_used() {
        let mut remembered = RememberedSignIns::new();
        assert!(!remembered.has(&digest(1), 10));
        remembered.add(digest(1), 10);
        for tick in [10, 1000, 3009] {
            assert!(remembered.has(&digest(1), tick));
        }
        assert!(!remembered.has(&digest(1), 3010) && !remembered.has(&digest(1), 10));
        assert!(remembered.0.is_empty());
    }

    #[test]
    fn no_more_than_some_thousand_are_kept_and_the_used_ones_longest() {
        let mut remembered = RememberedSignIns::new();
        for number in 0..MOST + 10 {
            remembered.add(digest(number), 1);
            assert!(remembered.has(&digest(0), 1));
        }
        assert_eq!(remembered.0.len(), MOST);
        assert!(!remembered.has(&digest(1), 1) && remembered.has(&digest(MOST + 9), 1));
    }
}
