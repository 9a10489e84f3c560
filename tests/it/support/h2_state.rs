//! What has come on a connection of HTTP/2: each frame is taken as a client has to, and what a server must
//! not send is a fault.

use super::Response;
use super::h2::H2;
use super::h2_frames::*;
use super::hpack::Field;

/// The last GOAWAY that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// No later stream will be answered.
    pub last: u32,
    pub code: u32,
    pub text: String,
}

/// What has come on a stream.
#[derive(Default)]
pub struct Stream {
    /// The head of the final answer.
    pub head: Option<Response>,
    pub body: Vec<u8>,
    pub is_whole: bool,
    /// The code of RST_STREAM.
    pub reset: Option<u32>,
    /// What the client may still send here.
    pub send_window: i64,
    pub(super) window: i64,
    pub(super) is_head: bool,
}

impl H2 {
    /// Acts on a frame.
    #[track_caller]
    pub(super) fn take(&mut self, frame: &Frame) {
        let waits = self.unfinished.as_ref().map(|(stream, ..)| *stream);
        let follows = frame.kind == CONTINUATION && waits == Some(frame.stream);
        assert!(waits.is_none() || follows, "{frame:?} within a header block");
        match frame.kind {
            HEADERS | CONTINUATION => self.take_headers(frame),
            DATA => self.take_data(frame),
            RST_STREAM => {
                assert!(frame.payload.len() == 4 && frame.stream != 0, "{frame:?}");
                self.streams.entry(frame.stream).or_default().reset = Some(frame.number(0));
            }
            SETTINGS => self.take_settings(frame),
            PING if frame.has(ACK) => self.pongs.push(frame.payload.clone()),
            PING => drop(self.send(super::h2_frames::frame(PING, ACK, 0, &frame.payload))),
            GOAWAY => {
                let last = frame.number(0);
                let earlier = self.goaway.as_ref().map_or(LARGEST_WINDOW, |goaway| goaway.last);
                assert!(last <= earlier && frame.stream == 0, "the last stream of a GOAWAY grows: {frame:?}");
                let text = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
                self.goaway = Some(GoAway { last, code: frame.number(4), text });
            }
            WINDOW_UPDATE => {
                let more = i64::from(frame.number(0));
                assert!(more > 0, "a window is opened by nothing: {frame:?}");
                match frame.stream {
                    0 => self.send_window += more,
                    stream => self.streams.entry(stream).or_default().send_window += more,
                }
            }
            _ => panic!("a server sends no {frame:?}"),
        }
    }

    /// A stream that was asked for.
    #[track_caller]
    fn asked(&mut self, frame: &Frame) -> &mut Stream {
        if self.asks_freely {
            let free = || Stream { window: self.stream_window, ..Stream::default() };
            return self.streams.entry(frame.stream).or_insert_with(free);
        }
        self.streams.get_mut(&frame.stream).unwrap_or_else(|| panic!("not asked for: {frame:?}"))
    }

    #[track_caller]
    fn take_settings(&mut self, frame: &Frame) {
        assert!(frame.stream == 0, "{frame:?}");
        if frame.has(ACK) {
            assert!(frame.payload.is_empty(), "{frame:?}");
            self.acknowledged += 1;
            return;
        }
        assert!(frame.payload.len().is_multiple_of(6), "{frame:?}");
        for pair in frame.payload.chunks(6) {
            let name = u16::from_be_bytes([pair[0], pair[1]]);
            self.settings.insert(name, u32::from_be_bytes(pair[2..].try_into().unwrap()));
        }
        // Some servers say nothing; that they have spoken is to be seen.
        self.settings.entry(0).or_insert(0);
        self.send(super::h2_frames::frame(SETTINGS, ACK, 0, ""));
    }

    #[track_caller]
    fn take_headers(&mut self, frame: &Frame) {
        let (stream, mut block, ends) = match (frame.kind, self.unfinished.take()) {
            (CONTINUATION, Some(unfinished)) => unfinished,
            (HEADERS, None) => (frame.stream, Vec::new(), frame.has(END_STREAM)),
            _ => panic!("{frame:?} continues nothing"),
        };
        let payload = if frame.kind == HEADERS { frame.unpadded() } else { &frame.payload };
        let skipped = if frame.kind == HEADERS && frame.has(WEIGHTED) { 5 } else { 0 };
        block.extend_from_slice(&payload[skipped..]);
        if !frame.has(END_HEADERS) {
            self.unfinished = Some((stream, block, ends));
            return;
        }
        let fields = self.decoder.decode(&block).unwrap_or_else(|error| panic!("{error} in {frame:?}"));
        self.asked(frame).take_fields(fields, ends);
    }

    #[track_caller]
    fn take_data(&mut self, frame: &Frame) {
        let length = frame.payload.len() as i64;
        let (opens, shrinks) = (self.opens_windows && length > 0, self.shrinks);
        self.window -= length;
        assert!(self.window >= 0, "{frame:?} is more than the window of the connection");
        let stream = self.asked(frame);
        assert!(
            stream.head.is_some() && !stream.is_whole && stream.reset.is_none(),
            "out of place: {frame:?}"
        );
        stream.window -= length;
        let is_kept = stream.window >= 0 || length == 0 || shrinks;
        assert!(is_kept, "{frame:?} is more than the window");
        stream.body.extend_from_slice(frame.unpadded());
        stream.is_whole = frame.has(END_STREAM);
        let opens_stream = opens && !stream.is_whole && stream.window < FIRST_WINDOW / 2;
        if opens_stream {
            self.open_window(frame.stream, FIRST_WINDOW as u32);
        }
        if opens && self.window < FIRST_WINDOW / 2 {
            self.open_window(0, FIRST_WINDOW as u32);
        }
    }
}

impl Stream {
    #[track_caller]
    fn take_fields(&mut self, fields: Vec<Field>, ends: bool) {
        assert!(!self.is_whole, "fields behind the end of a stream: {fields:?}");
        if self.head.is_some() {
            assert!(ends && !fields.iter().any(|(name, _)| name.starts_with(':')), "trailers: {fields:?}");
        } else {
            let response = Response::of_fields(fields);
            self.head = (response.status >= 200).then_some(response);
            assert!(self.head.is_some() || !ends, "a stream ends with an interim answer");
        }
        self.is_whole = ends;
    }

    /// The answer, once it is whole.
    #[track_caller]
    pub(super) fn answer(self) -> Response {
        let mut response = self.head.expect("a stream without an answer");
        response.body = self.body;
        let length = response.length();
        if self.is_head || matches!(response.status, 204 | 304) {
            assert!(response.body.is_empty(), "a body where none may be");
        } else {
            let fits = length == Some(response.body.len() as u64);
            assert!(fits || response.fields.is_empty(), "Content-Length does not fit: {length:?}");
        }
        response
    }
}
