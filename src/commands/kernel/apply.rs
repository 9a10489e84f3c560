//! `mayhttpd kernel apply`: raises values that are too low, until the next boot, and prints what it did.
//!
//! It sets the keys that `check` reports as low, to the values that `check` recommends for the same settings.
//!
//! **Invariant:** it lowers no number. Switches are an exception, because they have no order.

use std::io::ErrorKind;

use crate::capacity::proc::Proc;
use crate::commands::kernel::keys::required;
use crate::commands::kernel::recommended::{self, RecommendedKey, Scope};
use crate::commands::kernel::report::KernelReport;
use crate::config::Settings;
use crate::error::{StartupError, cause};

/// The result for a key.
enum Outcome {
    /// It was set, or need not be set.
    Done(String),
    /// It could not be set.
    Failed(String),
}

/// Sets all keys of `sysctl.conf` that this namespace has and whose value is too low.
pub fn run(proc: &Proc, settings: &Settings) -> KernelReport {
    if let Err(error) = proc.check() {
        return KernelReport { text: String::new(), outcome: Err(error) };
    }
    let mut text = String::new();
    let mut failed = Vec::new();
    for key in recommended::all() {
        let key = required(key, settings).key;
        let words = match set(&key, proc) {
            Outcome::Done(words) => words,
            Outcome::Failed(words) => {
                failed.push(format!("{}: {words}", key.name));
                words
            }
        };
        text += &format!("{}: {words}\n", key.name);
    }
    if !failed.is_empty() {
        return KernelReport { text, outcome: Err(StartupError::KernelSetting { what: failed.join(", ") }) };
    }
    text += "The values hold until the next boot. To keep them, write the output of `mayhttpd kernel print` to a file in\n\
             /etc/sysctl.d/. A running server uses a longer accept queue after a reload, and other values after a restart.\n";
    KernelReport { text, outcome: Ok(()) }
}

fn set(key: &RecommendedKey, proc: &Proc) -> Outcome {
    let running = match proc.value(key.name) {
        Ok(running) => running,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Outcome::Done(match key.scope {
                Scope::Host => "skipped: a key of the host".to_owned(),
                Scope::Namespace => "skipped: this kernel has no such key".to_owned(),
            });
        }
        Err(error) => return Outcome::Failed(cause(&error)),
    };
    let Some(raised) = key.rule().raised(&running, &key.value) else {
        return Outcome::Failed(format!("the value {running} has an unexpected form"));
    };
    if raised == running {
        return Outcome::Done(format!("left at {running}"));
    }
    if let Err(error) = proc.set(key.name, &raised) {
        return Outcome::Failed(cause(&error));
    }
    // The kernel may accept a value and store another.
    match proc.value(key.name) {
        Ok(now) if now == raised => Outcome::Done(format!("set to {now}, was {running}")),
        Ok(now) => Outcome::Failed(format!("the kernel stored {now} instead of {raised}")),
        Err(error) => Outcome::Failed(cause(&error)),
    }
}
