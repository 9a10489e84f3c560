//! A file of header fields gives whole lines, and none that the server writes itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::field_name;
use mayhttpd::routing::header_rules::{MAX_HEADER_RULES, RuledResponse, apply};
use mayhttpd::routing::headers_file::HeadersFile;

fuzz_target!(|bytes: &[u8]| {
    let file = HeadersFile::parse(bytes);
    assert!(file.rules.0.len() <= MAX_HEADER_RULES);
    let response = RuledResponse { path: b"a/b.js", directory: false, host: b"a.example", https: false, status: 200 };
    let changes = file.rules.changes(&response);
    assert!(
        changes
            .iter()
            .all(|change| field_name::is_valid(change.name()) && !field_name::is_own(change.name()))
    );
    let mut lines = b"Cache-Control: no-cache\r\n".to_vec();
    apply(&changes, &mut lines);
    let text = lines.strip_suffix(b"\r\n").unwrap_or(&lines);
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.is_empty() || line.contains(&b':'));
        assert!(!line.contains(&b'\r') && !line.contains(&0));
    }
});
