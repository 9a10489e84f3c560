//! A raw client: it sends the bytes it is told to, reads one answer at a time, and puts a deadline on
//! every wait. Over TLS it is the same, made by `Tls::client`.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::transport::{End, Handshake, Transport, end_of};
use super::tree::PAGE;
use super::{DEADLINE, Response};

/// What a request for the page looks like; its answer is 200 with `PAGE`.
pub const ASK_PAGE: &[u8] = b"GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n";

pub struct Client {
    transport: Transport,
    received: Vec<u8>,
    deadline: Duration,
    end: Option<End>,
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE);
        Self::from(stream.unwrap_or_else(|error| panic!("could not connect to {address}: {error}")))
    }

    /// A client whose kernel takes very little that it doesn't read. The size has to be set before the
    /// connection is, or the window has already been promised.
    #[track_caller]
    pub fn with_small_window(address: SocketAddr) -> Self {
        Self::from(stream_with_small_window(address))
    }

    /// A client that comes from this address.
    #[track_caller]
    pub fn from_address(source: IpAddr, address: SocketAddr) -> Self {
        Self::from(stream_from(source, address))
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.stream().local_addr().unwrap().port()
    }

    fn stream(&self) -> &TcpStream {
        self.transport.stream()
    }

    /// What the handshake of TLS came to.
    #[track_caller]
    pub fn handshake(&self) -> Handshake {
        self.transport.handshake()
    }

    /// How the server ended the connection, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Says by close_notify that nothing more will be sent, and goes on listening.
    pub fn send_close_notify(&mut self) {
        self.transport.send_close_notify();
    }

    /// Goes over to new keys of TLS.
    pub fn refresh_keys(&mut self) {
        self.transport.refresh_keys();
    }

    /// Sends bytes past TLS.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.transport.send_raw(bytes);
    }

    /// The same connection for another thread, which may send while this one reads; not over TLS.
    #[track_caller]
    pub fn twin(&self) -> Self {
        let transport = self.transport.twin();
        Self { transport, received: Vec::new(), deadline: self.deadline, end: None }
    }

    /// Waits longer than usual, for answers that are due only after one of the server's timeouts.
    pub fn patient(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends all of it. False: the server had closed before, which is no fault; what it answered is judged.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.transport.send(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) if end_of(&error).is_some() => false,
            Err(error) => panic!("could not send: {error}"),
        }
    }

    /// Sends what the server takes at once, up to all of it; how much that was. Not over TLS.
    pub fn send_until_full(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream().set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream().write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        self.stream().set_write_timeout(Some(DEADLINE)).unwrap();
        sent
    }

    /// The urgent byte of a TCP segment.
    pub fn send_urgent(&mut self, byte: u8) {
        rustix::net::send(self.stream(), &[byte], rustix::net::SendFlags::OOB).unwrap();
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub fn half_close(&self) {
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Leaves with a reset instead of an orderly end.
    pub fn reset(self) {
        sockopt::set_socket_linger(self.stream(), Some(Duration::ZERO)).unwrap();
    }

    /// The next answer, to anything but HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.answer().expect("closed without an answer")
    }

    /// The next answer, to HEAD: a head and nothing else.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.head().expect("closed without an answer")
    }

    /// The next answer with its whole body; None where the stream ended before one began.
    #[track_caller]
    pub fn answer(&mut self) -> Option<Response> {
        let mut response = self.head()?;
        if let Err(cut) = self.body(&mut response) {
            panic!("{cut}");
        }
        Some(response)
    }

    /// The next answer with its whole body; None where the stream ended before all of it had come, as it does
    /// when a worker is killed.
    #[track_caller]
    pub fn answer_unless_lost(&mut self) -> Option<Response> {
        let mut response = self.head()?;
        self.body(&mut response).is_ok().then_some(response)
    }

    /// Reads the body that belongs to a head. The error says how much of it came.
    #[track_caller]
    fn body(&mut self, response: &mut Response) -> Result<(), String> {
        if response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(());
        }
        let length = response.length().unwrap() as usize;
        while self.received.len() < length {
            if !self.more() {
                return Err(format!("body cut: {} of {length} bytes came", self.received.len()));
            }
        }
        let rest = self.received.split_off(length);
        response.body = std::mem::replace(&mut self.received, rest);
        Ok(())
    }

    /// The next head, its body left to `read`; None where the stream ended before one began.
    #[track_caller]
    pub fn head(&mut self) -> Option<Response> {
        let mut searched = 0;
        let end = loop {
            let found = memchr::memmem::find(&self.received[searched..], b"\r\n\r\n");
            if let Some(found) = found {
                break searched + found;
            }
            searched = self.received.len().saturating_sub(3);
            assert!(searched < 65536, "a head of over 64 KiB");
            if !self.more() {
                assert!(
                    self.received.is_empty(),
                    "cut inside a head: {:?}",
                    self.received.escape_ascii().to_string()
                );
                return None;
            }
        };
        let rest = self.received.split_off(end + 4);
        let head = std::mem::replace(&mut self.received, rest);
        Some(Response::parse(&head[..end]))
    }

    /// Some bytes of a body; zero at the end of the stream.
    #[track_caller]
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.received.is_empty() {
            return self.receive(buffer).unwrap_or(0);
        }
        let count = buffer.len().min(self.received.len());
        buffer[..count].copy_from_slice(&self.received[..count]);
        self.received.drain(..count);
        count
    }

    /// Everything up to the end of the stream.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.received)
    }

    /// Holds the server to ending the stream here, with nothing more sent.
    #[track_caller]
    pub fn closed(&mut self) {
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "unexpected bytes: {:?}",
            rest[..rest.len().min(200)].escape_ascii().to_string()
        );
        assert_ne!(self.end, Some(End::Cut), "a FIN without close_notify");
    }

    /// Holds the server to what the answer said about the connection: closed, or ready for another request.
    #[track_caller]
    pub fn ends_as(&mut self, response: &Response) {
        if response.closes() {
            return self.closed();
        }
        self.still_serves();
    }

    /// Sends a second request behind what was sent; the first answer passes `judge`, the second is the page.
    #[track_caller]
    pub fn still_serves_after(&mut self, judge: impl FnOnce(&Response)) {
        self.send(ASK_PAGE);
        judge(&self.response());
        self.response().is(200, PAGE);
    }

    /// Holds the server to answering another request here.
    #[track_caller]
    pub fn still_serves(&mut self) {
        self.send(ASK_PAGE);
        self.response().is(200, PAGE);
    }

    /// Whether the server has closed, without waiting for it.
    pub fn is_closed(&mut self) -> bool {
        self.stream().set_nonblocking(true).unwrap();
        let mut byte = [0; 4096];
        let closed = match self.transport.read(&mut byte) {
            Ok(0) => true,
            Ok(count) => {
                self.received.extend_from_slice(&byte[..count]);
                false
            }
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        self.stream().set_nonblocking(false).unwrap();
        closed
    }

    /// Whether bytes have come that no answer has taken yet, without waiting for them.
    pub fn has_news(&mut self) -> bool {
        self.is_closed() || !self.received.is_empty()
    }

    /// Reads once into the received; false at the end of the stream.
    #[track_caller]
    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 256 * 1024];
        let Some(count) = self.receive(&mut buffer) else { return false };
        self.received.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// None: the stream was reset or, over TLS, cut.
    #[track_caller]
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.stream().set_read_timeout(Some(self.deadline)).unwrap();
        let start = Instant::now();
        loop {
            return match self.transport.read(buffer) {
                Ok(count) => {
                    self.end = self.end.or((count == 0).then_some(End::Orderly));
                    Some(count)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if end_of(&error).is_some() => {
                    self.end = self.end.or(end_of(&error));
                    None
                }
                Err(error) => {
                    let received = &self.received[..self.received.len().min(200)];
                    panic!(
                        "nothing came for {:?} ({error}); so far {:?}",
                        start.elapsed(),
                        received.escape_ascii().to_string()
                    )
                }
            };
        }
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        Self::from(Transport::plain(stream))
    }
}

impl From<Transport> for Client {
    fn from(transport: Transport) -> Self {
        Self { transport, received: Vec::new(), deadline: DEADLINE, end: None }
    }
}

/// A stream of whose bytes the kernel takes very few that are not read.
#[track_caller]
pub fn stream_with_small_window(address: SocketAddr) -> TcpStream {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    TcpStream::from(socket)
}

/// A stream that comes from this address.
#[track_caller]
pub fn stream_from(source: IpAddr, address: SocketAddr) -> TcpStream {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::new(source, 0)).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    TcpStream::from(socket)
}
