//! `mayhttpd kernel apply`: sets what is below the wanted values, until the next boot, and says what it did.
//!
//! It sets what `check` would find low, to what `check` wants for the same settings. The subtle rule: every number that
//! it writes is at least the one that was there, but for switches, which have no less.

use std::io::ErrorKind;

use super::Report;
use super::keys::needed;
use super::proc::Proc;
use super::wanted::{self, Scope, Wanted};
use crate::config::Settings;
use crate::error::{StartupError, cause};

/// What has become of a key.
enum Outcome {
    /// It is set, or needs not be.
    Well(String),
    /// It could not be set.
    Failed(String),
}

/// Sets all keys of the file that this namespace has and that are below.
pub fn run(proc: &Proc, settings: &Settings) -> Report {
    if let Err(error) = proc.look() {
        return Report { text: String::new(), outcome: Err(error) };
    }
    let mut text = String::new();
    let mut failed = Vec::new();
    for wanted in wanted::all() {
        let wanted = needed(wanted, settings).wanted;
        let words = match set(&wanted, proc) {
            Outcome::Well(words) => words,
            Outcome::Failed(words) => {
                failed.push(format!("{}: {words}", wanted.key));
                words
            }
        };
        text += &format!("{}: {words}\n", wanted.key);
    }
    if !failed.is_empty() {
        return Report { text, outcome: Err(StartupError::Unset { what: failed.join(", ") }) };
    }
    text += "This holds until the next boot; `mayhttpd kernel print`, written to a file in /etc/sysctl.d/, keeps it.\n\
             A running server takes a longer accept queue with its next reload, and the others with its next start.\n";
    Report { text, outcome: Ok(()) }
}

fn set(wanted: &Wanted, proc: &Proc) -> Outcome {
    let running = match proc.value(wanted.key) {
        Ok(running) => running,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Outcome::Well(match wanted.scope {
                Scope::Host => "passed over, it is the host's".to_owned(),
                Scope::Namespace => "passed over, this kernel has no such key".to_owned(),
            });
        }
        Err(error) => return Outcome::Failed(cause(&error)),
    };
    let Some(raised) = wanted.rule().raised(&running, &wanted.value) else {
        return Outcome::Failed(format!("{running} is of another form"));
    };
    if raised == running {
        return Outcome::Well(format!("left at {running}"));
    }
    if let Err(error) = proc.set(wanted.key, &raised) {
        return Outcome::Failed(cause(&error));
    }
    // The kernel may take a value and make another of it.
    match proc.value(wanted.key) {
        Ok(now) if now == raised => Outcome::Well(format!("set to {now}, was {running}")),
        Ok(now) => Outcome::Failed(format!("the kernel made {now} of {raised}")),
        Err(error) => Outcome::Failed(cause(&error)),
    }
}
