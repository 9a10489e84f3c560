//! How much a client may send without asking for anything: PING, SETTINGS, PRIORITY, WINDOW_UPDATE and
//! requests that it takes back cost the server work, and bring the client nothing.

/// Bytes that a client may send without a request.
const MOST: i64 = 256 << 10;

/// Bytes that it may send besides for each request: its head, and frames about it.
const PER_REQUEST: i64 = 16 << 10;

/// A client that takes bodies sends WINDOW_UPDATEs: a byte for so many bytes that were sent to it.
const SENT_PER_BYTE: u64 = 16;

/// Bytes that it may send besides for each second.
const PER_SECOND: i64 = 1 << 10;

/// Ticks in a second.
const TICKS: u32 = 1000 / crate::time::TICK_MS;

/// Requests that a client may take back before it matters how many it has made.
const MAX_WASTED: u32 = 100;

/// What a client may still send, and what it has wasted.
pub struct Allowance {
    left: i64,
    requests: u32,
    wasted: u32,
    /// The tick up to which seconds are counted.
    counted: u32,
}

impl Allowance {
    /// That of a new connection.
    pub fn new(tick: u32) -> Allowance {
        Allowance { left: MOST, requests: 0, wasted: 0, counted: tick }
    }

    /// Counts bytes that were received.
    pub fn receive(&mut self, bytes: usize) {
        self.left -= i64::try_from(bytes).unwrap_or(i64::MAX / 2);
    }

    /// Counts a request.
    pub fn request(&mut self) {
        self.requests = self.requests.saturating_add(1);
        self.add(PER_REQUEST);
    }

    /// Counts a request that the client has taken back, or whose response it can't get.
    pub fn waste(&mut self) {
        self.wasted = self.wasted.saturating_add(1);
    }

    /// Counts bytes that were sent.
    pub fn send(&mut self, bytes: u64) {
        self.add(i64::try_from(bytes / SENT_PER_BYTE).unwrap_or(MOST));
    }

    /// Counts the time.
    pub fn pass(&mut self, tick: u32) {
        let seconds = tick.saturating_sub(self.counted) / TICKS;
        self.counted += seconds * TICKS;
        self.add(i64::from(seconds) * PER_SECOND);
    }

    /// True if the client floods the server.
    pub fn is_spent(&self) -> bool {
        self.left < 0 || (self.wasted >= MAX_WASTED && self.wasted >= self.requests / 2)
    }

    fn add(&mut self, bytes: i64) {
        self.left = (self.left + bytes).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_asks_for_something_is_never_short() {
        let mut allowance = Allowance::new(1);
        for _ in 0..100_000 {
            allowance.receive(300);
            allowance.request();
            allowance.receive(13);
            allowance.send(10_000);
        }
        assert!(!allowance.is_spent());
    }

    #[test]
    fn a_client_that_asks_for_nothing_is_soon_stopped() {
        let mut allowance = Allowance::new(1);
        let mut frames = 0;
        while !allowance.is_spent() {
            allowance.receive(17);
            frames += 1;
        }
        assert!((10_000..20_000).contains(&frames), "{frames}");
        // A PING a second is no flood.
        let mut allowance = Allowance::new(1);
        for second in 0..1_000_000 {
            allowance.pass(1 + second * TICKS);
            allowance.receive(17);
        }
        assert!(!allowance.is_spent());
    }

    #[test]
    fn requests_that_are_taken_back_are_counted_against_those_that_are_not() {
        for (requests, wasted, is_spent) in
            [(99, 99, false), (100, 100, true), (1000, 100, false), (200, 100, true)]
        {
            let mut allowance = Allowance::new(1);
            (0..requests).for_each(|_| allowance.request());
            (0..wasted).for_each(|_| allowance.waste());
            assert_eq!(allowance.is_spent(), is_spent, "{requests} {wasted}");
        }
    }
}
