//! What a task of `mayhttpd kernel` prints, and how it ends.

use crate::error::StartupError;

/// The result of a task.
#[derive(Debug)]
pub struct KernelReport {
    /// Text for standard output.
    pub text: String,
    /// The error that the program ends with, if any.
    pub outcome: Result<(), StartupError>,
}
