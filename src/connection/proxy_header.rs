//! Reads the PROXY header in which a balancer names its client, on listeners that require it.
//!
//! **Invariant:** a connection that does not begin with the header is closed without a response, because its
//! client may speak any protocol.

use super::Stage;
use super::active::{ActiveConnection, Stop};
use crate::http::proxy_header::Preface;
use crate::metrics::close_reason::CloseReason;

impl ActiveConnection<'_> {
    /// Reads the header, if it is required and not read yet.
    pub(super) fn read_proxy_header(&mut self) -> Result<(), Stop> {
        if self.connection.stage == Stage::ProxyHeader { self.receive_proxy_header() } else { Ok(()) }
    }

    #[inline(never)]
    fn receive_proxy_header(&mut self) -> Result<(), Stop> {
        loop {
            match Preface::parse(self.read_buffer.bytes()) {
                Preface::Complete(source, used) => {
                    self.read_buffer.consume(used);
                    self.connection.set_source(source);
                    self.client = self.connection.peer;
                    return Ok(());
                }
                Preface::Partial => self.receive_more()?,
                Preface::Malformed(why) => {
                    ::log::debug!("{}: closed ({why})", self.connection.peer);
                    return Err(CloseReason::NoProxyHeader.into());
                }
            }
        }
    }
}
