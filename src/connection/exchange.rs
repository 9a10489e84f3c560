//! One request's answer as the connection carries it out: plain data that borrows nothing of the request.

use super::end::End;
use crate::http::framing::Framing;
use crate::http::request::{Method, Request};
use crate::http::status::Status;
use crate::metrics;
use crate::site::{Answer, SiteReply, error_page};

/// A reply and what is to be done with it.
pub struct Exchange {
    /// The reply.
    pub reply: SiteReply,
    /// Whether the access log is to have it.
    pub logged: bool,
    /// Where the request's body ends.
    pub framing: Framing,
    /// False for HEAD.
    pub send_body: bool,
    /// What the reply says of the connection.
    pub keep_alive: bool,
    /// What the client would have: it may be sending its next request already.
    pub may_send_more: bool,
    /// True when the client waits for a go-ahead before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Bytes of the inbox that the head took.
    pub used: usize,
    /// How the connection ends if it is not kept.
    pub end: End,
    /// What it is counted as.
    pub method: metrics::Method,
}

impl Exchange {
    /// What a request gets whose head took `used` bytes. A worker that drains keeps no connection.
    pub fn new(request: &Request<'_>, used: usize, answer: Answer, draining: bool) -> Exchange {
        let Answer { reply, logged } = answer;
        Exchange {
            reply,
            logged,
            framing: request.framing,
            send_body: request.method != Method::Head,
            keep_alive: request.keep_alive && !draining,
            may_send_more: request.keep_alive,
            expects_continue: request.expects_continue,
            used,
            end: End::Finished,
            method: match request.method {
                Method::Get => metrics::Method::Get,
                Method::Head => metrics::Method::Head,
                Method::Other => metrics::Method::Other,
            },
        }
    }

    /// What a client gets whose request could not be read: an error page, and the connection's end.
    pub fn last(status: Status, end: End) -> Exchange {
        Exchange {
            reply: error_page::reply(status, b""),
            logged: true,
            framing: Framing::None,
            send_body: true,
            keep_alive: false,
            may_send_more: true,
            expects_continue: false,
            used: 0,
            end,
            method: metrics::Method::Unread,
        }
    }
}
