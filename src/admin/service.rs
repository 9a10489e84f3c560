//! What the admin listener answers: five paths, GET alone.
//!
//! Renders nothing itself. The subtle rule: a connection ends with the answer to any request whose framing the library
//! would get wrong; the end of receiving does that, for the library sends what it has and then finds nothing to read.

use std::io;
use std::os::fd::RawFd;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};

use crate::metrics::snapshot::{Health, Snapshot, Usage};
use crate::metrics::{Table, json, prometheus};
use crate::sys::{process, socket, timer};

/// The status page, whole: it needs nothing from elsewhere but /status.json.
const PAGE: &str = include_str!("status.html");

/// Makes a service for each connection.
pub struct Factory(pub Table);

impl HttpServiceFactory for Factory {
    type Service = Service;

    /// The library gives the connection's descriptor for its id.
    fn new_service(&self, id: usize) -> Service {
        Service { metrics: self.0, socket: RawFd::try_from(id).unwrap_or(-1), ended: false }
    }
}

/// Answers one connection.
pub struct Service {
    metrics: Table,
    socket: RawFd,
    /// True after a request that nothing may follow.
    ended: bool,
}

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        ::log::debug!("{} {}", request.method(), request.path());
        if self.ended {
            // What is left of a body, most likely.
            response.status_code(400, "Bad Request").header("Connection: close");
            return Ok(());
        }
        if is_last(&request) {
            self.ended = true;
            socket::stop_receiving(self.socket);
            response.header("Connection: close");
        }
        response.header("Cache-Control: no-store").header("X-Content-Type-Options: nosniff");
        if request.method() == "GET" {
            let path = request.path().split('?').next().unwrap_or_default();
            self.answer(path, response);
        } else {
            // No body, which HEAD must not get.
            response.status_code(405, "Method Not Allowed").header("Allow: GET");
        }
        if has_length(&request) {
            // What has come of the body is dropped, or the library would fail on it and drop the answer instead.
            drop(request.body());
        }
        Ok(())
    }
}

impl Service {
    fn answer(&self, path: &str, response: &mut Response<'_>) {
        match path {
            "/" => {
                response.status_code(302, "Found").header("Location: /status");
            }
            "/status" => {
                response.header("Content-Type: text/html; charset=utf-8").header(
                    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
                     script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
                     frame-ancestors 'none'",
                );
                response.body(PAGE);
            }
            "/status.json" => {
                response.header("Content-Type: application/json");
                response.body_vec(json::render(&self.snapshot()).into_bytes());
            }
            "/metrics" => {
                response.header("Content-Type: text/plain; version=0.0.4; charset=utf-8");
                response.body_vec(prometheus::render(&self.snapshot()).into_bytes());
            }
            "/healthz" => {
                // It is asked often, and has no use for what /proc says.
                let health = self.metrics.snapshot(timer::monotonic(), |_| None).health();
                if health != Health::Ready {
                    response.status_code(503, "Service Unavailable");
                }
                response.header("Content-Type: text/plain; charset=utf-8");
                response.body_vec(format!("{}\n", health.label()).into_bytes());
            }
            _ => {
                response.status_code(404, "Not Found").header("Content-Type: text/plain; charset=utf-8");
                response.body("There are /status, /status.json, /metrics and /healthz.\n");
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.metrics.snapshot(timer::monotonic(), |pid| {
            process::usage(pid).map(|(cpu, memory)| Usage { cpu, memory })
        })
    }
}

/// True when the library can tell how long a request's body is, which it panics at otherwise.
fn has_length(request: &Request<'_, '_, '_>) -> bool {
    let mut lengths =
        request.headers().iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let first = lengths.next().and_then(|header| std::str::from_utf8(header.value).ok());
    first.is_some_and(|length| length.parse::<usize>().is_ok())
}

/// True when nothing may follow a request on its connection: the library would take a body for a request, and answers
/// HTTP/1.0 and `Connection: close` without an end.
fn is_last(request: &Request<'_, '_, '_>) -> bool {
    let ends = |name: &str, value: &[u8]| {
        let closes = || value.to_ascii_lowercase().windows(5).any(|word| word == b"close");
        (name.eq_ignore_ascii_case("content-length") && value != b"0")
            || name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("connection") && closes())
    };
    request.method() != "GET"
        || request.version() == 0
        || request.headers().iter().any(|header| ends(header.name, header.value))
}
