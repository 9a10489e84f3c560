//! The acceptor: accepts connections from one listener as long as there are permits, and hands them to
//! coroutines. When there is no permit, it closes the connection that has been idle longest for a new client.
//! When no connection is idle, new clients wait in the queue of the listener.
//!
//! **Invariant:** a listener is taken out of epoll before it is closed. The master holds the same socket, so
//! epoll would otherwise go on reporting it to a coroutine that is gone.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use may::coroutine;
use may::io::{CoIo, WaitIo};

use super::acceptors::Acceptors;
use super::start::{Listener, address_of};
use crate::connection::leadership::Leadership;
use crate::connection::{Accepted, Connection};
use crate::ipc::ListenerDrain;
use crate::sys::socket::{self, PeerAddress};

/// The number of accepts after which the other coroutines get a turn.
const BATCH: u32 = 64;

/// Ticks without a new connection after which a drain takes the queue for empty. This allows for the round
/// trip of a handshake under way.
const QUIET_TICKS: u32 = 3;

/// The ticks that other workers on the same queue have to take a client for which this one has no permit. The
/// first of them may be over at once. Ticks of workers begin at different times, so full workers don't all
/// close a connection for one client.
const OTHERS_TICKS: u32 = 3;

/// The coroutine that accepts from one listener.
pub struct Acceptor {
    acceptors: &'static Acceptors,
    index: usize,
    listener: CoIo<OwnedFd>,
    /// Whether each connection must begin with a PROXY header.
    proxy_header: bool,
    /// Whether each connection begins with TLS.
    tls: bool,
    /// Whether other workers accept from the same queue.
    shares_queue: bool,
    /// Connections accepted so far, modulo 2³².
    accepted: u32,
    /// In a drain, the tick since which no connection has come.
    quiet_since: Option<u32>,
    /// True if the drain has made the listener drop the SYN of new clients; see [`socket::hold_off`].
    held_off: bool,
}

impl Acceptor {
    /// An acceptor for a listener.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn new(acceptors: &'static Acceptors, listener: Listener) -> io::Result<Acceptor> {
        let Listener { socket, proxy_header, tls } = listener;
        let listener = CoIo::new(socket)?;
        Ok(Acceptor {
            acceptors,
            index: acceptors.add(listener.waker()),
            shares_queue: socket::is_shared(listener.inner().as_fd()),
            listener,
            proxy_header,
            tls,
            accepted: 0,
            quiet_since: None,
            held_off: false,
        })
    }

    /// Accepts until the worker drains, and the queue has been empty for a while or is left to another
    /// worker.
    pub fn run(mut self) {
        self.accept();
        let Acceptor { acceptors, index, listener, .. } = self;
        let close = acceptors.drain_of(index) != ListenerDrain::Keep;
        // This takes the listener out of epoll while it is still open.
        let listener = listener.into_inner();
        if close {
            socket::stop_listening(listener.as_fd());
        }
        drop(listener);
        acceptors.remove();
        loop {
            coroutine::park();
        }
    }

    fn accept(&mut self) {
        let acceptors = self.acceptors;
        loop {
            let draining = acceptors.context.is_draining();
            if draining && self.begin_or_check_drain() {
                return;
            }
            if !draining && !acceptors.may_accept() {
                self.listener.wait_io();
                continue;
            }
            if acceptors.permits.are_all_taken() {
                if draining || !self.evict_for_waiting_client() {
                    acceptors.wait_for_permit();
                }
                continue;
            }
            match socket::accept(self.fd()) {
                Ok((socket, peer)) => self.dispatch(socket, peer),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if draining && self.is_quiet() {
                        return;
                    }
                    self.listener.wait_io();
                }
                // The socket no longer listens: a worker of another generation that drains as well has
                // stopped that.
                Err(e) if draining && e.kind() == ErrorKind::InvalidInput => return,
                // The client gave up while it waited in the queue, or a signal came; another client may be
                // there.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(e) => self.handle_shortage(&e, draining),
            }
        }
    }

    /// Hands a connection to a coroutine.
    fn dispatch(&mut self, socket: OwnedFd, peer: PeerAddress) {
        let acceptors = self.acceptors;
        if self.held_off {
            socket::let_in(socket.as_fd());
        }
        let (proxy_header, tls, permit) = (self.proxy_header, self.tls, acceptors.permits.take());
        let accepted = Accepted { socket, peer, proxy_header, tls, permit };
        let connection = Connection::accept(acceptors.context, acceptors.coroutines, accepted);
        if !acceptors.coroutines.dispatch(connection) {
            acceptors.wait_for_permit();
        }
        self.quiet_since = None;
        self.accepted = self.accepted.wrapping_add(1);
        if self.accepted.is_multiple_of(BATCH) {
            acceptors.coroutines.give_way();
        }
    }

    /// Starts to drop new SYNs for [`ListenerDrain::CloseSoon`]. Returns true if the queue may be left as it
    /// is.
    fn begin_or_check_drain(&mut self) -> bool {
        if !self.held_off && self.acceptors.drain_of(self.index) == ListenerDrain::CloseSoon {
            // Accepted connections inherit the option, and `let_in` clears it on each of them. The acceptor
            // sets it, not the master, so the acceptor knows from when on that is needed.
            self.held_off = socket::hold_off(self.fd()).is_ok();
        }
        !self.held_off && self.acceptors.is_drained(self.index)
    }

    /// Whether the drain has found the queue empty for long enough.
    fn is_quiet(&mut self) -> bool {
        let tick = self.acceptors.context.timers.clock.tick();
        let quiet = tick - *self.quiet_since.get_or_insert(tick) >= QUIET_TICKS;
        quiet && self.acceptors.handshakes_are_over()
    }

    /// When there is no permit, waits until a client is in the queue, and then evicts an idle connection for
    /// it. False when no connection is idle. Not for a drain, which leaves idle connections alone.
    fn evict_for_waiting_client(&self) -> bool {
        let acceptors = self.acceptors;
        let has_client = || socket::has_client(self.fd());
        if !has_client() {
            self.listener.wait_io();
            return true;
        }
        if self.shares_queue && self.is_spared_eviction(has_client) {
            return true;
        }
        acceptors.evict_idle()
    }

    /// Gives other workers, of which one may have room, [`OTHERS_TICKS`] to take a waiting client. True if
    /// the client is gone or there is a permit for it.
    fn is_spared_eviction(&self, has_client: impl Fn() -> bool) -> bool {
        let acceptors = self.acceptors;
        let clock = &acceptors.context.timers.clock;
        let (before, since) = (acceptors.permits.taken(), clock.tick());
        while clock.tick() - since < OTHERS_TICKS {
            acceptors.wait_for_permit();
            let has_room = acceptors.context.is_draining() || acceptors.permits.taken() < before;
            if has_room || !has_client() {
                return true;
            }
        }
        false
    }

    /// Evicts an idle connection when descriptors have run out. In other shortages, such as of memory, the
    /// queue waits while the open connections are served.
    fn handle_shortage(&self, error: &io::Error, draining: bool) {
        if !draining && socket::is_out_of_descriptors(error) && self.evict_for_waiting_client() {
            return;
        }
        let tick = self.acceptors.context.timers.clock.tick();
        if self.acceptors.shortage_warning.is_due(tick) {
            ::log::warn!("cannot accept on {} for now: {error}", address_of(self.listener.inner()));
        }
        self.acceptors.wait_for_permit();
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.listener.inner().as_fd()
    }
}
