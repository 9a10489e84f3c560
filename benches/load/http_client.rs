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

/// Asks for `target` with these fields, of which Host may be one; the answer, and the connection that it came on.
///
/// # Errors
/// Where it can't connect, or no whole answer comes.
pub fn ask(
    address: SocketAddr,
    target: &str,
    fields: &[(String, String)],
) -> io::Result<(Answer, TcpStream)> {
    let mut connection = Connection::open(address, DEADLINE)?;
    let answer = connection.ask(target, fields)?;
    Ok((answer, connection.stream))
}

/// A connection for requests one after the other.
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    piece: Vec<u8>,
}

impl Connection {
    /// Connects; each wait may take as long as `patience`.
    ///
    /// # Errors
    /// What connect(2) says.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, address, piece: vec![0; 64 * 1024] })
    }

    /// How long each wait for an answer may take from now on; not zero.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
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
        loop {
            if let Some((answer, head, length)) = head(&received)? {
                let mut came = (received.len() - head) as u64;
                while length.is_none_or(|length| came < length) {
                    match stream.read(piece)? {
                        0 if length.is_none() => break,
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        count => came += count as u64,
                    }
                }
                return Ok(Answer { length: came, ..answer });
            }
            match stream.read(piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => received.extend_from_slice(&piece[..count]),
            }
        }
    }
}

/// The head at the front of `received`, its length, and the length of the body that it announces; a body
/// without one goes on to the end of the connection.
fn head(received: &[u8]) -> io::Result<Option<(Answer, usize, Option<u64>)>> {
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
    let length =
        if bodiless { Some(0) } else { field("Content-Length").and_then(|value| value.parse().ok()) };
    let answer = Answer {
        status,
        length: 0,
        etag: field("ETag"),
        last_modified: field("Last-Modified"),
        coding: field("Content-Encoding"),
        location: field("Location"),
    };
    Ok(Some((answer, end, length)))
}
