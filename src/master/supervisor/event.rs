//! The supervisor's input and output as plain data: events and operations go in, actions come out.

use std::fmt;
use std::time::Duration;

use crate::sys::process::Exit;

/// What a child process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// It serves clients.
    Worker,
    /// It serves the status page and the metrics.
    Admin,
}

/// Names a child process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildId {
    /// What it is for.
    pub kind: ChildKind,
    /// The generation whose settings it was started with, counted from 1.
    pub generation: u32,
    /// The slot, counted from 0; the admin process has slot 0 of its kind.
    pub slot: usize,
}

impl ChildId {
    /// The worker of a slot.
    pub const fn worker(generation: u32, slot: usize) -> ChildId {
        ChildId { kind: ChildKind::Worker, generation, slot }
    }

    /// The admin process.
    pub const fn admin(generation: u32) -> ChildId {
        ChildId { kind: ChildKind::Admin, generation, slot: 0 }
    }
}

/// As the log names it.
impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.generation) {
            (ChildKind::Admin, _) => f.write_str("admin"),
            (ChildKind::Worker, 1) => write!(f, "worker {}", self.slot),
            (ChildKind::Worker, number) => write!(f, "worker {} of generation {number}", self.slot),
        }
    }
}

/// What an operator asks for by a signal. It waits while a generation starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the settings, and start a generation with them (HUP).
    Reload,
    /// Drain all workers and start no others; the master and its listeners stay (WINCH).
    DrainWorkers,
    /// Start one more worker (TTIN).
    AddWorker,
    /// Drain the worker of the last slot (TTOU).
    RemoveWorker,
    /// Start the program again beside this one (USR2).
    Upgrade,
}

/// What happens to the admin process once a generation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminChange {
    /// Nothing: it runs on, or there is still no admin process.
    Keep,
    /// A new process replaces it, with other settings or at another address.
    Replace,
    /// It ends, and no other one starts.
    Close,
}

/// What the master has come to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This child serves.
    Ready(ChildId),
    /// This worker drains, and accepts no client from a listener that is kept.
    Draining(ChildId),
    /// This child can't serve, for this reason. Its exit follows.
    Failed(ChildId, String),
    /// This child has ended.
    Exited(ChildId, Exit),
    /// This child has ended long after it was given up. Its id may be that of another process now.
    EndedLate(ChildId),
    /// This child was not started, since another process holds its address.
    AddressInUse(ChildId),
    /// This worker's heartbeat has ceased.
    Silent(ChildId),
    /// This worker's heartbeat is back.
    Heard(ChildId),
    /// This worker has had no heartbeat for this time, which is the limit: kill it.
    Hung(ChildId, Duration),
    /// This child has sent a message that it has no reason to send.
    BadMessage(ChildId, &'static str),
    /// This worker reports that the path of a root leads to another directory, which the worker can't open.
    RootMoveReported(ChildId),
    /// The master's own check found that the path of a root leads to another directory.
    RootMoved,
    /// Files of certificates have changed, and were read.
    CertificatesChanged,
    /// An operator asks for this.
    Asked(Operation),
    /// [`Action::Prepare`], [`Action::ReopenRoots`] or [`Action::RenewCertificates`] succeeded: the
    /// generation can start.
    Prepared {
        /// How many workers it starts with.
        workers: usize,
        /// How long draining workers have. In force once the generation serves.
        drain_timeout: Duration,
        /// What happens to the admin process once the generation serves.
        admin: AdminChange,
    },
    /// One of them failed; the error is in the log.
    NotPrepared,
    /// The new program's master waits for the address of the admin process.
    HandAdminOn,
    /// Stop all workers at once, then end (TERM, INT).
    Stop,
    /// Drain all workers, then end (QUIT).
    Drain,
    /// Time has passed.
    Tick,
}

/// What the master is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reload: read the settings, and open what they name for the generation of this number.
    /// [`Event::Prepared`] or [`Event::NotPrepared`] follows.
    Prepare(u32),
    /// The path of a root leads to another directory: open the roots again for the generation of this
    /// number, with this many workers and the settings in force. [`Event::Prepared`] or
    /// [`Event::NotPrepared`] follows.
    ReopenRoots(u32, usize),
    /// Certificates have changed: prepare the generation of this number with them, with this many workers and
    /// the settings in force. [`Event::Prepared`] or [`Event::NotPrepared`] follows.
    RenewCertificates(u32, usize),
    /// Start the program again beside this one.
    Upgrade,
    /// Keep the listeners of this generation open while its workers drain and after.
    KeepListeners(u32),
    /// Fork this child. If that fails, [`Event::AddressInUse`] follows, or [`Event::Failed`] and
    /// [`Event::Exited`].
    Start(ChildId),
    /// All workers of this generation serve: use its settings in the master, and log it.
    Commit(u32),
    /// Tell this worker that it may accept: those of the generation before have stopped to.
    Accept(ChildId),
    /// Tell this worker to drain.
    Drain(ChildId),
    /// Tell this child to stop at once.
    Stop(ChildId),
    /// Kill this child, which does not stop.
    Kill(ChildId),
    /// Kill this worker, which has had no heartbeat for this time.
    KillHung(ChildId, Duration),
    /// Kill this child, which has sent a message that it has no reason to send.
    KillUntrusted(ChildId, &'static str),
    /// Wait no longer for the end of this child, which was killed. With a time, the next one starts after it.
    GiveUp(ChildId, Option<Duration>),
    /// End the admin process. The next one has the address and the settings of this generation.
    SwitchAdmin(u32),
    /// End the admin process, and close its address.
    CloseAdmin,
    /// Have the kernel give new connections to no worker of these slots, in ascending order. The list
    /// replaces the one before; an empty list ends it.
    Avoid(Vec<usize>),
    /// Log that this child ended, and that the next one starts after this time.
    LogExit(ChildId, Exit, Duration),
    /// Log why this child could not serve.
    LogStartFailure(ChildId, String),
    /// Log that the start of this generation failed, since the worker in this slot could not serve.
    AbandonReload(u32, usize, String),
    /// The last worker of this generation has ended: close what the generation has open.
    CloseGeneration(u32),
    /// All workers have ended: end the master. With a slot and a reason, the start failed for that reason.
    Finish(Option<(usize, String)>),
}
