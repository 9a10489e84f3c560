//! Serves a connection: what it begins with, and then requests, until it is idle or closes.

use super::Connection;
use super::active::{ActiveConnection, Stop};
use super::http1;
use super::http2::Http2;
use super::multiplexed::{Multiplexed, Served};

/// Serves a connection until it is idle or closes.
pub fn serve(connection: &mut Connection) -> Served {
    if let Some(protocol) = connection.take_multiplexed() {
        return protocol.serve(connection);
    }
    let mut active = ActiveConnection::new(connection);
    let Err(stop) = begin(&mut active).and_then(|()| http1::serve_requests(&mut active));
    if let Stop::Http2 = stop {
        let received = active.read_buffer.bytes().to_vec();
        active.discard_buffers();
        return begin_http2(connection, &received);
    }
    active.discard_buffers();
    match stop {
        Stop::Idle => {
            connection.socket.unregister();
            Served::Idle
        }
        Stop::Http2 => Served::Closed,
        Stop::Close(reason) => {
            connection.conclude(reason);
            Served::Closed
        }
    }
}

/// Serves the first turn of HTTP/2. Not inlined: what h2 begins with takes kilobytes of the stack, which a
/// client that waits in HTTP/1.1 does not need.
#[inline(never)]
fn begin_http2(connection: &mut Connection, received: &[u8]) -> Served {
    Box::new(Http2::new(connection, received)).serve(connection)
}

/// The PROXY header, where the listener requires one, and the TLS handshake.
fn begin(active: &mut ActiveConnection<'_>) -> Result<(), Stop> {
    active.read_proxy_header()?;
    active.shake_hands()?;
    active.detect_http2()
}
