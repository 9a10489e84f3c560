//! `mayhttpd kernel check`: a row for each key and limit, and the exit code.
//!
//! The subtle rule is what matters, and so makes the exit code 1: not that a value is below the wanted one, for a server
//! that has little to do does well with all defaults, but that it holds back what the settings ask for, or that the
//! kernel has counted clients or packets that it cost.

use super::Report;
use super::keys;
use super::limits;
use super::proc::Proc;
use super::row::{Row, Verdict};
use super::table::{self, Layout};
use super::wanted;
use crate::config::Settings;
use crate::error::StartupError;

/// Checks everything, and fails where something matters.
pub fn run(proc: &Proc, settings: &Settings, layout: Layout) -> Report {
    if let Err(error) = proc.look() {
        return Report { text: String::new(), outcome: Err(error) };
    }
    let keys = wanted::all().into_iter().map(|wanted| keys::row(&keys::needed(wanted, settings), proc));
    let rows: Vec<Row> = keys.chain(limits::rows(proc, settings)).collect();
    let matter: Vec<&str> =
        rows.iter().filter(|row| row.verdict == Verdict::Matters).map(|row| &*row.subject).collect();
    let outcome =
        if matter.is_empty() { Ok(()) } else { Err(StartupError::HeldBack { what: matter.join(", ") }) };
    Report { text: table::draw(&rows, layout), outcome }
}
