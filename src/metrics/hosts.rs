//! The hosts that requests are counted by: their numbers, their names and their counts.
//!
//! The master gives a number to each name that it meets, and never takes it back, so that counts don't fall
//! at a reload. The names stand in shared memory, where the admin process reads them.
//!
//! **Invariant:** only the words of hosts with a number are read: to read shared memory for the first time
//! takes memory for its page.

use std::collections::HashMap;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::class::StatusClass;
use super::host_number::HostNumber;
use super::layout::{HOST_NAME_WORDS, MAX_HOSTS, MAX_SLOTS, at, head};
use super::shared_text;
use super::table::Table;

/// The counts of one host, in all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSnapshot {
    /// The first name that the settings have for it, or `(none)` or `(other)`.
    pub name: String,
    /// Requests, in the order of [`StatusClass::ALL`].
    pub requests: [u64; StatusClass::ALL.len()],
    /// Bytes of their responses.
    pub sent: u64,
}

impl Table {
    /// In the master: the numbers of hosts with these names, each of at most 255 bytes. Names that are new
    /// get the next free numbers, and [`HostNumber::OTHER`] once there is none left.
    pub fn number_hosts(self, names: &[String]) -> Vec<HostNumber> {
        if names.is_empty() {
            return Vec::new();
        }
        let mut count = self.host_count().max(HostNumber::FIRST);
        let known = (HostNumber::FIRST..count).map(|index| (self.host_name(index), HostNumber::new(index)));
        let mut known: HashMap<String, HostNumber> = known.collect();
        let mut number = |name: &String| {
            if let Some(number) = known.get(name) {
                return *number;
            }
            if count == MAX_HOSTS {
                return HostNumber::OTHER;
            }
            let number = HostNumber::new(count);
            self.write_host_name(count, name);
            known.insert(name.clone(), number);
            count += 1;
            number
        };
        let numbers = names.iter().map(&mut number).collect();
        // Last, because readers rely on the names.
        self.head[head::HOSTS].store(count as u64, Release);
        numbers
    }

    /// How many numbers are in use; 0 if there was never a host.
    fn host_count(self) -> usize {
        usize::try_from(self.head[head::HOSTS].load(Acquire)).unwrap_or(0).min(MAX_HOSTS)
    }

    /// How many words at the beginning of a row are in use.
    pub(super) fn used_words(self) -> usize {
        at::HOSTS + self.host_count() * at::HOST_WORDS
    }

    /// The counts of all hosts, of the workers that run and of those that have ended.
    pub(super) fn hosts(self) -> Vec<HostSnapshot> {
        let count = self.host_count();
        if count == 0 {
            return Vec::new();
        }
        let used_sums = usize::try_from(self.head[head::USED_SUMS].load(Relaxed)).unwrap_or(0);
        let mut hosts = self.read_consistent(|| {
            let mut hosts = vec![HostSnapshot::default(); count];
            let rows = self.used_rows().iter().filter(|row| row.0[at::PID].load(Acquire) != 0);
            for block in rows.chain(&self.sums[..used_sums.min(MAX_SLOTS)]) {
                let words = block.0[at::HOSTS..].chunks_exact(at::HOST_WORDS);
                hosts.iter_mut().zip(words).for_each(|(host, words)| host.gather(words));
            }
            hosts
        });
        hosts.iter_mut().enumerate().for_each(|(index, host)| host.name = self.host_name(index));
        if count < MAX_HOSTS {
            // No host has been counted by it.
            hosts.remove(HostNumber::OTHER.index());
        }
        hosts
    }

    fn host_name(self, index: usize) -> String {
        match HostNumber::new(index) {
            HostNumber::NONE => "(none)".to_owned(),
            HostNumber::OTHER => "(other)".to_owned(),
            number => shared_text::read(self.host_name_words(number)),
        }
    }

    fn write_host_name(self, index: usize, name: &str) {
        shared_text::write(self.host_name_words(HostNumber::new(index)), name);
    }

    fn host_name_words(self, number: HostNumber) -> &'static [AtomicU64] {
        &self.host_names[number.index() * HOST_NAME_WORDS..][..HOST_NAME_WORDS]
    }
}

impl HostSnapshot {
    /// Adds the words of a host in a row.
    fn gather(&mut self, words: &[AtomicU64]) {
        let word = |at: usize| words.get(at).map_or(0, |word| word.load(Relaxed));
        for (class, count) in self.requests.iter_mut().enumerate() {
            *count += word(at::HOST_REQUESTS + class);
        }
        self.sent += word(at::HOST_SENT);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn hosts(table: Table) -> Vec<(String, [u64; 4], u64)> {
        table.hosts().into_iter().map(|host| (host.name, host.requests, host.sent)).collect()
    }

    #[test]
    fn a_host_keeps_its_number_and_its_counts_whatever_the_settings_say_later() {
        let table = Table::new(1).unwrap();
        assert_eq!((table.number_hosts(&[]), hosts(table), table.used_words()), (vec![], vec![], at::HOSTS));
        let first = table.number_hosts(&named(&["a.example", "*.b.example"]));
        let longest = "x".repeat(255);
        let second = table.number_hosts(&named(&["*.b.example", &longest, "a.example"]));
        assert_eq!((first[0], first[1]), (second[2], second[0]));
        assert_eq!(table.number_hosts(&[]), []);
        for pid in [7, 8] {
            let row = table.claim().unwrap();
            table.occupy(row, pid, 3, 1, Duration::ZERO);
            row.host_request(HostNumber::NONE, 404);
            row.host_request(first[1], 200);
            row.host_request(first[1], 304);
            row.host_sent(first[1], 10);
            row.host_request(second[1], 503);
            row.host_sent(second[1], 5);
        }
        let all = |times: u64| {
            vec![
                ("(none)".to_owned(), [0, 0, times, 0], 0),
                ("a.example".to_owned(), [0; 4], 0),
                ("*.b.example".to_owned(), [times, times, 0, 0], 10 * times),
                (longest.clone(), [0, 0, 0, times], 5 * times),
            ]
        };
        assert_eq!(hosts(table), all(2), "also of a slot that is not shown");
        table.release(7);
        assert_eq!(hosts(table), all(2));
        let row = table.claim().unwrap();
        assert!(row.0.iter().all(|word| word.load(Relaxed) == 0), "the row is free");
        table.occupy(row, 9, 0, 2, Duration::ZERO);
        row.host_sent(first[1], 1);
        assert_eq!(hosts(table)[2].2, 21);
    }

    #[test]
    fn hosts_beyond_the_bound_share_a_number() {
        let table = Table::new(1).unwrap();
        let names: Vec<String> = (0..MAX_HOSTS).map(|number| format!("h{number}")).collect();
        let numbers = table.number_hosts(&names);
        let free = MAX_HOSTS - HostNumber::FIRST;
        assert!(numbers[..free].iter().all(|number| *number != HostNumber::OTHER));
        assert!(numbers[free..].iter().all(|number| *number == HostNumber::OTHER));
        assert_eq!(table.number_hosts(&names), numbers);
        let row = table.claim().unwrap();
        table.occupy(row, 7, 0, 1, Duration::ZERO);
        numbers.iter().for_each(|number| row.host_request(*number, 200));
        let hosts = hosts(table);
        assert_eq!(hosts.len(), MAX_HOSTS);
        assert_eq!(hosts[1], ("(other)".to_owned(), [2, 0, 0, 0], 0));
        assert_eq!(hosts[MAX_HOSTS - 1], (names[free - 1].clone(), [1, 0, 0, 0], 0));
        table.release(7);
        assert!(row.0.iter().all(|word| word.load(Relaxed) == 0));
    }
}
