//! The progress bar: on standard error, and only if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What the bar shows: bytes of files, each once for each variant.
const TEMPLATE: &str = "{bar:40} {percent:>3} % of {binary_total_bytes}, {msg}";

/// A bar, or nothing.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that is full after so many bytes.
    pub fn new(bytes: u64) -> Progress {
        // The target hides itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// Moves it on by a file of this size.
    pub fn add(&self, bytes: u64, (done, all): (usize, usize)) {
        self.0.set_message(format!("{done} of {all} variants"));
        self.0.inc(bytes);
    }

    /// Lets something write to the terminal.
    pub fn suspend(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    /// Takes it off the terminal.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
