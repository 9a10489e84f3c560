//! The present second as text, rendered once for all responses and log lines in it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::http::date;
use crate::log::timestamp::Timestamp;

/// The present second as text, at most as old as the clock that it is refreshed from.
pub struct RenderedTime(Mutex<Rendered>);

struct Rendered {
    second: u64,
    date: [u8; 29],
    stamp: Timestamp,
}

impl Rendered {
    fn at(wall: SystemTime) -> Rendered {
        let second = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Rendered { second, date: date::render(wall), stamp: Timestamp::render(wall) }
    }
}

impl RenderedTime {
    /// The second that `wall` is in.
    pub fn at(wall: SystemTime) -> RenderedTime {
        RenderedTime(Mutex::new(Rendered::at(wall)))
    }

    /// Renders the second that `wall` is in, if it is another one. Returns true then.
    pub fn refresh(&self, wall: SystemTime) -> bool {
        let mut rendered = self.lock();
        let second = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let is_new = rendered.second != second;
        if is_new {
            *rendered = Rendered::at(wall);
        }
        is_new
    }

    /// The present second, since 1970.
    pub fn second(&self) -> u64 {
        self.lock().second
    }

    /// The present second as a Date field has it (RFC 9110 §5.6.7).
    pub fn date(&self) -> [u8; 29] {
        self.lock().date
    }

    /// The present second as an access log has it.
    pub fn stamp(&self) -> Timestamp {
        self.lock().stamp.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Rendered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
