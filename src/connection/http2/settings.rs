//! What the server allows an HTTP/2 client: limits that bound the memory of a connection.

use h2::server::Builder;

/// Streams at a time (RFC 9113 §5.1.2). Clients may use 100 before they know.
const STREAMS: u32 = 128;

/// Bytes of a request's fields (RFC 9113 §6.5.2).
const HEADER_LIST: u32 = 16 << 10;

/// Bytes of a frame's payload: the least that there may be (RFC 9113 §4.2).
const FRAME: u32 = 1 << 14;

/// Bytes of a body that a client may send unasked, on a stream and on the connection: the least without a
/// further frame (RFC 9113 §6.9.2). No response needs one.
const WINDOW: u32 = (1 << 16) - 1;

/// Bytes of a response that h2 keeps for a stream.
const SEND_BUFFER: usize = 64 << 10;

/// Streams that a client has reset before they were taken.
const RESET_EARLY: usize = 20;

/// Streams that the server has reset and still knows.
const RESET: usize = 20;

/// Streams that a client makes the server reset, in the whole life of a connection.
const RESET_BY_ERRORS: usize = 256;

/// The limits.
pub fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_frame_size(FRAME)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_EARLY)
        .max_concurrent_reset_streams(RESET)
        .max_local_error_reset_streams(Some(RESET_BY_ERRORS));
    builder
}
