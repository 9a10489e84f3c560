//! The child processes that run, and the link to each.
//!
//! Decides nothing.
//!
//! **Invariant:** a child of a fork drops this table before it serves. While a copy of the master's end of a
//! link is open, the child at the other end can't see that its master is gone.
//!
//! A client may have taken a child over, which then sends what the client likes. So the master reads a
//! bounded number of messages at a time. After a message that the child has no reason to send, it reads no
//! more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::supervisor::event::{ChildId, ChildKind};
use crate::ipc::{FromChild, ToChild};
use crate::metrics::Row;
use crate::sys::link::{self, Incoming};
use crate::sys::process;

/// Messages that are read from one child before the other children's.
const TURN: usize = 8;

/// The number of messages that a child may send at once, and how many more a second. A child sends at most
/// one a second. While the master is stopped, messages wait in the socket's queue, which holds fewer.
const ALLOWANCE: (f64, f64) = (1000.0, 10.0);

/// How long [`Children::end_admin`] waits. Meanwhile the master does nothing else.
const ADMIN_WAIT: Duration = Duration::from_secs(2);

/// What a child has reported of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Nothing,
    Serves,
    Failed,
}

/// A running child process.
struct Child {
    id: ChildId,
    pid: i32,
    link: OwnedFd,
    /// False once the child has closed its end of the link. Its exit follows.
    linked: bool,
    /// True once the child has sent a bad message: no more messages are read.
    ignored: bool,
    reported: Report,
    /// The number of messages that it may still send, and when that was counted.
    allowance: (f64, Duration),
    /// A worker's row in the table of counters.
    row: Option<Row>,
}

impl Child {
    /// Counts a message. Returns false if the child has sent too many.
    fn may_send(&mut self, now: Duration) -> bool {
        let (left, counted) = self.allowance;
        let earned = now.saturating_sub(counted).as_secs_f64() * ALLOWANCE.1;
        let left = (left + earned).min(ALLOWANCE.0);
        self.allowance = ((left - 1.0).max(0.0), now);
        left >= 1.0
    }

    /// The next message, if one has come.
    fn next(&mut self, now: Duration) -> Option<Result<FromChild, &'static str>> {
        let message = match link::receive(&self.link) {
            Incoming::Empty => return None,
            Incoming::Closed => {
                self.linked = false;
                return None;
            }
            _ if !self.may_send(now) => Err("sent far more messages than it has to send"),
            Incoming::TooLong => Err("sent a message that is too long"),
            Incoming::Message(_, descriptors) if !descriptors.is_empty() => Err("sent descriptors"),
            Incoming::Message(message, _) => self.accept(&message),
        };
        self.ignored = message.is_err();
        Some(message)
    }

    /// Parses a message. The error is what is wrong with a message that this child has no reason to send now.
    fn accept(&mut self, message: &[u8]) -> Result<FromChild, &'static str> {
        use ChildKind::{Admin, Worker};
        let message = FromChild::parse(message);
        self.reported = match (self.id.kind, self.reported, &message) {
            (Worker, Report::Nothing, Some(FromChild::Ready)) => Report::Serves,
            (Admin, Report::Nothing, Some(FromChild::Listens)) => Report::Serves,
            (Worker, Report::Serves, Some(FromChild::RootMoved | FromChild::Draining)) => Report::Serves,
            (_, Report::Nothing, Some(FromChild::Failed(_))) => Report::Failed,
            // Its start can still fail after it listens.
            (Admin, Report::Serves, Some(FromChild::Failed(_))) => Report::Failed,
            _ => return Err("sent a message that is not known or comes at the wrong time"),
        };
        message.ok_or("sent a message that is not known or comes at the wrong time")
    }
}

/// The child processes.
#[derive(Default)]
pub struct Children {
    running: Vec<Child>,
    /// Those that were killed long ago and have not ended. Their slots have other processes now, or none.
    given_up: Vec<(i32, ChildId)>,
}

impl Children {
    /// Adds a child that was started. `row` is a worker's row in the table of counters.
    pub fn insert(&mut self, id: ChildId, pid: i32, link: OwnedFd, row: Option<Row>, now: Duration) {
        let allowance = (ALLOWANCE.0, now);
        let child =
            Child { id, pid, link, linked: true, ignored: false, reported: Report::Nothing, allowance, row };
        self.running.push(child);
    }

    /// The name of a process.
    pub fn id(&self, pid: i32) -> Option<ChildId> {
        self.running.iter().find(|child| child.pid == pid).map(|child| child.id)
    }

    /// Removes a child that has ended.
    pub fn remove(&mut self, id: ChildId) {
        self.running.retain(|child| child.id != id);
    }

    /// Waits no longer for the end of a child that was killed, and closes its link. Returns its process id.
    pub fn give_up(&mut self, id: ChildId) -> Option<i32> {
        let index = self.running.iter().position(|child| child.id == id)?;
        let pid = self.running.swap_remove(index).pid;
        self.given_up.push((pid, id));
        Some(pid)
    }

    /// Removes a process that was given up and has ended after all. Returns its name.
    pub fn remove_given_up(&mut self, pid: i32) -> Option<ChildId> {
        let index = self.given_up.iter().position(|(given_up, _)| *given_up == pid)?;
        Some(self.given_up.swap_remove(index).1)
    }

    /// True while a process that was given up has not ended.
    pub fn has_given_up(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// The links to wait on, each with its child.
    pub fn links(&self) -> Vec<(ChildId, BorrowedFd<'_>)> {
        let heard = self.running.iter().filter(|child| child.linked && !child.ignored);
        heard.map(|child| (child.id, child.link.as_fd())).collect()
    }

    /// The messages of a child since the last call, a bounded number; the rest waits for the next call. An
    /// error says what is wrong with a message, and is the last entry.
    pub fn receive(&mut self, id: ChildId, now: Duration) -> Vec<Result<FromChild, &'static str>> {
        let mut messages = Vec::new();
        let Some(child) = self.child(id) else { return messages };
        while messages.len() < TURN
            && !child.ignored
            && let Some(message) = child.next(now)
        {
            messages.push(message);
        }
        messages
    }

    /// Sends a child a message, with descriptors or without. False if it does not read its messages.
    pub fn send(&mut self, id: ChildId, message: &ToChild, descriptors: &[BorrowedFd<'_>]) -> bool {
        let sent = self.child(id).is_none_or(|child| link::send(&child.link, &message.encode(), descriptors));
        if !sent {
            // It is ending or hangs. Its exit or the watchdog will show that.
            ::log::debug!("{id} does not read its messages");
        }
        sent
    }

    /// Every worker's name, and the time of its last heartbeat.
    pub fn heartbeats(&self) -> Vec<(ChildId, Duration)> {
        self.running.iter().filter_map(|child| Some((child.id, child.row?.last_beat()))).collect()
    }

    /// The workers of a slot, of all generations, by their process ids.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = i32> {
        let workers = self.running.iter().filter(|child| child.id.kind == ChildKind::Worker);
        workers.filter(move |child| child.id.slot == slot).map(|child| child.pid)
    }

    /// The processes that may have the listeners of a slot open, those that were given up included.
    pub fn holders_of_slot(&self, slot: usize) -> impl Iterator<Item = i32> {
        let given_up = self.given_up.iter().filter(|(_, id)| id.kind == ChildKind::Worker);
        let given_up = given_up.filter(move |(_, id)| id.slot == slot).map(|(pid, _)| *pid);
        self.of_slot(slot).chain(given_up)
    }

    /// Every child's name.
    pub fn ids(&self) -> Vec<ChildId> {
        self.running.iter().map(|child| child.id).collect()
    }

    /// Tells a child to stop at once, by closing the link.
    pub fn stop(&mut self, id: ChildId) {
        if let Some(child) = self.child(id) {
            link::close_both_ways(&child.link);
            child.linked = false;
        }
    }

    /// Kills a child.
    pub fn kill(&mut self, id: ChildId) {
        if let Some(child) = self.child(id) {
            process::kill(child.pid);
        }
    }

    /// Kills the admin process, if it runs, and waits for its end, since the next one may need its port at
    /// once. The wait is short: a killed process does no work of its own. One that the kernel holds is given
    /// up.
    pub fn end_admin(&mut self) {
        for child in self.running.extract_if(.., |child| child.id.kind == ChildKind::Admin) {
            if !process::kill_and_wait(child.pid, ADMIN_WAIT) {
                ::log::error!("admin, pid {}, was killed and has not ended", child.pid);
                self.given_up.push((child.pid, child.id));
            }
        }
    }

    fn child(&mut self, id: ChildId) -> Option<&mut Child> {
        self.running.iter_mut().find(|child| child.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ChildId = ChildId::worker(1, 0);

    /// A worker that says these messages one after the other, and what is made of each.
    #[track_caller]
    fn check(id: ChildId, messages: &[&[u8]], expected: &str) {
        let (mut children, theirs) = child(id);
        let mut heard = String::new();
        for message in messages {
            link::send(&theirs, message, &[]);
            for message in children.receive(id, Duration::ZERO) {
                heard.push_str(&match message {
                    Ok(FromChild::Ready) => "ready;".to_owned(),
                    Ok(FromChild::Draining) => "draining;".to_owned(),
                    Ok(FromChild::RootMoved) => "moved;".to_owned(),
                    Ok(FromChild::Listens) => "listens;".to_owned(),
                    Ok(FromChild::Failed(why)) => format!("failed {why};"),
                    Err(_) => "bad;".to_owned(),
                });
            }
        }
        assert_eq!(heard, expected);
    }

    /// A worker whose process id is that of no process.
    fn child(id: ChildId) -> (Children, OwnedFd) {
        let (mine, theirs) = link::pair().unwrap();
        let mut children = Children::default();
        children.insert(id, i32::MAX, mine, Some(Row::alone().unwrap()), Duration::ZERO);
        (children, theirs)
    }

    #[test]
    fn a_worker_that_says_what_no_worker_says_is_heard_no_more() {
        check(ID, &[b"ready", b"moved", b"moved"], "ready;moved;moved;");
        check(ID, &[b"ready", b"draining"], "ready;draining;");
        check(ID, &[b"draining"], "bad;");
        check(ID, &[b"failed why", b"ready"], "failed why;bad;");
        check(ID, &[b"moved", b"ready"], "bad;");
        check(ID, &[b"ready", b"ready", b"moved"], "ready;bad;");
        check(ID, &[b"ready", b"failed why"], "ready;bad;");
        check(ID, &[b"listens"], "bad;");
        check(ID, &[b"nonsense", b"ready"], "bad;");
        check(ID, &[&[b'x'; link::MAX_MESSAGE], b"ready"], "bad;");
    }

    #[test]
    fn the_admin_process_listens_or_fails() {
        let id = ChildId::admin(1);
        check(id, &[b"listens", b"failed why", b"failed why"], "listens;failed why;bad;");
        check(id, &[b"failed why", b"listens"], "failed why;bad;");
        check(id, &[b"listens", b"listens"], "listens;bad;");
        check(id, &[b"ready"], "bad;");
    }

    #[test]
    fn a_child_that_was_given_up_has_no_link_and_a_process_id_of_its_own() {
        const NEXT: i32 = 2;
        let (mut children, theirs) = child(ID);
        let pid = children.give_up(ID).unwrap();
        assert!(children.links().is_empty() && children.ids().is_empty() && children.give_up(ID).is_none());
        assert!(matches!(link::receive(&theirs), Incoming::Closed));
        let (mine, _) = link::pair().unwrap();
        children.insert(ID, NEXT, mine, None, Duration::ZERO);
        assert_eq!((children.id(pid), children.id(NEXT)), (None, Some(ID)));
        assert_eq!(children.of_slot(0).collect::<Vec<_>>(), [NEXT]);
        assert_eq!(children.holders_of_slot(0).collect::<Vec<_>>(), [NEXT, pid]);
        assert_eq!((children.remove_given_up(NEXT), children.has_given_up()), (None, true));
        assert_eq!((children.remove_given_up(pid), children.has_given_up()), (Some(ID), false));
        assert_eq!(children.ids(), [ID]);
    }

    #[test]
    fn a_worker_that_sends_a_flood_is_read_a_little_at_a_time_and_then_given_up() {
        let (mut children, theirs) = child(ID);
        link::send(&theirs, &FromChild::Ready.encode(), &[]);
        let fill = || while link::send(&theirs, &FromChild::RootMoved.encode(), &[]) {};
        let (mut heard, mut turns) = (0, 0);
        'flood: loop {
            fill();
            let words = children.receive(ID, Duration::from_secs(1));
            assert!(words.len() <= TURN);
            turns += 1;
            for word in words {
                heard += 1;
                if word.is_err() {
                    break 'flood;
                }
            }
            assert!(heard < 2000, "it goes on for ever");
        }
        assert!(heard > 1000 && turns > 100, "{heard} in {turns}");
        assert!(children.links().is_empty() && children.receive(ID, Duration::from_secs(9)).is_empty());
    }

    #[test]
    fn a_worker_that_reports_every_second_is_heard_for_ever() {
        let (mut children, theirs) = child(ID);
        link::send(&theirs, &FromChild::Ready.encode(), &[]);
        assert_eq!(children.receive(ID, Duration::ZERO).len(), 1);
        for second in 1..5000 {
            link::send(&theirs, &FromChild::RootMoved.encode(), &[]);
            let words = children.receive(ID, Duration::from_secs(second));
            assert!(matches!(words[..], [Ok(FromChild::RootMoved)]), "{second}");
        }
    }

    #[test]
    fn descriptors_and_an_end_that_is_closed_early_are_what_no_worker_sends() {
        let (mut children, theirs) = child(ID);
        link::send(&theirs, &FromChild::Ready.encode(), &[theirs.as_fd()]);
        assert!(matches!(children.receive(ID, Duration::ZERO)[..], [Err("sent descriptors")]));
        let (mut children, theirs) = child(ID);
        drop(theirs);
        assert!(children.receive(ID, Duration::ZERO).is_empty());
        assert!(children.links().is_empty());
    }
}
