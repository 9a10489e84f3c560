//! Stream sockets of TCP and unix(7): listeners, reserved addresses, and sockets of clients.
//!
//! Nothing here waits: a full or empty socket is `EAGAIN`, and the connection layer decides what that means.

mod address;
mod client;
mod ending;
mod handshake;
mod listener;
mod option;
mod reservation;

pub use address::*;
pub use client::*;
pub use ending::close_all_sockets;
pub use handshake::*;
pub use listener::*;
pub(in crate::sys) use option::set_option;
pub use reservation::*;
