//! A listing for programs: an array with an object for each entry.
//!
//! ```json
//! [{"name":"a","type":"directory","size":null,"mtime":"2026-11-28T10:20:30Z"}]
//! ```
//!
//! The size is in bytes, and null where it is no file's; the time is that of RFC 3339, in UTC. A name that is
//! not UTF-8 has U+FFFD where it is not, and its link beside it, as `href`.

use std::borrow::Cow;
use std::io;

use serde::Serialize;

use super::entries::{ListedEntry, ListedKind};
use super::text;
use super::time;

#[derive(Serialize)]
struct Row<'a> {
    name: Cow<'a, str>,
    r#type: &'static str,
    size: Option<u64>,
    mtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

/// Appends the array.
///
/// # Errors
/// None that is known: it is written to memory.
pub fn write(out: &mut Vec<u8>, entries: &[ListedEntry]) -> io::Result<()> {
    if entries.is_empty() {
        out.extend_from_slice(b"[]\n");
        return Ok(());
    }
    out.push(b'[');
    for (number, entry) in entries.iter().enumerate() {
        out.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut *out, &row(entry))?;
    }
    out.extend_from_slice(b"\n]\n");
    Ok(())
}

fn row(entry: &ListedEntry) -> Row<'_> {
    let name = String::from_utf8_lossy(&entry.name);
    Row {
        href: matches!(name, Cow::Owned(_)).then(|| text::link(&entry.name).to_string()),
        name,
        r#type: match entry.kind {
            ListedKind::Directory => "directory",
            ListedKind::File => "file",
            ListedKind::Link => "link",
            ListedKind::Other => "other",
        },
        size: entry.size,
        mtime: entry.modified.map(time::rfc3339),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entries: &[ListedEntry], expected: &str) {
        let mut out = Vec::new();
        write(&mut out, entries).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn each_entry_is_an_object() {
        check(&[], "[]\n");
        let of = |name: &[u8], kind, size, modified| ListedEntry { name: name.into(), kind, size, modified };
        check(
            &[
                of(b"sub dir", ListedKind::Directory, None, Some(1_600_000_000)),
                of(b"\"\\\n<", ListedKind::File, Some(u64::MAX), Some(-1)),
                of(b"l\xe9", ListedKind::Link, None, None),
                of("\u{65e5}\u{202e}".as_bytes(), ListedKind::Other, None, Some(i64::MAX)),
            ],
            "[\n\
             {\"name\":\"sub dir\",\"type\":\"directory\",\"size\":null,\"mtime\":\"2020-09-13T12:26:40Z\"},\n\
             {\"name\":\"\\\"\\\\\\n<\",\"type\":\"file\",\"size\":18446744073709551615,\"mtime\":\"1970-01-01T00:00:00Z\"},\n\
             {\"name\":\"l\u{fffd}\",\"type\":\"link\",\"size\":null,\"mtime\":null,\"href\":\"l%E9\"},\n\
             {\"name\":\"\u{65e5}\u{202e}\",\"type\":\"other\",\"size\":null,\"mtime\":\"9999-12-31T23:59:59Z\"}\n\
             ]\n",
        );
    }
}
