//! Errors that end the program, and how they are worded.

mod startup;
mod text;

pub use startup::StartupError;
pub use text::{cause, shown};
