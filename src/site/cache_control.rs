//! How long clients may cache what a location serves: the header fields Expires and Cache-Control (RFC 9111
//! §5).

use std::ops::Range;
use std::time::Duration;

use super::answer::SiteResponse;
use crate::config::scope::Scope;
use crate::http::response::FieldBlock;
use crate::http::status::Status;
use crate::http::{date, response_head};
use crate::time::Now;

/// The line of a file with a content hash in its name.
const IMMUTABLE: &str = "Cache-Control: public, max-age=31536000, immutable\r\n";

/// The same for a response that is for one client alone.
const PRIVATE_IMMUTABLE: &str = "Cache-Control: private, max-age=31536000, immutable\r\n";

/// Where the line of Cache-Control is among rendered lines.
fn line(fields: &[u8]) -> Option<Range<usize>> {
    let start = memchr::memmem::find(fields, b"\r\nCache-Control: ")? + 2;
    let end = memchr::memchr(b'\n', &fields[start..])?;
    Some(start..start + end + 1)
}

/// How long clients may cache what a location serves.
#[derive(Debug, Default)]
pub struct CacheControl {
    /// The rendered Cache-Control; empty where the settings have none.
    field: Vec<u8>,
    /// How far ahead Expires is.
    lifetime: Option<Duration>,
}

impl CacheControl {
    /// What the settings of a location say.
    pub fn new(scope: &Scope) -> CacheControl {
        let age = scope.expires.map(|time| format!("max-age={}", time.as_secs()));
        let directives: Vec<&str> =
            scope.cache_control.as_deref().into_iter().chain(age.as_deref()).collect();
        let mut field = Vec::new();
        if !directives.is_empty() {
            response_head::field(&mut field, "Cache-Control", directives.join(", ").as_bytes());
        }
        CacheControl { field, lifetime: scope.expires }
    }

    /// This, where responses of `status` have these fields: those with a file's content, and 304.
    pub fn for_status(&self, status: Status) -> Option<&CacheControl> {
        let applies = matches!(status, Status::OK | Status::PARTIAL_CONTENT | Status::NOT_MODIFIED);
        (applies && !self.field.is_empty()).then_some(self)
    }

    /// Writes the fields, in place of what the type of the file says of its caching. A content hash in its
    /// name counts more than they do.
    pub fn write(&self, out: &mut Vec<u8>, now: Now) {
        if let Some(line) = line(out) {
            if &out[line.clone()] == IMMUTABLE.as_bytes() {
                return;
            }
            out.drain(line);
        }
        if let Some(lifetime) = self.lifetime {
            response_head::field(out, "Expires", &date::render(now.wall + lifetime));
        }
        out.extend_from_slice(&self.field);
    }
}

/// Keeps caches that clients share from keeping a response: adds `private` (RFC 9111 §5.2.2.7) unless it or
/// `no-store` is there. It holds also beside `public`, because each of these forbids what another allows.
pub fn make_private(response: &mut SiteResponse) {
    let fields = std::mem::replace(&mut response.fields, FieldBlock::Owned(Vec::new()));
    let mut fields = match fields {
        FieldBlock::Owned(fields) => fields,
        FieldBlock::Of(entry) => entry.whole_fields().to_vec(),
    };
    if let Some(line) = line(&fields)
        && &fields[line.clone()] == IMMUTABLE.as_bytes()
    {
        fields.splice(line, PRIVATE_IMMUTABLE.bytes());
    }
    if !forbids_sharing(&fields) {
        fields.extend_from_slice(b"Cache-Control: private\r\n");
    }
    response.fields = FieldBlock::Owned(fields);
}

/// True if rendered fields keep shared caches from keeping the response.
fn forbids_sharing(fields: &[u8]) -> bool {
    const NAME: &[u8] = b"cache-control:";
    let lines = fields.split(|&byte| byte == b'\n');
    let values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    values.flat_map(|value| value.split(|&byte| byte == b',')).any(|directive| {
        let directive = directive.trim_ascii();
        // With names of fields, private="set-cookie", it would be about those fields alone.
        directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::http::content_hash;
    use crate::http::response::{Body, Response};

    #[test]
    fn a_private_response_is_made_so_once() {
        for (fields, is_added) in [
            ("", true),
            ("A: private\r\n", true),
            ("Cache-Control: max-age=60\r\n", true),
            ("Cache-Control: public\r\n", true),
            ("Cache-Control: private=\"a\"\r\n", true),
            ("X-Cache-Control: private\r\n", true),
            ("Cache-Control: private\r\n", false),
            ("cache-control:max-age=60, Private\r\nA: b\r\n", false),
            ("Cache-Control: max-age=5\r\nCache-Control: no-store\r\n", false),
        ] {
            let block = FieldBlock::Owned(fields.as_bytes().to_vec());
            let mut response = Response { status: Status::OK, fields: block, body: Body::Empty };
            make_private(&mut response);
            let FieldBlock::Owned(found) = response.fields else { panic!("{fields}") };
            let added = if is_added { "Cache-Control: private\r\n" } else { "" };
            assert_eq!(String::from_utf8(found).unwrap(), format!("{fields}{added}"));
        }
    }

    #[test]
    fn an_immutable_file_of_one_client_is_not_public() {
        let fields = FieldBlock::Owned(format!("A: 1\r\n{IMMUTABLE}B: 2\r\n").into_bytes());
        let mut response = Response { status: Status::OK, fields, body: Body::Empty };
        make_private(&mut response);
        let FieldBlock::Owned(found) = response.fields else { panic!("not owned") };
        assert_eq!(String::from_utf8(found).unwrap(), format!("A: 1\r\n{PRIVATE_IMMUTABLE}B: 2\r\n"));
    }

    #[test]
    fn what_is_said_of_all_files_counts_more_than_the_type_and_less_than_a_content_hash() {
        let scope = Scope { cache_control: Some("public".to_owned()), ..Scope::default() };
        let now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };
        for (before, after) in [
            ("A: 1\r\n", "A: 1\r\nCache-Control: public\r\n"),
            ("A: 1\r\nCache-Control: no-cache\r\nB: 2\r\n", "A: 1\r\nB: 2\r\nCache-Control: public\r\n"),
            (&format!("A: 1\r\n{IMMUTABLE}B: 2\r\n"), &format!("A: 1\r\n{IMMUTABLE}B: 2\r\n")),
        ] {
            let mut fields = before.as_bytes().to_vec();
            CacheControl::new(&scope).write(&mut fields, now);
            assert_eq!(String::from_utf8(fields).unwrap(), after);
        }
        assert_eq!(IMMUTABLE, format!("Cache-Control: {}\r\n", content_hash::CACHE_CONTROL));
    }
}
