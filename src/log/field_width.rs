//! How fields that a client sent share the room in a line that is too short for them.

use super::escape::Prefix;

/// The most bytes that each escaped field may have, so that all fit into `room`. Long fields share what the
/// short fields leave. `None` if all fields fit uncut. `that_fits` measures the longest prefix that fits once
/// escaped.
pub(super) fn max_width(
    fields: [Option<&[u8]>; 5],
    room: usize,
    that_fits: fn(&[u8], usize) -> Prefix,
) -> Option<usize> {
    let mut widths = fields.map(|field| {
        let field = field.unwrap_or_default();
        let found = that_fits(field, room);
        if found.length < field.len() { usize::MAX } else { found.width }
    });
    widths.sort_unstable();
    let mut left = room;
    for (index, width) in widths.into_iter().enumerate() {
        let share = left / (widths.len() - index);
        if width > share {
            return Some(share);
        }
        left -= width;
    }
    None
}
