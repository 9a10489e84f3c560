//! The order of a listing's entries.

use std::cmp::Ordering;

use super::entries::{ListedEntry, ListedKind};
use super::view::{ListingView, SortKey, SortOrder};

/// Sorts the entries for a view: directories first, then by its key, equals by the bytes of their names.
pub fn sort(entries: &mut [ListedEntry], view: ListingView) {
    entries.sort_unstable_by(|a, b| {
        let is_file = |entry: &ListedEntry| entry.kind != ListedKind::Directory;
        is_file(a).cmp(&is_file(b)).then_with(|| by_key(a, b, view)).then_with(|| a.name.cmp(&b.name))
    });
}

fn by_key(a: &ListedEntry, b: &ListedEntry, view: ListingView) -> Ordering {
    let ordering = match view.sort {
        SortKey::Name => a.name.cmp(&b.name),
        SortKey::Size => a.size.cmp(&b.size),
        SortKey::Time => a.modified.cmp(&b.modified),
    };
    if view.order == SortOrder::Descending { ordering.reverse() } else { ordering }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, size: Option<u64>, modified: i64) -> ListedEntry {
        let kind = if size.is_some() { ListedKind::File } else { ListedKind::Directory };
        ListedEntry { name: name.as_bytes().into(), kind, size, modified: Some(modified) }
    }

    #[test]
    fn directories_are_first_and_equals_in_the_order_of_their_names() {
        let mut entries = [
            entry("b", Some(3), 1),
            entry("z", None, 5),
            entry("a", Some(3), 2),
            entry("y", None, 9),
            entry("B", Some(1), 2),
        ];
        for (sort_key, order, names) in [
            (SortKey::Name, SortOrder::Ascending, ["y", "z", "B", "a", "b"]),
            (SortKey::Name, SortOrder::Descending, ["z", "y", "b", "a", "B"]),
            (SortKey::Size, SortOrder::Ascending, ["y", "z", "B", "a", "b"]),
            (SortKey::Size, SortOrder::Descending, ["y", "z", "a", "b", "B"]),
            (SortKey::Time, SortOrder::Ascending, ["z", "y", "b", "B", "a"]),
            (SortKey::Time, SortOrder::Descending, ["y", "z", "B", "a", "b"]),
        ] {
            sort(&mut entries, ListingView { sort: sort_key, order, ..ListingView::default() });
            let sorted = entries.each_ref().map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
            assert_eq!(sorted, names, "{sort_key:?} {order:?}");
        }
    }
}
