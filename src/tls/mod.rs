//! TLS without sockets: certificates and ticket keys of the server, and the state of one connection.

pub mod certificate;
pub mod certificate_pair;
pub mod resolver;
pub mod server_config;
pub mod server_name;
pub mod session;
pub mod ticket_keys;
pub mod ticketer;

pub use rustls::ServerConfig;
