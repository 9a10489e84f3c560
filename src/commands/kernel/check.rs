//! `mayhttpd kernel check`: a row for each key and limit, and the exit code.
//!
//! The exit code is 1 if a value limits what the settings ask for, or if the kernel has counted clients or
//! packets that were lost because of it. A value below the recommended one alone is no failure: a server with
//! little load needs no more.

use crate::capacity::proc::Proc;
use crate::commands::kernel::keys;
use crate::commands::kernel::limits;
use crate::commands::kernel::recommended;
use crate::commands::kernel::report::KernelReport;
use crate::commands::kernel::row::{CheckRow, CheckVerdict};
use crate::commands::kernel::table::{self, Layout};
use crate::config::Settings;
use crate::error::StartupError;

/// Checks all keys and limits. It fails if one of them matters.
pub fn run(proc: &Proc, settings: &Settings, layout: Layout) -> KernelReport {
    if let Err(error) = proc.check() {
        return KernelReport { text: String::new(), outcome: Err(error) };
    }
    let keys = recommended::all().into_iter().map(|key| keys::row(&keys::required(key, settings), proc));
    let rows: Vec<CheckRow> = keys.chain(limits::rows(proc, settings)).collect();
    let matter: Vec<&str> =
        rows.iter().filter(|row| row.verdict == CheckVerdict::Matters).map(|row| &*row.subject).collect();
    let outcome =
        if matter.is_empty() { Ok(()) } else { Err(StartupError::KernelCheck { what: matter.join(", ") }) };
    KernelReport { text: table::draw(&rows, layout), outcome }
}
