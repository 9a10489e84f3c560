//! How long a line of either log may be.

use crate::sys::stream;

/// The most bytes of a line with its end, in both logs and in every format. A write of this size to a pipe is
/// atomic (pipe(7) `PIPE_BUF`).
pub const MAX_LINE: usize = stream::PIECE;

/// The end of a text that was cut.
pub(super) const ELLIPSIS: &[u8] = b"...";
