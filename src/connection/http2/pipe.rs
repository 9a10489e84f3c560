//! What the h2 crate reads from and writes to: memory, which the connection fills from its socket and sends
//! from. It never waits.
//!
//! Flushes do nothing: what gathers in a turn leaves with few calls, which halves the cost of small
//! responses.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that h2 may read at once, which is one request or a few. It would take up all requests that have
/// come before the first is answered, and their streams do not fit into the processor's cache: a hundred at a
/// time cost a fifth more each.
const READ: usize = 256;

/// When so many bytes have gathered, nothing is added until they are sent.
const GATHERED: usize = 32 << 10;

/// Bytes that are worth a send, though there is more to do.
pub const ENOUGH: usize = 16 << 10;

/// Both directions of a connection in memory. A clone is the same one.
#[derive(Clone, Default)]
pub struct Pipe(Arc<Mutex<PipeState>>);

#[derive(Default)]
struct PipeState {
    /// What the client has sent.
    received: Vec<u8>,
    /// Bytes of it that were read.
    read: usize,
    /// Bytes up to which it may be read now.
    allowed: usize,
    /// True if no more comes.
    is_ended: bool,
    /// What is to be sent.
    gathered: Vec<u8>,
    /// True if a write was refused since the last send.
    is_stalled: bool,
}

impl Pipe {
    /// A pipe that begins with what the client has sent already.
    pub fn new(received: &[u8]) -> Pipe {
        Pipe(Arc::new(Mutex::new(PipeState {
            received: received.to_vec(),
            allowed: READ,
            ..PipeState::default()
        })))
    }

    /// Received bytes that h2 has not read.
    pub fn unread(&self) -> usize {
        let state = self.lock();
        state.received.len() - state.read
    }

    /// Lets h2 read a part more of what was received. False if all is read, or if so much has gathered that
    /// it is to be sent first.
    pub fn allow_more(&self) -> bool {
        let mut state = self.lock();
        let has_more = state.read < state.received.len();
        if !has_more || state.allowed > state.read || state.gathered.len() >= ENOUGH {
            return false;
        }
        state.allowed = state.read + READ;
        true
    }

    /// Gives received bytes to read, once those before are read.
    pub fn give(&self, received: Vec<u8>) {
        let mut state = self.lock();
        (state.read, state.allowed) = (0, READ);
        state.received = received;
    }

    /// Takes the buffer for received bytes, which must all be read.
    pub fn take_buffer(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.read = 0;
        std::mem::take(&mut state.received)
    }

    /// No more bytes come.
    pub fn end(&self) {
        self.lock().is_ended = true;
    }

    /// True if the client sends no more.
    pub fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// Bytes that are to be sent.
    pub fn gathered(&self) -> usize {
        self.lock().gathered.len()
    }

    /// Takes what is to be sent, and whether more waits to be written.
    pub fn take_gathered(&self) -> (Vec<u8>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.gathered), std::mem::take(&mut state.is_stalled))
    }

    /// Puts back what could not be sent, before what is written next.
    pub fn put_back(&self, rest: Vec<u8>) {
        self.lock().gathered = rest;
    }

    /// Gives room to gather in, if there is none.
    pub fn give_room(&self, room: impl FnOnce() -> Vec<u8>) {
        let mut state = self.lock();
        if state.gathered.capacity() == 0 {
            state.gathered = room();
        }
    }

    /// Takes the room to gather in, if nothing is in it.
    pub fn take_room(&self) -> Vec<u8> {
        let mut state = self.lock();
        if state.gathered.is_empty() { std::mem::take(&mut state.gathered) } else { Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let left = &state.received[state.read..];
        if left.is_empty() {
            return if state.is_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let count = left.len().min(buffer.remaining()).min(state.allowed.saturating_sub(state.read));
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&left[..count]);
        state.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.gathered.len() >= GATHERED {
            state.is_stalled = true;
            return Poll::Pending;
        }
        state.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.gathered.len() >= GATHERED {
            state.is_stalled = true;
            return Poll::Pending;
        }
        slices.iter().for_each(|slice| state.gathered.extend_from_slice(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
