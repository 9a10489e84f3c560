//! Which protocol a client speaks: by ALPN over TLS (RFC 7301), without TLS by its first bytes (RFC 9113
//! §3.3).

use super::Stage;
use super::active::{ActiveConnection, Stop};
use super::http2::PREFACE;

impl ActiveConnection<'_> {
    /// [`Stop::Http2`] if the client speaks HTTP/2.
    pub(super) fn detect_http2(&mut self) -> Result<(), Stop> {
        let connection = &*self.connection;
        if connection.stage != Stage::FirstRequest {
            return Ok(());
        }
        match connection.tls() {
            Some(tls) if tls.session().protocol() == Some(b"h2") => Err(Stop::Http2),
            None if connection.context.http2_plain => self.read_preface(),
            _ => Ok(()),
        }
    }

    /// Receives until the first bytes are those of the preface, or are not.
    #[inline(never)]
    fn read_preface(&mut self) -> Result<(), Stop> {
        loop {
            let received = self.read_buffer.bytes();
            if received.starts_with(PREFACE) {
                return Err(Stop::Http2);
            }
            if !PREFACE.starts_with(received) {
                return Ok(());
            }
            self.receive_more()?;
        }
    }
}
