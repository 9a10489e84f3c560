//! The floor: a bare epoll loop in one thread that receives to the blank line and sends a fixed response,
//! nothing more. It knows no path, no method and no field, so that no server of files can cost less; what a
//! peer costs is told as a multiple of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use clap::Args;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

/// The mark of the listener among the descriptors that epoll tells of.
const LISTENER: u64 = u64::MAX;
/// What ends a head.
const BLANK_LINE: &[u8; 4] = b"\r\n\r\n";

/// What the floor answers, and where.
#[derive(Args, Debug, Clone)]
pub struct Floor {
    /// The port of 127.0.0.1 to listen on
    pub port: u16,
    /// Bytes of the body
    pub body: usize,
    /// Close after each response
    #[arg(long)]
    pub close: bool,
}

struct Connection {
    socket: OwnedFd,
    /// How many bytes of [`BLANK_LINE`] have come at the end of what was received.
    seen: usize,
    /// Bytes of responses that are still to be sent.
    left: usize,
    watch: Watch,
}

/// What epoll tells of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Nothing yet: it was not registered.
    Nothing,
    /// Something to receive.
    Input,
    /// Room to send.
    Room,
}

/// The fixed response, several times over, so that answers to pipelined requests leave in one call.
struct Responses {
    bytes: Vec<u8>,
    one: usize,
    close: bool,
}

impl Floor {
    /// Serves until the process is ended.
    ///
    /// # Errors
    /// Where the port can't be had, or epoll fails.
    pub fn run(&self) -> io::Result<()> {
        let responses = Responses::new(self);
        // The server's own listener, with its deferred accept: the floor shall be no lower for want of it.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = mayhttpd::sys::socket::listen_alone(address, false, 16384)?;
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut connections: Vec<Option<Connection>> = Vec::new();
        let mut events: Vec<Event> = Vec::with_capacity(512);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            events.clear();
            match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            for event in &events {
                if event.data.u64() == LISTENER {
                    accept(&poll, &listener, &responses, &mut buffer, &mut connections)?;
                    continue;
                }
                let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                let Some(slot) = connections.get_mut(index) else { continue };
                let goes_on = slot.as_mut().is_some_and(|it| it.go_on(&poll, &responses, &mut buffer));
                if !goes_on {
                    *slot = None;
                }
            }
        }
    }
}

/// Takes all who wait, and then serves those whose request has come: one at a time would wake the client for
/// each. A table of descriptors that is full ends the floor: its figures would mean nothing.
fn accept(
    poll: &OwnedFd,
    listener: &OwnedFd,
    responses: &Responses,
    buffer: &mut [u8],
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    let mut new = Vec::new();
    loop {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => new.push(socket),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for socket in new {
        let index = usize::try_from(socket.as_raw_fd()).unwrap_or_default();
        let mut connection = Connection { socket, seen: 0, left: 0, watch: Watch::Nothing };
        if connection.go_on(poll, responses, buffer) {
            if connections.len() <= index {
                connections.resize_with(index + 1, || None);
            }
            connections[index] = Some(connection);
        }
    }
    Ok(())
}

impl Responses {
    fn new(floor: &Floor) -> Self {
        let close = if floor.close { "Connection: close\r\n" } else { "" };
        let mut one =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{close}\r\n", floor.body).into_bytes();
        one.resize(one.len() + floor.body, b'x');
        Self { bytes: one.repeat((16 * 1024 / one.len()).max(1)), one: one.len(), close: floor.close }
    }

    /// What comes next when `left` bytes are still to be sent, or a part of it.
    fn next(&self, left: usize) -> &[u8] {
        let start = (self.one - left % self.one) % self.one;
        &self.bytes[start..self.bytes.len().min(start + left)]
    }
}

impl Connection {
    /// Does what is possible now; false when the connection has ended.
    fn go_on(&mut self, poll: &OwnedFd, responses: &Responses, buffer: &mut [u8]) -> bool {
        if self.watch != Watch::Room {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((count, _)) => self.left += self.heads(&buffer[..count]) * responses.one,
                Err(rustix::io::Errno::AGAIN) => return self.wait_for(poll, Watch::Input),
                Err(_) => return false,
            }
        }
        let replied = self.left > 0;
        // With more announced, the end of the connection leaves in the packet of the response.
        let flags = if responses.close { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        while self.left > 0 {
            match send(&self.socket, responses.next(self.left), flags) {
                Ok(sent) => self.left -= sent,
                Err(rustix::io::Errno::AGAIN) => return self.wait_for(poll, Watch::Room),
                Err(_) => return false,
            }
        }
        !(replied && responses.close) && self.wait_for(poll, Watch::Input)
    }

    /// Has epoll tell of this; false where it can't.
    fn wait_for(&mut self, poll: &OwnedFd, watch: Watch) -> bool {
        let before = std::mem::replace(&mut self.watch, watch);
        let index = EventData::new_u64(u64::try_from(self.socket.as_raw_fd()).unwrap_or_default());
        let flags = if watch == Watch::Room { EventFlags::OUT } else { EventFlags::IN };
        match before {
            same if same == watch => true,
            Watch::Nothing => epoll::add(poll, &self.socket, index, flags).is_ok(),
            _ => epoll::modify(poll, &self.socket, index, flags).is_ok(),
        }
    }

    /// How many heads end in `bytes`.
    fn heads(&mut self, bytes: &[u8]) -> usize {
        let mut ended = 0;
        for &byte in bytes {
            self.seen = match byte {
                byte if byte == BLANK_LINE[self.seen] => self.seen + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.seen == BLANK_LINE.len() {
                ended += 1;
                self.seen = 0;
            }
        }
        ended
    }
}
