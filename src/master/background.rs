//! A start in the background (`mayhttpd start`): the master reports over a pipe that it serves, or why not.
//! The command that started it waits for this report.
//!
//! Owns the message on the pipe, not the processes.
//!
//! **Invariant:** no child of the master keeps the master's end of the pipe. The end of the stream tells the
//! waiting process that the master died.
//!
//! ```text
//! the exit code (1 byte), then the text for the user, to the end of the stream
//! ```

use std::io::{PipeReader, PipeWriter, Read, Write};

use crate::error::StartupError;

/// The pipe to the process that waits for the start, if there is one.
#[derive(Debug, Default)]
pub struct BackgroundStart(Option<PipeWriter>);

impl BackgroundStart {
    /// `end` leads to the process that waits.
    pub fn new(end: PipeWriter) -> BackgroundStart {
        BackgroundStart(Some(end))
    }

    /// Reports that the server serves; `text` names the addresses. Returns false if no process waits.
    pub fn served(&mut self, text: &str) -> bool {
        self.send(0, text)
    }

    /// Reports why the server does not serve. Returns false if no process waits.
    pub fn failed(&mut self, error: &StartupError) -> bool {
        self.send(error.exit_code(), &error.to_string())
    }

    fn send(&mut self, code: u8, text: &str) -> bool {
        let Some(mut end) = self.0.take() else { return false };
        // An error is ignored: the process that waited may have ended meanwhile.
        let _ = end.write_all(&[&[code], text.as_bytes()].concat());
        true
    }
}

/// Waits for the report of the server. Returns its text once the server serves.
///
/// # Errors
/// [`StartupError::Background`] with the server's own text and exit code.
pub fn wait(mut end: PipeReader) -> Result<String, StartupError> {
    let mut told = Vec::new();
    let read = end.read_to_end(&mut told);
    let failed = |code, text: &str| StartupError::Background { code, text: text.to_owned() };
    let (code, text) = match (read, told.split_first()) {
        (Ok(_), Some((&code, text))) => (code, String::from_utf8_lossy(text)),
        (Ok(_), None) => return Err(failed(1, "the server ended before it served, without a message")),
        (Err(source), _) => return Err(StartupError::System { step: "wait for the server", source }),
    };
    if code == 0 { Ok(text.into_owned()) } else { Err(failed(code, &text)) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_first_message_arrives_with_its_code() {
        let heard = |tell: fn(BackgroundStart)| {
            let (reader, writer) = io::pipe().unwrap();
            tell(BackgroundStart::new(writer));
            wait(reader).map_err(|error| (error.exit_code(), error.to_string()))
        };
        let served = |mut background_start: BackgroundStart| {
            assert!(background_start.served("at\nhome\n"));
            assert!(!background_start.failed(&StartupError::Usage("later".to_owned())));
        };
        assert_eq!(heard(served), Ok("at\nhome\n".to_owned()));
        let failed = |mut background_start: BackgroundStart| {
            background_start.failed(&StartupError::Usage("no such flag".to_owned()));
        };
        assert_eq!(heard(failed), Err((2, "no such flag".to_owned())));
        let words = "the server ended before it served, without a message".to_owned();
        assert_eq!(heard(drop), Err((1, words)));
        assert!(!BackgroundStart::default().served("unread"));
    }
}
