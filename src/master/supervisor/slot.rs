//! One slot of a child process: its state, and when the next process starts in it.
//!
//! The slots of workers and of the admin process are the same. What differs, such as generations and
//! listeners, is in their owners. All times are on one monotonic clock.

use std::time::Duration;

use super::backoff::Backoff;

/// The time after which a process that was told to stop at once is killed.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(2);

/// The time after which a process that was killed and has not ended is given up. A thread that waits in the
/// kernel for a file system keeps its process from ending, maybe for ever.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// No process runs; the next one starts at this time.
    AwaitingStart(Duration),
    /// A process was started at this time and does not serve yet.
    Booting(Duration),
    /// A process serves that was started at this time.
    Serving(Duration),
    /// A process was killed because it hung. It has not ended yet.
    Hung {
        /// When it was started.
        since: Duration,
        /// When it is given up.
        until: Duration,
    },
    /// A process was told to drain; it is told to stop at this time.
    Draining(Duration),
    /// A process was told to stop; it is killed at this time.
    Stopping(Duration),
    /// A process that was to end was killed; it is given up at this time.
    Killed(Duration),
    /// No process runs, and none will start.
    Closed,
}

/// What is due in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DueStep {
    Start,
    Stop,
    Kill,
}

#[derive(Debug)]
pub(super) struct ChildSlot {
    state: SlotState,
    backoff: Backoff,
}

impl ChildSlot {
    pub(super) fn new(state: SlotState) -> ChildSlot {
        ChildSlot { state, backoff: Backoff::default() }
    }

    pub(super) fn state(&self) -> SlotState {
        self.state
    }

    /// The process is being started.
    pub(super) fn start(&mut self, now: Duration) {
        self.state = SlotState::Booting(now);
    }

    /// No process is started before this time, unless the slot was closed meanwhile.
    pub(super) fn postpone(&mut self, until: Duration) {
        if self.state != SlotState::Closed {
            self.state = SlotState::AwaitingStart(until);
        }
    }

    /// The process serves.
    pub(super) fn ready(&mut self) {
        if let SlotState::Booting(since) = self.state {
            self.state = SlotState::Serving(since);
        }
    }

    /// The process has ended or is given up. Closes the slot and returns the state before.
    pub(super) fn exited(&mut self) -> SlotState {
        std::mem::replace(&mut self.state, SlotState::Closed)
    }

    /// Schedules the start of the next process, after one that lived from `since` to `now`. Returns how long
    /// the slot waits.
    pub(super) fn schedule_next(&mut self, since: Duration, now: Duration) -> Duration {
        let wait = self.backoff.wait_after(now.saturating_sub(since));
        self.state = SlotState::AwaitingStart(now + wait);
        wait
    }

    /// Notes that the process is about to be killed. Returns false if there is no process.
    pub(super) fn mark_hung(&mut self, now: Duration) -> bool {
        let until = now + KILL_GRACE;
        match self.state {
            SlotState::Booting(since) | SlotState::Serving(since) => {
                self.state = SlotState::Hung { since, until };
            }
            SlotState::Draining(_) | SlotState::Stopping(_) => self.state = SlotState::Killed(until),
            SlotState::Hung { .. } | SlotState::Killed(_) => {}
            SlotState::AwaitingStart(_) | SlotState::Closed => return false,
        }
        true
    }

    /// Begins the drain of the slot: its process has until `until`, and no process follows. Returns true if
    /// the process is to be told.
    pub(super) fn drain(&mut self, until: Duration) -> bool {
        match self.state {
            SlotState::AwaitingStart(_) => self.state = SlotState::Closed,
            SlotState::Hung { until, .. } => self.state = SlotState::Killed(until),
            SlotState::Booting(_) | SlotState::Serving(_) => {
                self.state = SlotState::Draining(until);
                return true;
            }
            SlotState::Draining(_) | SlotState::Stopping(_) | SlotState::Killed(_) | SlotState::Closed => {}
        }
        false
    }

    /// Begins the stop of the slot: its process is killed at `until`, and no process follows. Returns true if
    /// the process is to be told.
    pub(super) fn stop(&mut self, until: Duration) -> bool {
        match self.state {
            SlotState::AwaitingStart(_) => self.state = SlotState::Closed,
            SlotState::Hung { until, .. } => self.state = SlotState::Killed(until),
            SlotState::Booting(_) | SlotState::Serving(_) | SlotState::Draining(_) => {
                self.state = SlotState::Stopping(until);
                return true;
            }
            SlotState::Stopping(_) | SlotState::Killed(_) | SlotState::Closed => {}
        }
        false
    }

    /// Changes the state if its time has come. Returns what is to be done.
    pub(super) fn tick(&mut self, now: Duration) -> Option<DueStep> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let (state, step) = match self.state {
            SlotState::AwaitingStart(_) => (SlotState::Booting(now), DueStep::Start),
            SlotState::Draining(_) => (SlotState::Stopping(now + STOP_GRACE), DueStep::Stop),
            SlotState::Stopping(_) => (SlotState::Killed(now + KILL_GRACE), DueStep::Kill),
            SlotState::Booting(_)
            | SlotState::Serving(_)
            | SlotState::Hung { .. }
            | SlotState::Killed(_)
            | SlotState::Closed => return None,
        };
        self.state = state;
        Some(step)
    }

    /// Waits for the end of a killed process for a further while.
    pub(super) fn wait_longer(&mut self, now: Duration) {
        if let SlotState::Hung { until, .. } | SlotState::Killed(until) = &mut self.state {
            *until = now + KILL_GRACE;
        }
    }

    /// True if the process was killed so long ago that it is to be given up.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        matches!(self.state, SlotState::Hung { until, .. } | SlotState::Killed(until) if until <= now)
    }

    /// When [`ChildSlot::tick`] or [`ChildSlot::is_overdue`] is due, if a time limit runs.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.state {
            SlotState::AwaitingStart(at)
            | SlotState::Draining(at)
            | SlotState::Stopping(at)
            | SlotState::Hung { until: at, .. }
            | SlotState::Killed(at) => Some(at),
            SlotState::Booting(_) | SlotState::Serving(_) | SlotState::Closed => None,
        }
    }
}
