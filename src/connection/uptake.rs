//! How much a client has received of what was sent to it, as the TCP of both ends reports.

use std::os::fd::BorrowedFd;

use crate::sys::socket;

/// How much a client has received. Two readings compare only if nothing was sent between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptake {
    /// Bytes that the client's kernel has not acknowledged.
    unacknowledged: i64,
    /// Bytes that the client's kernel would take beyond those; negative if its window is too small for those.
    room: i64,
}

impl Uptake {
    /// Asks the kernel.
    pub fn of(socket: BorrowedFd<'_>) -> Uptake {
        let unacknowledged = socket::unacknowledged(socket).cast_signed();
        // Grows by what the client's program reads, even where the window is too small to be worth a segment.
        let room = socket::send_window(socket).cast_signed() - unacknowledged;
        Uptake { unacknowledged, room }
    }

    /// One for tests.
    #[cfg(test)]
    pub fn reading(unacknowledged: i64, room: i64) -> Uptake {
        Uptake { unacknowledged, room }
    }

    /// Updates this with a later reading. True when the client has got further than in all readings before.
    pub fn advances_to(&mut self, later: Uptake) -> bool {
        let before = *self;
        self.unacknowledged = self.unacknowledged.min(later.unacknowledged);
        self.room = self.room.max(later.room);
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_further_by_acknowledging_or_by_opening_its_window_and_not_by_closing_it() {
        let told = |unacknowledged, window: i64| Uptake { unacknowledged, room: window - unacknowledged };
        let mut uptake = told(1000, 0);
        for (what, later, advances) in [
            ("nothing", told(1000, 0), false),
            ("the window opens", told(1000, 50), true),
            ("it closes", told(1000, 0), false),
            ("it opens as far as before", told(1000, 50), false),
            ("a part is acknowledged, which the window had allowed", told(960, 10), true),
            ("the rest of the window", told(950, 0), true),
            ("nothing", told(950, 0), false),
            ("further", told(950, 1), true),
            ("the kernel tells of no window", told(949, 0), true),
        ] {
            assert_eq!(uptake.advances_to(later), advances, "{what}");
        }
    }
}
