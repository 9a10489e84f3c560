//! One request and its whole answer, as a client that knows nothing of servers: to see that a server is there
//! and serves what it should, before it is loaded.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest that an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// How many bytes of body came.
    pub length: u64,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// The content coding.
    pub coding: Option<String>,
    pub location: Option<String>,
}

/// Asks for `target` with these fields, of which Host may be one; the answer, and the connection that it came
/// on.
///
/// # Errors
/// Where it can't connect, or no whole answer comes.
pub fn ask(
    address: SocketAddr,
    target: &str,
    fields: &[(String, String)],
) -> io::Result<(Answer, TcpStream)> {
    let mut connection = Connection::over(connect(address)?, address);
    let answer = connection.ask(target, fields)?;
    Ok((answer, connection.stream))
}

/// Connects. No wait for input or room takes longer than 10 s.
///
/// # Errors
/// What connect(2) says.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// A connection for requests one after the other.
pub struct Connection<S = TcpStream> {
    stream: S,
    address: SocketAddr,
    piece: Vec<u8>,
}

impl Connection {
    /// Connects; each wait may take as long as `patience`.
    ///
    /// # Errors
    /// What connect(2) says.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let connection = Self::over(connect(address)?, address);
        connection.set_patience(patience)?;
        Ok(connection)
    }

    /// How long each wait for an answer may take from now on; not zero.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }
}

impl<S: Read + Write> Connection<S> {
    /// A connection over a stream that leads to this address.
    pub fn over(stream: S, address: SocketAddr) -> Self {
        Self { stream, address, piece: vec![0; 64 * 1024] }
    }

    /// What it is over.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Asks for `target` with these fields, of which Host may be one, and reads the whole answer.
    ///
    /// # Errors
    /// Where no whole answer comes.
    pub fn ask(&mut self, target: &str, fields: &[(String, String)]) -> io::Result<Answer> {
        let Self { stream, address, piece } = self;
        let named = fields.iter().any(|(name, _)| name == "Host");
        let host = if named { String::new() } else { format!("Host: {address}\r\n") };
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        stream.write_all(format!("GET {target} HTTP/1.1\r\n{host}{fields}\r\n").as_bytes())?;
        let mut received = Vec::new();
        let (answer, head, framing) = loop {
            match head(&received)? {
                Some(parsed) => break parsed,
                None => some(read(stream, piece, &mut received)?)?,
            }
        };
        received.drain(..head);
        let length = match framing {
            Framing::Length(length) => {
                // What is long is counted and not kept.
                let mut came = received.len() as u64;
                while came < length {
                    let count = stream.read(piece)?;
                    some(count)?;
                    came += count as u64;
                }
                came
            }
            Framing::Chunked => loop {
                match chunked(&received)? {
                    Some(length) => break length,
                    None => some(read(stream, piece, &mut received)?)?,
                }
            },
            Framing::End => {
                while read(stream, piece, &mut received)? > 0 {}
                received.len() as u64
            }
        };
        Ok(Answer { length, ..answer })
    }
}

/// Where a body ends (RFC 9112, section 6.3).
enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    End,
}

/// Appends what comes next; how much that is.
fn read(stream: &mut impl Read, piece: &mut [u8], received: &mut Vec<u8>) -> io::Result<usize> {
    let count = stream.read(piece)?;
    received.extend_from_slice(&piece[..count]);
    Ok(count)
}

/// An error where the connection has ended.
fn some(count: usize) -> io::Result<()> {
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The length of the content of a chunked body without trailers (RFC 9112, section 7.1); None where it is
/// not whole.
fn chunked(body: &[u8]) -> io::Result<Option<u64>> {
    let (mut at, mut length) = (0_usize, 0);
    while let Some(rest) = body.get(at..) {
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| invalid("a chunk has no size"))?;
        let httparse::Status::Complete((used, size)) = parsed else { return Ok(None) };
        length += size;
        // The chunk and the end of its line.
        at = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(used + 2)?.checked_add(size))
            .ok_or_else(|| invalid("a chunk is too long"))?;
        if size == 0 {
            return Ok((at <= body.len()).then_some(length));
        }
    }
    Ok(None)
}

/// The head at the front of `received`, its length, and where the body ends.
fn head(received: &[u8]) -> io::Result<Option<(Answer, usize, Framing)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let parsed =
        response.parse(received).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(end) = parsed else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(found.value).into_owned())
    };
    let bodiless = status == 304 || status == 204;
    let length = field("Content-Length").and_then(|value| value.parse().ok());
    let framing = match (field("Transfer-Encoding"), length) {
        _ if bodiless => Framing::Length(0),
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        _ => Framing::End,
    };
    let answer = Answer {
        status,
        length: 0,
        etag: field("ETag"),
        last_modified: field("Last-Modified"),
        coding: field("Content-Encoding"),
        location: field("Location"),
    };
    Ok(Some((answer, end, framing)))
}
