//! The error log and the access log.
//!
//! - Error log: [`error_log`] opens and replaces it, `sink` writes a record to it, `record` is the format
//!   of a line, `label` the name of the process in it.
//! - Access log: [`mod@line`] builds a line from [`request`] data, with the formats in `text_line` and
//!   `json_line`; [`access`] gathers lines and writes them.
//! - For both: [`escape`] makes bytes from a client harmless, [`wait_budget`] bounds the wait for a slow
//!   reader, [`line_limit`] is the longest line.
//!
//! Both logs follow three rules. A line is in the log whole or not at all, so lines of several processes
//! never mix. A client cannot forge a line, because control characters and quotes are escaped. A line that
//! cannot be written is dropped and counted, and serving goes on.

pub mod error_log;
mod label;
mod record;
mod sink;

pub mod access;
pub mod line;
pub mod peer;
pub mod request;
pub mod timestamp;

mod json_line;
mod request_line;
mod text_line;

pub mod escape;
mod field_width;
pub mod line_limit;
pub mod wait_budget;

pub use error_log::{ErrorLog, descriptor, init, move_to, reopen};
pub use label::{Label, set_label};
