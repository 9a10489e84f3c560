//! The fields that every response by HTTP/2 has.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;

use crate::connection::rendered_time::RenderedTime;

/// The fields that every response has, rendered once a second.
pub struct CommonFields {
    server: HeaderValue,
    /// The value of Date, and the second that it is.
    date: Mutex<(u64, HeaderValue)>,
}

impl CommonFields {
    /// Those of a server of this name.
    pub fn new(server: &[u8]) -> CommonFields {
        // Made once in a process. A value that lives as long costs a copy nothing.
        let server = Bytes::from_static(Box::leak(Box::from(server)));
        let server = HeaderValue::from_maybe_shared(server).unwrap_or(HeaderValue::from_static("mayhttpd"));
        CommonFields { server, date: Mutex::new((u64::MAX, HeaderValue::from_static(""))) }
    }

    /// The value of Server.
    pub fn server(&self) -> HeaderValue {
        self.server.clone()
    }

    /// The value of Date, which is `now`.
    pub fn date(&self, now: &RenderedTime) -> HeaderValue {
        let mut date = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now.second();
        if date.0 != second {
            *date = (second, HeaderValue::from_bytes(&now.date()).unwrap_or(HeaderValue::from_static("")));
        }
        date.1.clone()
    }
}
