//! The label of a process: how its lines in the error log say which process wrote them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The process that writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The parent.
    Master,
    /// The child in this slot.
    Worker(usize),
    /// The child that serves the status page.
    Admin,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

/// Values of [`LABEL`] for the master and the admin process. No slot has such a high number.
const MASTER: usize = usize::MAX;
const ADMIN: usize = MASTER - 1;

/// The label of this process. fork(2) copies it, so each child sets its own.
static LABEL: AtomicUsize = AtomicUsize::new(MASTER);

/// Sets the label of this process. A child calls it right after the fork.
pub fn set_label(label: Label) {
    LABEL.store(
        match label {
            Label::Master => MASTER,
            Label::Worker(slot) => slot,
            Label::Admin => ADMIN,
        },
        Relaxed,
    );
}

pub(super) fn label() -> Label {
    match LABEL.load(Relaxed) {
        MASTER => Label::Master,
        ADMIN => Label::Admin,
        slot => Label::Worker(slot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_master_until_it_says_otherwise() {
        assert_eq!(label(), Label::Master);
    }
}
