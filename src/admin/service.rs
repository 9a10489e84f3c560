//! The responses of the admin process: five paths, GET only.
//!
//! Renders no page itself.
//!
//! **Invariant:** after a request whose framing the library would get wrong, the connection closes with the
//! response. To do that, the socket stops receiving: the library sends the response and then finds nothing to
//! read.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};

use super::connections::{Connections, Permit};
use super::host::{self, Verdict};
use crate::metrics::snapshot::{Health, Snapshot, Usage};
use crate::metrics::{Table, json, prometheus};
use crate::sys::{process, socket, timer};

/// The status page, whole: it needs nothing from elsewhere but /status.json.
const PAGE: &str = include_str!("status.html");

/// The response to a request for another host.
const MISDIRECTED: &str = "This host name is not allowed here. \
    Use an IP address or localhost, or allow the name by --admin-hosts.\n";

/// Makes a service for each connection.
pub struct Factory {
    /// The table of counters, which the pages show.
    pub metrics: Table,
    /// The names besides localhost that are answered at a loopback address.
    pub hosts: Arc<[String]>,
    /// The open connections.
    pub connections: Connections,
}

impl HttpServiceFactory for Factory {
    type Service = Service;

    /// The library gives the connection's descriptor for its id.
    fn new_service(&self, id: usize) -> Service {
        let socket = RawFd::try_from(id).unwrap_or(-1);
        let permit = self.connections.permit(socket);
        let hosts = socket::is_at_loopback(socket).then(|| Arc::clone(&self.hosts));
        Service { metrics: self.metrics, socket, hosts, ended: false, permit }
    }
}

/// Answers one connection.
pub struct Service {
    metrics: Table,
    socket: RawFd,
    /// The names that are answered; `None` for all.
    hosts: Option<Arc<[String]>>,
    /// True after a request that must be the last one.
    ended: bool,
    permit: Permit,
}

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        ::log::debug!("{} {}", request.method(), request.path());
        self.permit.used();
        if self.ended {
            // What is left of a body, most likely.
            response.status_code(400, "Bad Request").header("Connection: close");
            return Ok(());
        }
        let (authority, target) = host::split(request.path());
        let hosts = request.headers().iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
        let hosts = hosts.map(|header| header.value);
        let verdict = host::judge(authority, hosts, request.version(), self.hosts.as_deref());
        if is_last(&request) || verdict == Verdict::Bad {
            self.ended = true;
            socket::stop_receiving(self.socket);
            response.header("Connection: close");
        }
        response.header("Cache-Control: no-store").header("X-Content-Type-Options: nosniff");
        // A response to HEAD must have no body; responses to other methods have none either.
        let is_get = request.method() == "GET";
        match verdict {
            Verdict::Answer if is_get => {
                let path = target.split('?').next().unwrap_or_default();
                self.answer(path, response);
            }
            Verdict::Answer => {
                response.status_code(405, "Method Not Allowed").header("Allow: GET");
            }
            Verdict::Bad => {
                response.status_code(400, "Bad Request");
            }
            Verdict::Misdirected => {
                response.status_code(421, "Misdirected Request");
                if is_get {
                    response.header("Content-Type: text/plain; charset=utf-8").body(MISDIRECTED);
                }
            }
        }
        if has_length(&request) {
            // Drop the body that has come. Otherwise the library fails on it and drops the response.
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
                // It is asked for often, and does not need CPU time and memory from /proc.
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

/// True if the library can tell the length of a request's body; without a length it panics.
fn has_length(request: &Request<'_, '_, '_>) -> bool {
    let mut lengths =
        request.headers().iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let first = lengths.next().and_then(|header| std::str::from_utf8(header.value).ok());
    first.is_some_and(|length| length.parse::<usize>().is_ok())
}

/// True if a request must be the last one of its connection. The library would take its body for a request,
/// and does not close after HTTP/1.0 or `Connection: close`.
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
