//! A client of HTTP/2 that can send any frame, right or wrong, and reads strictly: it keeps the windows, it
//! decodes every header block, and a frame that the server must not send is a fault. Above that it asks like
//! any client: `get` and `response`, with as many streams at a time as wanted.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::h2_frames::*;
use super::h2_state::{GoAway, Stream};
use super::hpack::{Decoder, block};
use super::tls::Tls;
use super::transport::{End, Transport, end_of};
use super::{DEADLINE, Response};

pub struct H2 {
    transport: Transport,
    received: Vec<u8>,
    deadline: Duration,
    scheme: &'static str,
    pub(super) decoder: Decoder,
    /// The stream that the next request gets.
    next: u32,
    pub streams: BTreeMap<u32, Stream>,
    /// The settings of the server.
    pub settings: BTreeMap<u16, u32>,
    /// How often the server has acknowledged settings.
    pub acknowledged: usize,
    /// The payloads of PINGs that came back.
    pub pongs: Vec<Vec<u8>>,
    pub goaway: Option<GoAway>,
    /// How the server ended the connection.
    pub end: Option<End>,
    /// True if answers may come on streams that were not counted as asked for.
    pub(super) asks_freely: bool,
    /// Whether windows are opened again by what has come.
    pub(super) opens_windows: bool,
    /// What the server may still send, on the connection.
    pub(super) window: i64,
    /// The same for a new stream.
    pub(super) stream_window: i64,
    /// True while a window that was made smaller may not be known to the server.
    pub(super) shrinks: bool,
    /// What the client may still send, on the connection.
    pub send_window: i64,
    /// The stream and the bytes of a header block that is not whole yet, and whether the stream ends with it.
    pub(super) unfinished: Option<(u32, Vec<u8>, bool)>,
    /// The last frames, for the message of a failure.
    seen: VecDeque<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// RST_STREAM with this code.
    Reset(u32),
    /// A GOAWAY that says that the stream was not taken up.
    Refused(u32),
    Ended(End),
}

impl H2 {
    /// A connection without TLS, ready for requests.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[])
    }

    /// The same with settings of the client's own.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::over(Transport::plain(connected(address)), "http", settings)
    }

    /// A connection over TLS on which the server has chosen `h2`.
    #[track_caller]
    pub fn tls(tls: &Tls, address: SocketAddr) -> Self {
        let transport = tls.offering(&["h2", "http/1.1"]).connect(address);
        assert_eq!(transport.handshake().alpn.as_deref(), Some("h2"));
        Self::over(transport, "https", &[])
    }

    /// The same; None if the connection ends before settings are agreed on, as that of a killed worker.
    #[track_caller]
    pub fn attempt(tls: &Tls, address: SocketAddr) -> Option<Self> {
        let transport = tls.offering(&["h2"]).attempt(address).ok()?;
        let mut client = Self::silent(transport, "https");
        client.send([PREFACE, &settings(&[])].concat());
        while client.settings.is_empty() || client.acknowledged == 0 {
            client.frame()?;
        }
        Some(client)
    }

    /// A connection over one that there is; `h2` has to be agreed on.
    #[track_caller]
    pub fn over(transport: Transport, scheme: &'static str, values: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(transport, scheme);
        client.announce(values);
        client.send([PREFACE, &settings(values)].concat());
        client.until("settings and their acknowledgement", |client| {
            !client.settings.is_empty() && client.acknowledged > 0
        });
        client
    }

    /// A connection on which nothing was sent.
    #[track_caller]
    pub fn raw(address: SocketAddr) -> Self {
        Self::silent(Transport::plain(connected(address)), "http")
    }

    fn silent(transport: Transport, scheme: &'static str) -> Self {
        Self {
            transport,
            received: Vec::new(),
            deadline: DEADLINE,
            scheme,
            decoder: Decoder::new(4096),
            next: 1,
            streams: BTreeMap::new(),
            settings: BTreeMap::new(),
            acknowledged: 0,
            pongs: Vec::new(),
            goaway: None,
            end: None,
            asks_freely: false,
            opens_windows: true,
            window: FIRST_WINDOW,
            stream_window: FIRST_WINDOW,
            shrinks: false,
            send_window: FIRST_WINDOW,
            unfinished: None,
            seen: VecDeque::new(),
        }
    }

    /// Waits longer than usual, for what is due only after one of the server's timeouts.
    #[must_use]
    pub fn patient(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Leaves the windows as they are, until the test opens them.
    #[must_use]
    pub fn keeping_windows(mut self) -> Self {
        self.keep_windows();
        self
    }

    pub fn keep_windows(&mut self) {
        self.opens_windows = false;
    }

    /// Asks on stream 1 for a large file whose body is not sent, because the window is closed.
    #[track_caller]
    pub fn hold_an_answer(&mut self) {
        self.keep_windows();
        self.change_initial_window(0);
        let fields = self.pseudo("GET", "/large.html", "test");
        self.put(super::h2_frames::request(1, &fields));
        self.until("a head", |client| client.streams[&1].head.is_some());
    }

    /// The window of the streams to come.
    pub fn initial_window(&self) -> i64 {
        self.stream_window
    }

    /// Takes answers on all streams: the test sends its requests as bytes.
    pub fn ask_freely(&mut self) {
        self.asks_freely = true;
    }

    /// Keeps to what settings announce.
    fn announce(&mut self, values: &[(u16, u32)]) {
        for (name, value) in values {
            match *name {
                HEADER_TABLE_SIZE => self.decoder = Decoder::new(*value as usize),
                INITIAL_WINDOW_SIZE => self.stream_window = i64::from(*value),
                _ => {}
            }
        }
    }

    pub fn stream(&self) -> &TcpStream {
        self.transport.stream()
    }

    /// What the server said about itself, for the message of a failure.
    pub fn story(&self) -> String {
        let seen: Vec<_> = self.seen.iter().map(String::as_str).collect();
        format!("came at last: {}; end: {:?}", seen.join(", "), self.end)
    }

    /// Sends bytes. False: the server had closed before; what it sent is judged.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match self.transport.send(bytes.as_ref()) {
            Ok(()) => true,
            Err(error) if end_of(&error).is_some() => false,
            Err(error) => panic!("could not send: {error}; {}", self.story()),
        }
    }

    /// Sends bytes, and lets what comes back tell whether they were taken.
    #[track_caller]
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.send(bytes);
    }

    /// Opens a window by so many bytes; stream 0 is the connection.
    pub fn open_window(&mut self, stream: u32, more: u32) {
        match stream {
            0 => self.window += i64::from(more),
            stream => self.streams.get_mut(&stream).unwrap().window += i64::from(more),
        }
        self.send(window_update(stream, more));
    }

    /// Gives all streams another window by settings (section 6.9.2).
    #[track_caller]
    pub fn change_initial_window(&mut self, size: u32) {
        let more = i64::from(size) - self.stream_window;
        self.stream_window = i64::from(size);
        self.streams.values_mut().for_each(|stream| stream.window += more);
        let before = self.acknowledged;
        self.put(settings(&[(INITIAL_WINDOW_SIZE, size)]));
        self.shrinks = more < 0;
        self.until("an acknowledgement", |client| client.acknowledged > before);
        self.shrinks = false;
    }

    /// Reads the next frame and acts on it as a client has to. None: the connection has ended.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        let head = self.bytes(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        assert!(length <= LARGEST_PAYLOAD, "a frame of {length} bytes; {}", self.story());
        let Some(payload) = self.bytes(length) else {
            assert!(self.end != Some(End::Orderly), "an orderly end within a frame; {}", self.story());
            return None;
        };
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        assert!(stream >> 31 == 0, "the reserved bit of a stream is set");
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        self.seen.push_back(format!("{frame:?}"));
        if self.seen.len() > 20 {
            self.seen.pop_front();
        }
        self.take(&frame);
        Some(frame)
    }

    /// Reads frames until something holds; panics where the connection ends before.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            assert!(self.frame().is_some(), "ended before {what}; {}", self.story());
        }
    }

    /// Takes the frames that have come, without waiting for more.
    #[track_caller]
    pub fn take_what_came(&mut self) {
        self.stream().set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 64 << 10];
        while self.end.is_none() {
            match self.transport.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Orderly),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => self.end = Some(end_of(&error).unwrap_or_else(|| panic!("{error}"))),
            }
        }
        self.stream().set_nonblocking(false).unwrap();
        while self.has_frame() {
            self.frame();
        }
    }

    /// True if a whole frame has come.
    fn has_frame(&self) -> bool {
        let Some(head) = self.received.get(..9) else { return false };
        self.received.len() >= 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub fn until_end(&mut self) -> End {
        while self.frame().is_some() {}
        self.end.unwrap()
    }

    /// Holds the server to answering a PING, and with it to having taken all that was sent before.
    #[track_caller]
    pub fn ping(&mut self) {
        let payload = (self.pongs.len() as u64 ^ 0x5a5a_0000_1234_0000).to_be_bytes();
        self.send(ping(&payload));
        self.until("the answer to a PING", |client| client.pongs.iter().any(|pong| *pong == payload));
    }

    /// Asks for a path with more fields; the number of the stream.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> u32 {
        self.request(&[self.pseudo(method, path, "test"), fields.to_vec()].concat())
    }

    /// The pseudo-fields of a request.
    pub fn pseudo<'a>(&self, method: &'a str, path: &'a str, authority: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![(":method", method), (":scheme", self.scheme), (":path", path), (":authority", authority)]
    }

    /// Sends a whole request without a body, in as many frames as it takes; the number of the stream.
    #[track_caller]
    pub fn request(&mut self, fields: &[(&str, &str)]) -> u32 {
        let stream = self.begin(fields);
        let bytes = block(fields);
        let mut pieces = bytes.chunks(LARGEST_PAYLOAD).peekable();
        let (mut kind, mut flags) = (HEADERS, END_STREAM);
        while let Some(piece) = pieces.next() {
            flags |= if pieces.peek().is_none() { END_HEADERS } else { 0 };
            self.send(frame(kind, flags, stream, piece));
            (kind, flags) = (CONTINUATION, 0);
        }
        stream
    }

    /// Counts a stream as asked for; its number. The test sends its frames itself.
    pub fn begin(&mut self, fields: &[(&str, &str)]) -> u32 {
        let number = self.next;
        self.next += 2;
        let is_head = fields.contains(&(":method", "HEAD"));
        let first = self.settings.get(&INITIAL_WINDOW_SIZE).map_or(FIRST_WINDOW, |size| i64::from(*size));
        let stream = Stream { window: self.stream_window, send_window: first, is_head, ..Stream::default() };
        self.streams.insert(number, stream);
        number
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub fn get_with(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let stream = self.ask("GET", path, fields);
        self.response(stream)
    }

    /// The whole answer on a stream.
    #[track_caller]
    pub fn response(&mut self, stream: u32) -> Response {
        let outcome = self.outcome(stream);
        outcome
            .unwrap_or_else(|failure| panic!("no answer on stream {stream}: {failure:?}; {}", self.story()))
    }

    /// The whole answer on a stream, or why there is none. The stream is forgotten.
    #[track_caller]
    pub fn outcome(&mut self, number: u32) -> Result<Response, Failure> {
        loop {
            let stream = &self.streams[&number];
            let is_refused = |goaway: &GoAway| goaway.last < number;
            if let Some(code) = stream.reset.filter(|_| !stream.is_whole) {
                return Err(Failure::Reset(code));
            }
            if stream.is_whole {
                return Ok(self.streams.remove(&number).unwrap().answer());
            }
            if let Some(goaway) = self.goaway.as_ref().filter(|goaway| is_refused(goaway)) {
                return Err(Failure::Refused(goaway.code));
            }
            if self.frame().is_none() {
                return Err(Failure::Ended(self.end.unwrap()));
            }
        }
    }

    /// So many bytes, and none where the connection ends before.
    #[track_caller]
    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let start = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        while self.received.len() < count {
            if self.end.is_some() {
                return None;
            }
            let left = self.deadline.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
            self.transport.stream().set_read_timeout(Some(left)).unwrap();
            match self.transport.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Orderly),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => match end_of(&error) {
                    Some(end) => self.end = Some(end),
                    None => panic!("nothing came for {:?} ({error}); {}", start.elapsed(), self.story()),
                },
            }
        }
        let rest = self.received.split_off(count);
        Some(std::mem::replace(&mut self.received, rest))
    }
}

#[track_caller]
fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE);
    stream.unwrap_or_else(|error| panic!("could not connect to {address}: {error}"))
}
