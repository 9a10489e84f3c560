//! `--test` and `--dump`: checks the settings or prints them, and what commands print.
//!
//! A command has no log, so its warnings go to standard error.

use std::io::{ErrorKind, Write};

use crate::capacity::memory::{self, Fit};
use crate::capacity::proc::Proc;
use crate::config::Settings;
use crate::config::dump::{self, Lowered};
use crate::config::load::Loaded;
use crate::error::StartupError;
use crate::master::generation;

/// Checks the settings and what they name.
///
/// # Errors
/// What would keep a server with them from starting.
pub fn test(mut settings: Settings) -> Result<(), StartupError> {
    fit(&mut settings);
    print_warnings(&settings);
    for name in settings.listeners_to_inherit() {
        print_line(&format!(
            "--proxy-protocol names {name}, which these settings don't open: it must be an inherited socket"
        ));
    }
    generation::check(&settings)?.iter().for_each(|warning| print_line(warning));
    print_line("the settings are fine");
    Ok(())
}

/// Prints the settings as a settings file, and where each comes from.
///
/// # Errors
/// If standard output can't be written.
pub fn dump(Loaded { mut settings, sources }: Loaded) -> Result<(), StartupError> {
    let Fit { lowered, reason, .. } = fit(&mut settings);
    print(&dump::page(&settings, &sources, Lowered { flags: &lowered, reason: &reason }))
}

/// Sets what a start would set, and adds the warning that it would log.
fn fit(settings: &mut Settings) -> Fit {
    let fit = memory::fit(settings, &Proc::running());
    settings.warnings.extend(fit.warning.clone());
    fit
}

/// Prints a text on standard output.
///
/// # Errors
/// If it can't be written. A reader that has closed is no error.
pub fn print(text: &str) -> Result<(), StartupError> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(StartupError::System { step: "write to standard output", source })
        }
        _ => Ok(()),
    }
}

/// Prints the warnings of the settings on standard error.
pub fn print_warnings(settings: &Settings) {
    settings.warnings.iter().for_each(|warning| print_line(warning));
}

/// Prints a line on standard error. The exit code tells the outcome too, so a failed write changes nothing.
pub(super) fn print_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "mayhttpd: {text}");
}
