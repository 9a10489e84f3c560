//! `mayhttpd precompress`: writes NAME.br, NAME.zst and NAME.gz beside the files of a directory that get
//! shorter by that, checks whether all are there, or removes them.
//!
//! 1. `tree.rs` finds the files, and compares the times of those that are compressed already.
//! 2. `threads.rs` has a thread for each CPU take what is to be compressed, until a signal comes.
//! 3. `variant.rs` compresses a file into a draft (`drafts.rs`), and gives it its name.
//! 4. `summary.rs` counts, and tells.
//!
//! **Invariants:** a variant is up to date if its mtime is that of its file, to the nanosecond, and its ctime
//! is not earlier. So one is made again after its file was replaced by an older one, or by one with the same
//! mtime. No link is followed. A name gets only whole contents.

mod drafts;
mod place;
mod progress;
mod summary;
mod threads;
mod tree;
mod variant;
mod work;

use crate::commands::parser::PrecompressTask;
use crate::config::Settings;
use crate::error::StartupError;
use crate::http::content_coding::ContentCoding;
use crate::http::mime::Types;
use crate::sys::file::Root;
use crate::sys::signal::Signals;

use place::{Place, PrecompressMode};
use summary::Summary;
use tree::Tree;

/// How a run ended.
#[derive(Debug)]
pub struct PrecompressEnd {
    /// The exit code: 1 if something failed, or if a check found something to do; 128 and its number after a
    /// signal.
    pub code: u8,
    /// For standard output: what a check found, and a line with the counts.
    pub text: String,
}

/// Runs the command. The types of the settings count too.
///
/// # Errors
/// [`StartupError::Precompress`] if the directory can't be opened, and [`StartupError::System`].
pub fn run(task: &PrecompressTask, settings: &Settings) -> Result<PrecompressEnd, StartupError> {
    let failed = |step| move |source| StartupError::System { step, source };
    let signals = Signals::of_command().map_err(failed("take the signals"))?;
    let opened = Root::open(&task.directory);
    let root = opened.map_err(|source| StartupError::Precompress { path: task.directory.clone(), source })?;
    let place = Place { root, path: task.directory.clone(), mode: mode(task) };
    let types = Types::new(&settings.types);
    let tree = Tree { place: &place, types: &types, codings: &codings(task), signals: &signals };
    let mut summary = Summary::new(place.mode);
    let work = match tree.read(&mut summary) {
        Ok(work) => work,
        Err(signal) => return Ok(interrupted(signal)),
    };
    let done = threads::run(place, work, summary, &signals).map_err(failed("start the threads"))?;
    Ok(match done {
        Ok(summary) => PrecompressEnd { code: summary.exit_code(), text: summary.text() },
        Err(signal) => interrupted(signal),
    })
}

fn interrupted(signal: u32) -> PrecompressEnd {
    PrecompressEnd { code: u8::try_from(128 + signal).unwrap_or(1), text: String::new() }
}

fn mode(task: &PrecompressTask) -> PrecompressMode {
    match (task.check, task.remove) {
        (true, _) => PrecompressMode::Check,
        (false, true) => PrecompressMode::Remove,
        (false, false) => PrecompressMode::Write,
    }
}

/// The codings that were named, or else all.
fn codings(task: &PrecompressTask) -> Vec<ContentCoding> {
    let named = |coding: &ContentCoding| match coding {
        ContentCoding::Brotli => task.br,
        ContentCoding::Zstd => task.zst,
        ContentCoding::Gzip => task.gz,
    };
    let all = !(task.br || task.zst || task.gz);
    ContentCoding::ALL.into_iter().filter(|coding| all || named(coding)).collect()
}
