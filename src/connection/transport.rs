//! One client's socket, and the only place where a connection waits.
//!
//! Moves bytes and waits for readiness; knows nothing of requests. Three subtle rules: the socket is registered with
//! epoll only when it first has to wait; after a receive that did not fill its buffer the socket is empty, so the next
//! step is to wait, not to receive again (epoll is edge-triggered, and a new edge ends the wait); and a coroutine that
//! has moved much without waiting lets the others go first.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use may::coroutine::Coroutine;
use may::io::{CoIo, WaitIo, WaitIoWaker};

use super::baton::Baton;
use super::clock::Clock;
use super::wheel::{Place, Wheel};
use crate::metrics::{Phase, Presence};
use crate::sys::socket::{self, ENDING, READABLE, WRITABLE};
use crate::sys::{sendfile, timer};

/// What may's waker adds to the epoll bits of a wait that it ends.
const WOKEN: usize = 0x8000_0000;

/// Bytes that a coroutine may move, and what its requests cost counted as bytes, before others get a turn.
const BURST: usize = 512 << 10;

/// What serving a client counts at least, in bytes: thousands may have nothing to say but that they leave.
const VISIT_COST: usize = 2 << 10;

/// What all transports of a worker share.
pub struct Reactor {
    /// The time.
    pub clock: Clock,
    /// Whose turn it is to serve clients one after the other.
    pub baton: Baton,
    /// What was moved for those whose service is over, since the leader gave way.
    moved: AtomicUsize,
    wheel: Mutex<Wheel<WaitIoWaker>>,
    turnstile: Turnstile,
}

impl Reactor {
    /// A reactor for this worker.
    ///
    /// # Errors
    /// What eventfd(2) says, such as `EMFILE`.
    pub fn new() -> io::Result<Reactor> {
        let turnstile = Turnstile { event: timer::event()?, waiting: Mutex::new(Vec::new()) };
        Ok(Reactor {
            clock: Clock::start(),
            baton: Baton::default(),
            moved: AtomicUsize::new(0),
            wheel: Mutex::new(Wheel::default()),
            turnstile,
        })
    }

    /// Lets everybody else go first: those in the run queue and those that epoll finds ready.
    pub fn give_way(&self) {
        self.baton.pass();
        self.turnstile.give_way();
    }

    /// Lets the others go first, after much was moved for clients that did not have to be waited for.
    pub fn give_way_if_due(&self) {
        if self.moved.load(Relaxed) >= BURST {
            self.moved.store(0, Relaxed);
            self.give_way();
        }
    }

    /// Wakes connections whose deadline has come; true when there are more of them than should run before the others
    /// get a turn.
    pub fn turn_wheel(&self) -> bool {
        let mut wheel = self.wheel.lock().unwrap_or_else(PoisonError::into_inner);
        wheel.turn(self.clock.tick(), WaitIoWaker::wakeup)
    }

    /// The coroutine that lets go those who gave way, each time the scheduler has looked at all sockets. It runs for
    /// ever.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn turnstile(&'static self) -> io::Result<impl FnOnce() + Send> {
        let event = CoIo::new(self.turnstile.event.try_clone()?)?;
        Ok(move || {
            loop {
                event.wait_io();
                timer::take_expirations(event.inner());
                let waiting = std::mem::take(&mut *self.turnstile.lock());
                for coroutine in waiting {
                    coroutine.unpark();
                }
            }
        })
    }
}

/// Where coroutines that have had much give way. Its event goes through epoll, so that whoever is ready there gets a
/// turn first; yielding to the run queue alone would never look at epoll.
struct Turnstile {
    event: OwnedFd,
    waiting: Mutex<Vec<Coroutine>>,
}

impl Turnstile {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Coroutine>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_way(&self) {
        let mut waiting = self.lock();
        // Whoever is first raises the event for all.
        if waiting.is_empty() {
            timer::raise(&self.event);
        }
        waiting.push(may::coroutine::current());
        drop(waiting);
        may::coroutine::park();
    }
}

/// What a receive found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Some bytes.
    Bytes,
    /// The end of the client's stream.
    End,
    /// Nothing for now: wait.
    Nothing,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The deadline passed.
    TimedOut,
    /// The kernel would not watch the socket.
    Unwatchable,
}

enum Io {
    Unregistered(OwnedFd),
    Registered(CoIo<OwnedFd>, Filed),
    /// The kernel would not watch the socket, and it is closed.
    Lost,
}

/// A place in the wheel, which is free again when this is dropped.
struct Filed {
    place: Place,
    reactor: &'static Reactor,
}

impl Drop for Filed {
    fn drop(&mut self) {
        self.reactor.wheel.lock().unwrap_or_else(PoisonError::into_inner).leave(&self.place);
    }
}

/// One client's socket.
pub struct Transport {
    io: Io,
    reactor: &'static Reactor,
    deadline: u32,
    /// False when the socket is known to be empty until an event says otherwise.
    readable: bool,
    /// True when an end of stream or an error has been announced.
    ending: bool,
    moved: usize,
    /// Bytes sent in all.
    sent: u64,
    presence: Presence,
}

impl Transport {
    /// Takes over an accepted, non-blocking socket, for which an end may have been announced.
    pub fn new(socket: OwnedFd, reactor: &'static Reactor, presence: Presence, ending: bool) -> Transport {
        let io = Io::Unregistered(socket);
        Transport { io, reactor, deadline: 0, readable: true, ending, moved: 0, sent: 0, presence }
    }

    /// Whether it has had to be waited for, and the scheduler watches it.
    pub fn is_registered(&self) -> bool {
        matches!(self.io, Io::Registered(..))
    }

    /// Gives the socket up, watched by nobody.
    ///
    /// # Errors
    /// The presence alone, where the socket was lost.
    pub fn into_parts(self) -> Result<(OwnedFd, Presence), Presence> {
        match self.io {
            Io::Unregistered(socket) => Ok((socket, self.presence)),
            Io::Registered(io, _) => Ok((io.into_inner(), self.presence)),
            Io::Lost => Err(self.presence),
        }
    }

    /// Sets the tick at which waits end, and what the connection is doing meanwhile.
    pub fn set_deadline(&mut self, phase: Phase, tick: u32) {
        self.presence.enter(phase);
        self.deadline = tick;
    }

    /// The connection as it is counted.
    pub fn presence(&mut self) -> &mut Presence {
        &mut self.presence
    }

    /// Appends what has arrived to `buffer`, which must have room.
    ///
    /// # Errors
    /// What recv(2) says, other than `EAGAIN`.
    pub fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        let room = buffer.capacity() - buffer.len();
        self.receive_with(room, |fd| socket::receive(fd, buffer))
    }

    /// Throws away what has arrived, by way of `scratch`.
    ///
    /// # Errors
    /// What recv(2) says, other than `EAGAIN`.
    pub fn discard(&mut self, scratch: &mut [u8]) -> io::Result<Received> {
        self.receive_with(scratch.len(), |fd| socket::discard(fd, scratch))
    }

    fn receive_with(
        &mut self,
        room: usize,
        mut receive: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Received> {
        if !self.readable {
            return Ok(Received::Nothing);
        }
        loop {
            match receive(self.socket()?) {
                Ok(0) => return Ok(Received::End),
                Ok(n) => {
                    self.readable = n == room || self.ending;
                    self.count(n);
                    return Ok(Received::Bytes);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Received::Nothing);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// True when bytes of the client may lie in the socket unread.
    pub fn may_hold_bytes(&self) -> bool {
        self.readable
    }

    /// Sends what the socket takes of `first` and then `second`; `more` says that a body follows.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, and what else sendmsg(2) says.
    pub fn send(&mut self, first: &[u8], second: &[u8], more: bool) -> io::Result<usize> {
        let sent = uninterrupted(|| socket::send(self.socket()?, first, second, more))?;
        self.took(sent);
        Ok(sent)
    }

    /// Sends what the socket takes of a file from `*offset` on, at most `count` bytes; 0 means that the file ends there.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, `InvalidInput` where the file system can't, and what else sendfile(2) says.
    pub fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, count: usize) -> io::Result<usize> {
        let sent = uninterrupted(|| sendfile::sendfile(self.socket()?, file, offset, count))?;
        self.took(sent);
        Ok(sent)
    }

    fn took(&mut self, sent: usize) {
        self.sent += sent as u64;
        self.presence.row().sent(sent as u64);
        self.count(sent);
    }

    /// Counts work that is not bytes, such as a request answered, towards the turn of the others.
    pub fn count(&mut self, cost: usize) {
        self.moved += cost;
    }

    /// Ends a service: what was moved since its last wait counts towards the turn of those who are served one after the
    /// other.
    pub fn settle(&mut self) {
        let moved = std::mem::take(&mut self.moved).max(VISIT_COST);
        // One thread runs all coroutines; a locked instruction would be for nothing.
        self.reactor.moved.store(self.reactor.moved.load(Relaxed).saturating_add(moved), Relaxed);
    }

    /// Lets the others go first, after much was moved without a wait.
    pub fn give_way_if_due(&mut self) {
        if self.moved >= BURST {
            self.moved = 0;
            self.reactor.give_way();
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

    /// Waits until something may be sent.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait_writable(&mut self) -> Result<(), WaitError> {
        while self.wait()? & (WRITABLE | ENDING) == 0 {}
        Ok(())
    }

    fn wait(&mut self) -> Result<usize, WaitError> {
        if self.reactor.clock.tick() >= self.deadline {
            return Err(WaitError::TimedOut);
        }
        self.register()?;
        self.reactor.baton.pass();
        let Io::Registered(io, filed) = &self.io else { return Err(WaitError::Unwatchable) };
        if filed.place.alarm().set(self.deadline) {
            self.reactor.wheel.lock().unwrap_or_else(PoisonError::into_inner).file(&filed.place);
        }
        let bits = io.wait_io();
        self.moved = 0;
        self.readable |= bits & (READABLE | ENDING) != 0;
        self.ending |= bits & ENDING != 0;
        Ok(bits & !WOKEN)
    }

    fn register(&mut self) -> Result<(), WaitError> {
        if !matches!(self.io, Io::Unregistered(_)) {
            return Ok(());
        }
        let Io::Unregistered(socket) = std::mem::replace(&mut self.io, Io::Lost) else { return Ok(()) };
        let io = CoIo::new(socket).map_err(|_| WaitError::Unwatchable)?;
        let place = self.reactor.wheel.lock().unwrap_or_else(PoisonError::into_inner).enter(io.waker());
        self.io = Io::Registered(io, Filed { place, reactor: self.reactor });
        Ok(())
    }

    /// Bytes that the socket has taken in all.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes sent that the client has not taken yet.
    pub fn untaken(&self) -> u64 {
        self.socket().map_or(0, socket::unacknowledged)
    }

    /// Ends the sending direction.
    pub fn finish_sending(&self) {
        if let Ok(socket) = self.socket() {
            socket::finish_sending(socket);
        }
    }

    /// Has the close reset the connection, which frees at once what a client that takes nothing has left in the socket.
    pub fn reset_on_close(&self) {
        if let Ok(socket) = self.socket() {
            socket::reset_on_close(socket);
        }
    }

    fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.io {
            Io::Unregistered(socket) => Ok(socket.as_fd()),
            Io::Registered(io, _) => Ok(io.inner().as_fd()),
            Io::Lost => Err(ErrorKind::NotConnected.into()),
        }
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
