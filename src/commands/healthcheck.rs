//! `mayhttpd healthcheck`: requests a page of a running server and reports by the exit code whether it is
//! healthy. For container images without another client.
//!
//! A small blocking client: one GET, and only the status line is read. By TLS it asks only a server that has
//! no other listener. It shares no code with the server, so a bug in one cannot hide in the other. The time
//! limit is for the whole check: each step gets the time that is left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::checked_page::CheckedPage;
use super::tls_client;
use crate::error::{StartupError, cause};

/// The most bytes of a status line.
const MAX_STATUS_LINE: usize = 1024;

/// The PROXY header of a connection without a client behind it (PROXY protocol version 1, §2.1).
const PROXY_HEADER: &str = "PROXY UNKNOWN\r\n";

/// Requests a page and waits at most `limit`, in addition to the time of the resolver. A status from 200 to
/// 399 is healthy.
///
/// # Errors
/// [`StartupError::Unhealthy`], with the reason.
pub fn run(asked: &CheckedPage, limit: Duration) -> Result<(), StartupError> {
    let url = &asked.url;
    let unhealthy = |why| StartupError::Unhealthy { url: url.clone(), why };
    let page = Page::parse(url, if asked.tls { "https" } else { "http" });
    let status = page.and_then(|page| status_of(&page, asked, limit)).map_err(unhealthy)?;
    if (200..400).contains(&status) { Ok(()) } else { Err(unhealthy(format!("it answers {status}"))) }
}

/// The parts of the URL.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a> {
    /// For the Host field (RFC 9110 §7.2).
    authority: &'a str,
    host: &'a str,
    port: u16,
    /// The path, which begins with a slash, and the query.
    path: &'a str,
}

impl<'a> Page<'a> {
    /// Parses `http://host[:port][/path]`, or the same with another scheme. The host is a name, an IPv4
    /// address, or an IPv6 address in brackets.
    fn parse(url: &'a str, scheme: &str) -> Result<Page<'a>, String> {
        let expected = || format!("expected {scheme}://HOST[:PORT][/PATH]");
        let visible = url.bytes().all(|byte| byte.is_ascii_graphic());
        let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        let rest = rest.filter(|_| visible).ok_or_else(expected)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host_end = match authority.strip_prefix('[') {
            Some(_) => authority.find(']').ok_or_else(expected)? + 1,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(host_end);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| expected())?,
            None if port.is_empty() => {
                if scheme == "https" {
                    443
                } else {
                    80
                }
            }
            None => return Err(expected()),
        };
        if host.is_empty() || authority.contains(['@', '?']) {
            return Err(expected());
        }
        Ok(Page { authority, host, port, path: if path.is_empty() { "/" } else { path } })
    }
}

/// Sends the request and returns the status, or why there is none.
fn status_of(page: &Page<'_>, asked: &CheckedPage, limit: Duration) -> Result<u16, String> {
    let until = Instant::now() + limit;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no response within {limit:?}"),
        _ => cause(&error),
    };
    let mut stream = connect(page, until, failed)?;
    if asked.proxy_header {
        stream.write_all(PROXY_HEADER.as_bytes()).map_err(failed)?;
    }
    if !asked.tls {
        return ask(page, &mut stream, failed);
    }
    let mut stream = tls_client::connect(page.host, stream).map_err(|error| error.to_string())?;
    ask(page, &mut stream, failed)
}

fn connect(
    page: &Page<'_>,
    until: Instant,
    failed: impl Fn(io::Error) -> String,
) -> Result<TimedStream, String> {
    let mut result = Err("the host has no address".to_owned());
    for address in (page.host, page.port).to_socket_addrs().map_err(&failed)? {
        let stream = left(until).and_then(|left| TcpStream::connect_timeout(&address, left));
        result = stream.map_err(&failed);
        if result.is_ok() {
            break;
        }
    }
    Ok(TimedStream { stream: result?, until })
}

fn ask(
    page: &Page<'_>,
    stream: &mut (impl Read + Write),
    failed: impl Fn(io::Error) -> String,
) -> Result<u16, String> {
    let Page { authority, path, .. } = page;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: mayhttpd-healthcheck\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(&failed)?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < MAX_STATUS_LINE {
        let mut buffer = [0; 256];
        match stream.read(&mut buffer) {
            Ok(0) => return Err("it closed the connection without a response".to_owned()),
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    status(&line).ok_or_else(|| "the response is not HTTP/1".to_owned())
}

/// A connection whose reads and writes end at some time.
struct TimedStream {
    stream: TcpStream,
    until: Instant,
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.until)?))?;
        self.stream.read(buffer)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time that is left.
fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// The status in a line such as `HTTP/1.1 200 OK` (RFC 9112 §4).
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|_| rest[0].is_ascii_digit() && rest[1] == b' ')?;
    let ends = rest.get(5).is_some_and(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    std::str::from_utf8(digits).ok().filter(|_| ends)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_path() {
        for (url, authority, host, port, path) in [
            ("http://localhost", "localhost", "localhost", 80, "/"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", "127.0.0.1", 8080, "/"),
            ("http://[::1]:81/a/b?c=d#e", "[::1]:81", "::1", 81, "/a/b?c=d"),
            ("http://[::1]", "[::1]", "::1", 80, "/"),
        ] {
            assert_eq!(Page::parse(url, "http"), Ok(Page { authority, host, port, path }), "{url}");
        }
        assert_eq!(Page::parse("https://[::1]", "https").map(|page| page.port), Ok(443));
        for url in [
            "",
            "localhost",
            "https://a/",
            "http://",
            "http:///a",
            "http://:80/",
            "http://a:b/",
            "http://a:65536/",
            "http://[::1/",
            "http://[::1]x/",
            "http://u@a/",
            "http://a/b c",
            "http://a/\r\nx",
            "http://a?b",
        ] {
            assert!(Page::parse(url, "http").is_err(), "{url}");
        }
    }

    #[test]
    fn a_status_line_is_read_strictly() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 404 \r\n", Some(404)),
            ("HTTP/1.1 301\r\n", Some(301)),
            ("HTTP/1.1 2000 OK\r\n", None),
            ("HTTP/1.1 20", None),
            ("HTTP/2 200\r\n", None),
            ("HTTP/1.", None),
            ("220 ftp\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line:?}");
        }
    }
}
