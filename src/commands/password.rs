//! `password`: a line of a users file, for a user's new password.
//!
//! The password comes from the terminal, where it is not shown, or from standard input. It is never an
//! argument or a variable, which other processes could read.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use crate::error::StartupError;
use crate::password::new_hash::NewHash;
use crate::password::users;
use crate::sys::process::wait_readable;
use crate::sys::random;
use crate::sys::signal::Signals;
use crate::sys::terminal::{HiddenInput, is_terminal};

/// More bytes than a password may have, with the end of the line.
const MAX_LINE: usize = 4096;

/// Makes the line `user:hash`, with its end.
///
/// # Errors
/// [`StartupError::Usage`] for a name that no user can have, and [`StartupError::Password`].
pub fn run(user: &str, hash: NewHash) -> Result<String, StartupError> {
    users::check_user(user.as_bytes()).map_err(StartupError::Usage)?;
    let refused = |why| StartupError::Password { why };
    let password = read().map_err(|error| refused(format!("cannot read it: {error}")))?.map_err(refused)?;
    let salt = random::bytes().map_err(|source| StartupError::System { step: "make a salt", source })?;
    let hash = hash.of(&password, salt).map_err(refused)?;
    Ok(format!("{user}:{hash}\n"))
}

/// The password: typed twice, or the first line of what is no terminal.
fn read() -> io::Result<Result<Vec<u8>, String>> {
    // Without a buffer: what stands behind the line is for another reader.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if !is_terminal(&input) {
        return line(&mut input).map(Ok);
    }
    // A signal must not leave a terminal without echo behind.
    let signals = Signals::of_prompt()?;
    let terminal = input.try_clone()?;
    let _hidden = HiddenInput::begin(terminal.as_fd())?;
    let first = prompt("Password: ", &mut input, &signals)?;
    let again = prompt("Again: ", &mut input, &signals)?;
    Ok(if first == again { Ok(first) } else { Err("the two are not the same".to_owned()) })
}

/// Asks for a line at the terminal.
fn prompt(words: &str, input: &mut File, signals: &Signals) -> io::Result<Vec<u8>> {
    // Standard output has the line alone.
    let mut errors = io::stderr();
    errors.write_all(words.as_bytes())?;
    errors.flush()?;
    loop {
        let ready = wait_readable(&[input.as_fd(), signals.as_fd()], None)?;
        if signals.next().is_some() {
            return Err(io::Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        if ready[0] {
            // The terminal has a whole line, so this does not wait.
            return line(input);
        }
    }
}

/// The first line, without its end.
fn line(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE && input.read(&mut byte)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}
