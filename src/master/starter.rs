//! Who has started the server in the background and waits to hear how that went: once, that it serves and where, or why
//! it does not.
//!
//! Owns what goes over the pipe between the two, and not the processes. The subtle rule: no child of the master may keep
//! its end, because the end of the pipe is what tells of a master that died without a word.
//!
//! ```text
//! an exit code in one byte, and to the end of the pipe the text that goes with it
//! ```

use std::io::{PipeReader, PipeWriter, Read, Write};

use crate::error::StartupError;

/// The way to whoever waits, if anybody does.
#[derive(Debug, Default)]
pub struct Starter(Option<PipeWriter>);

impl Starter {
    /// One who waits at the other end of this.
    pub fn waiting(end: PipeWriter) -> Starter {
        Starter(Some(end))
    }

    /// Says that the server serves, and where; false when nobody waits to hear it.
    pub fn served(&mut self, text: &str) -> bool {
        self.tell(0, text)
    }

    /// Says why the server does not serve; false when nobody waits to hear it.
    pub fn failed(&mut self, error: &StartupError) -> bool {
        self.tell(error.exit_code(), &error.to_string())
    }

    fn tell(&mut self, code: u8, text: &str) -> bool {
        let Some(mut end) = self.0.take() else { return false };
        // Whoever waited may have been ended meanwhile; that is no reason not to serve.
        let _ = end.write_all(&[&[code], text.as_bytes()].concat());
        true
    }
}

/// Waits for what the server says of its start: where it serves, or why not.
///
/// # Errors
/// [`StartupError::Background`] with the server's own words and exit code.
pub fn hear(mut end: PipeReader) -> Result<String, StartupError> {
    let mut told = Vec::new();
    let read = end.read_to_end(&mut told);
    let failed = |code, text: &str| StartupError::Background { code, text: text.to_owned() };
    let (code, text) = match (read, told.split_first()) {
        (Ok(_), Some((&code, text))) => (code, String::from_utf8_lossy(text)),
        (Ok(_), None) => return Err(failed(1, "the server ended before it served, without a word")),
        (Err(source), _) => return Err(StartupError::System { step: "wait for the server", source }),
    };
    if code == 0 { Ok(text.into_owned()) } else { Err(failed(code, &text)) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_first_word_is_heard_with_its_code() {
        let heard = |tell: fn(Starter)| {
            let (reader, writer) = io::pipe().unwrap();
            tell(Starter::waiting(writer));
            hear(reader).map_err(|error| (error.exit_code(), error.to_string()))
        };
        let served = |mut starter: Starter| {
            assert!(starter.served("at\nhome\n"));
            assert!(!starter.failed(&StartupError::Usage("later".to_owned())));
        };
        assert_eq!(heard(served), Ok("at\nhome\n".to_owned()));
        let failed = |mut starter: Starter| {
            starter.failed(&StartupError::Usage("no such flag".to_owned()));
        };
        assert_eq!(heard(failed), Err((2, "no such flag".to_owned())));
        let words = "the server ended before it served, without a word".to_owned();
        assert_eq!(heard(drop), Err((1, words)));
        assert!(!Starter::default().served("to nobody"));
    }
}
