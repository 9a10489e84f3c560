//! One client's socket, and the only place where a coroutine waits for a client. Idle connections wait
//! without a coroutine, in `worker/idle_set.rs`.
//!
//! Moves bytes and waits for readiness; knows nothing of requests. It is registered with the scheduler's
//! epoll only when a coroutine first has to wait for it, and unregistered when the connection goes to the
//! idle set.
//!
//! **Invariants:** after a receive that did not fill its buffer the socket is empty, so the next step is to
//! wait and not to receive again (epoll is edge-triggered, and a new edge ends the wait). Before each wait
//! the lead is handed over.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use may::io::{CoIo, WaitIo, WaitIoWaker};

use super::leadership::Leadership;
use super::socket_timers::{SocketDeadline, SocketTimers};
use crate::background::{Completion, WaitLimits, Wake};
use crate::sys::socket::{self, ENDING, READABLE, WRITABLE};
use crate::sys::{sendfile, timer};

/// The bit that may's waker adds to the epoll bits of a wait that it ends.
const WOKEN: usize = 0x8000_0000;

/// What a coroutine may spend between two yields. The unit is a byte sent or received; other work costs an
/// equivalent in bytes.
pub const YIELD_BUDGET: usize = 512 << 10;

/// The minimum cost of a receive against the [`YIELD_BUDGET`]: a client may send single bytes faster than
/// they are received.
const RECEIVE_COST: usize = 512;

/// What a receive found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Some bytes.
    Bytes,
    /// The client has ended its stream.
    EndOfStream,
    /// Nothing for now: wait.
    Nothing,
}

/// Why a wait ended without the event that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The deadline passed.
    TimedOut,
    /// The kernel refused to watch the socket.
    Unwatchable,
}

enum Registration {
    None(OwnedFd),
    /// Boxed: an idle connection has no registration, and should be small.
    Watched(Box<(CoIo<OwnedFd>, SocketDeadline)>),
    /// The kernel refused to watch the socket, and it is closed.
    Lost,
}

/// One client's socket.
pub struct Socket {
    registration: Registration,
    timers: &'static SocketTimers,
    leadership: &'static dyn Leadership,
    /// The tick at which waits end.
    deadline: u32,
    /// What was spent of the [`YIELD_BUDGET`] since the last wait or yield.
    spent: u32,
    /// False when the socket is known to be empty until an event says otherwise.
    readable: bool,
    /// True when an end of stream or an error has been reported.
    ending: bool,
}

impl Socket {
    /// Takes over an accepted, non-blocking socket.
    pub fn new(
        socket: OwnedFd,
        timers: &'static SocketTimers,
        leadership: &'static dyn Leadership,
    ) -> Socket {
        let registration = Registration::None(socket);
        Socket { registration, timers, leadership, deadline: 0, spent: 0, readable: true, ending: false }
    }

    /// The lead among the worker's coroutines.
    pub fn leadership(&self) -> &'static dyn Leadership {
        self.leadership
    }

    /// Whether the scheduler watches it.
    pub fn is_registered(&self) -> bool {
        matches!(self.registration, Registration::Watched(_))
    }

    /// Takes the socket out of the scheduler's epoll, because the idle set watches it.
    pub fn unregister(&mut self) {
        if !self.is_registered() {
            return;
        }
        if let Registration::Watched(watched) = std::mem::replace(&mut self.registration, Registration::Lost)
        {
            let (io, _deadline) = *watched;
            self.registration = Registration::None(io.into_inner());
        }
    }

    /// Prepares for a coroutine that serves the connection again; `ending` when an end of stream or an error
    /// was reported meanwhile.
    pub fn resume(&mut self, ending: bool) {
        self.readable = true;
        self.ending = ending;
    }

    /// Sets the tick at which waits end.
    pub fn set_deadline(&mut self, tick: u32) {
        self.deadline = tick;
    }

    /// Appends what has arrived to `buffer`, which must have room.
    ///
    /// # Errors
    /// What recv(2) says, other than `EAGAIN`.
    pub fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let room = buffer.capacity() - buffer.len();
        if !self.readable {
            return Ok(Received::Nothing);
        }
        match uninterrupted(|| socket::receive(self.fd()?, buffer)) {
            Ok(0) => Ok(Received::EndOfStream),
            Ok(n) => {
                self.readable = n == room || self.ending;
                self.spend(n.max(RECEIVE_COST));
                Ok(Received::Bytes)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Received::Nothing)
            }
            Err(e) => Err(e),
        }
    }

    /// True when bytes of the client may lie in the socket unread.
    pub fn may_hold_bytes(&self) -> bool {
        self.readable
    }

    /// Sends what the socket takes of `first` and then `second`. `more` tells the kernel that more bytes or
    /// the end of the stream follow at once, so it does not send a partly filled segment yet (send(2)
    /// `MSG_MORE`).
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, and what else sendmsg(2) says.
    pub fn send(&mut self, first: &[u8], second: &[u8], more: bool) -> io::Result<usize> {
        let sent = uninterrupted(|| socket::send(self.fd()?, first, second, more))?;
        self.spend(sent);
        Ok(sent)
    }

    /// Sends what the socket takes of a file from `*offset` on, at most `count` bytes; 0 means that the file
    /// ends there.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, `InvalidInput` where the file system can't, and what else
    /// sendfile(2) says.
    pub fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, count: usize) -> io::Result<usize> {
        let sent = uninterrupted(|| sendfile::sendfile(self.fd()?, file, offset, count))?;
        self.spend(sent);
        Ok(sent)
    }

    /// Counts the cost of work, such as a request answered, against the [`YIELD_BUDGET`].
    pub fn spend(&mut self, cost: usize) {
        self.spent = self.spent.saturating_add(u32::try_from(cost).unwrap_or(u32::MAX));
    }

    /// True if the [`YIELD_BUDGET`] is spent.
    pub fn has_spent_budget(&self) -> bool {
        self.spent as usize >= YIELD_BUDGET
    }

    /// Returns what was spent since the last wait or yield, and sets it to 0.
    pub fn take_spent(&mut self) -> usize {
        std::mem::take(&mut self.spent) as usize
    }

    /// Lets the other coroutines run first, if the [`YIELD_BUDGET`] is spent.
    pub fn give_way_if_due(&mut self) {
        if self.has_spent_budget() {
            self.spent = 0;
            self.leadership.give_way();
        }
    }

    /// Waits until something may be received.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_readable(&mut self) -> Result<(), WaitError> {
        while !self.readable {
            self.wait()?;
        }
        Ok(())
    }

    /// Like [`Socket::wait_readable`], for a connection that has been idle since the tick `since`.
    /// [`SocketTimers::wake_idle_longest`] can end the wait early.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_idle(&mut self, since: u32) -> Result<(), WaitError> {
        let Registration::Watched(watched) = &self.registration else {
            return Err(WaitError::Unwatchable);
        };
        watched.1.set_idle_since(Some(since));
        let waited = self.wait_readable();
        if let Registration::Watched(watched) = &self.registration {
            watched.1.set_idle_since(None);
        }
        waited
    }

    /// Waits until something may be sent.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_writable(&mut self) -> Result<(), WaitError> {
        while self.wait()? & (WRITABLE | ENDING) == 0 {}
        Ok(())
    }

    /// Waits until a job of a background thread is done. What the client does meanwhile shows in later
    /// calls.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_for(&mut self, job: &Completion) -> Result<(), WaitError> {
        self.register()?;
        let Registration::Watched(watched) = &self.registration else {
            return Err(WaitError::Unwatchable);
        };
        let _waiting = job.add_waiter(Box::new(SocketWaker(watched.0.waker())));
        while !job.is_done() {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until the deadline has passed. What the client does meanwhile shows in later calls.
    ///
    /// # Errors
    /// [`WaitError::Unwatchable`].
    pub fn wait_for_deadline(&mut self) -> Result<(), WaitError> {
        loop {
            match self.wait() {
                Ok(_) => {}
                Err(WaitError::TimedOut) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// [`Socket::wait_for`] until `end` at most, a time of the monotonic clock.
    ///
    /// # Errors
    /// See [`WaitError`]. That `end` has come is none.
    pub fn wait_for_until(
        &mut self,
        job: &Completion,
        (limits, end): (&WaitLimits, Duration),
    ) -> Result<(), WaitError> {
        self.register()?;
        let Registration::Watched(watched) = &self.registration else {
            return Err(WaitError::Unwatchable);
        };
        let waker = || Box::new(SocketWaker(watched.0.waker()));
        let (_waiting, _limit) = (job.add_waiter(waker()), limits.add(end, waker()));
        while !job.is_done() && timer::monotonic() < end {
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<usize, WaitError> {
        if self.timers.clock.tick() >= self.deadline {
            return Err(WaitError::TimedOut);
        }
        self.register()?;
        self.leadership.hand_over();
        let Registration::Watched(watched) = &self.registration else {
            return Err(WaitError::Unwatchable);
        };
        let (io, deadline) = &**watched;
        deadline.set(self.deadline);
        let bits = io.wait_io();
        // The deadline may have been moved.
        self.deadline = deadline.get();
        self.spent = 0;
        self.readable |= bits & (READABLE | ENDING) != 0;
        self.ending |= bits & ENDING != 0;
        Ok(bits & !WOKEN)
    }

    fn register(&mut self) -> Result<(), WaitError> {
        if !matches!(self.registration, Registration::None(_)) {
            return Ok(());
        }
        let Registration::None(socket) = std::mem::replace(&mut self.registration, Registration::Lost) else {
            return Ok(());
        };
        let io = CoIo::new(socket).map_err(|_| WaitError::Unwatchable)?;
        let deadline = self.timers.enter(io.waker());
        self.registration = Registration::Watched(Box::new((io, deadline)));
        Ok(())
    }

    /// Ends the sending direction.
    pub fn finish_sending(&self) {
        if let Ok(socket) = self.fd() {
            socket::finish_sending(socket);
        }
    }

    /// Has the close reset the connection, which discards what is still to be sent.
    pub fn reset_on_close(&self) {
        if let Ok(socket) = self.fd() {
            socket::reset_on_close(socket);
        }
    }

    /// The socket's descriptor.
    ///
    /// # Errors
    /// `NotConnected` when the socket is lost.
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.registration {
            Registration::None(socket) => Ok(socket.as_fd()),
            Registration::Watched(watched) => Ok(watched.0.inner().as_fd()),
            Registration::Lost => Err(ErrorKind::NotConnected.into()),
        }
    }
}

/// Ends the wait of a socket's coroutine.
struct SocketWaker(WaitIoWaker);

impl Wake for SocketWaker {
    fn wake(&self) {
        self.0.wakeup();
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
