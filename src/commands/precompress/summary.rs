//! What a run did, in counts and findings, and its text: a line for each finding of a check, and one with the
//! counts. A failure is told on standard error when it comes.

use std::io;

use super::place::PrecompressMode;
use super::variant::Made;
use crate::commands::inspect;
use crate::error::cause;

/// What a check finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A variant would save enough, and is not there.
    Missing,
    /// A variant has not the mtime of its file, or its file changed after it.
    Outdated,
    /// The file of a variant is not there. It may be an archive of its own, so no run changes it.
    Orphaned,
}

impl Finding {
    fn word(self) -> &'static str {
        match self {
            Finding::Missing => "missing",
            Finding::Outdated => "outdated",
            Finding::Orphaned => "orphaned",
        }
    }
}

/// Counts and findings.
#[derive(Debug)]
pub struct Summary {
    mode: PrecompressMode,
    /// Files of types that are compressed.
    pub files: u64,
    /// Variants that were up to date.
    pub up_to_date: u64,
    /// Variants that were removed.
    pub removed: u64,
    written: u64,
    /// Bytes of files, and of the variants that were written of them.
    bytes: (u64, u64),
    not_worth: u64,
    failures: u64,
    findings: Vec<(Finding, String)>,
}

impl Summary {
    /// Nothing yet.
    pub fn new(mode: PrecompressMode) -> Summary {
        Summary {
            mode,
            files: 0,
            up_to_date: 0,
            removed: 0,
            written: 0,
            bytes: (0, 0),
            not_worth: 0,
            failures: 0,
            findings: Vec::new(),
        }
    }

    /// Counts what became of the variant at `path`.
    pub fn made(&mut self, path: &str, made: Made) {
        match made {
            Made::Written { .. } if self.mode == PrecompressMode::Check => self.found(Finding::Missing, path),
            Made::Written { before, after } => {
                self.written += 1;
                self.bytes = (self.bytes.0 + before, self.bytes.1 + after);
            }
            Made::NotWorth { removed } => {
                self.not_worth += 1;
                self.removed += u64::from(removed);
            }
            Made::Gone => {}
        }
    }

    /// Counts a failure to do something with a path, and tells it on standard error.
    pub fn failed(&mut self, step: &str, path: &str, error: &io::Error) {
        self.failures += 1;
        inspect::print_line(&format!("cannot {step} {path}: {}", cause(error)));
    }

    /// Notes what a check found.
    pub fn found(&mut self, finding: Finding, path: &str) {
        self.findings.push((finding, path.to_owned()));
    }

    /// See [`super::PrecompressEnd::code`].
    pub fn exit_code(&self) -> u8 {
        let is_to_do = |(finding, _): &(Finding, String)| *finding != Finding::Orphaned;
        u8::from(self.failures > 0 || self.findings.iter().any(is_to_do))
    }

    /// The findings in order of their paths, and the counts.
    pub fn text(mut self) -> String {
        self.findings.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        let lines = self.findings.iter().map(|(finding, path)| format!("{} {path}\n", finding.word()));
        lines.collect::<String>() + &self.counts() + "\n"
    }

    fn counts(&self) -> String {
        let Summary { files, up_to_date, removed, written, not_worth, failures, .. } = self;
        let (before, after) = self.bytes;
        let found = |wanted| self.findings.iter().filter(|(finding, _)| *finding == wanted).count();
        match self.mode {
            PrecompressMode::Write => format!(
                "{files} files: {written} variants written ({before} bytes as {after}), {up_to_date} up to date, \
                 {not_worth} not worth it, {removed} removed, {failures} failed"
            ),
            PrecompressMode::Check => format!(
                "{files} files: {up_to_date} variants up to date, {} missing, {} outdated, {} orphaned, \
                 {not_worth} not worth it, {failures} failed",
                found(Finding::Missing),
                found(Finding::Outdated),
                found(Finding::Orphaned)
            ),
            PrecompressMode::Remove => {
                format!("{files} files: {removed} variants removed, {failures} failed")
            }
        }
    }
}
