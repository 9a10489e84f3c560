//! A file of redirects gives bounded rules and reports, and a table without loops.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::target::SitePath;
use mayhttpd::routing::redirects_file::{MAX_FILE_RULES, RedirectsFile};
use mayhttpd::routing::rule_match::RouteRequest;
use mayhttpd::routing::text_lines::MAX_REPORTS;

fuzz_target!(|bytes: &[u8]| {
    let file = RedirectsFile::parse(bytes);
    assert!(file.rules.len() <= MAX_FILE_RULES && file.rules.len() == file.lines.len());
    assert!(file.lines.is_sorted());
    let (table, unknown) = file.table();
    assert!(unknown.lines.len() <= MAX_REPORTS);
    let Some(table) = table else { return };
    let path = SitePath::parse(b"/a/b/").expect("a path");
    table.find(&RouteRequest { path: &path, query: Some(b"id=1&x"), host: b"a.example" }, 0, true);
});
