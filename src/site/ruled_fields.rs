//! The fields of a response after the header rules of the settings and of `_headers`.

use super::answer::SiteResponse;
use super::location::Location;
use super::site_files::SiteFileRules;
use crate::http::response::FieldBlock;
use crate::http::target::SitePath;
use crate::routing::header_rules::{self, RuledResponse};

/// Changes the fields of a response. The rules of `_headers` come first, so that those of the settings have
/// the last word. `asked` is the location of the path that was asked for.
pub fn apply(
    response: &mut SiteResponse,
    asked: &Location,
    files: Option<&SiteFileRules>,
    (path, host, https): (&SitePath<'_>, &[u8], bool),
) {
    let status = response.status.code();
    let ruled = RuledResponse { path: path.as_bytes(), directory: path.is_directory(), host, https, status };
    let of_files = files.filter(|_| asked.site_files).map(|files| &*files.headers);
    let rules = of_files.into_iter().chain(asked.header_rules.as_deref());
    let changes: Vec<_> = rules.flat_map(|rules| rules.changes(&ruled)).collect();
    if changes.is_empty() {
        return;
    }
    let mut fields = match std::mem::replace(&mut response.fields, FieldBlock::Owned(Vec::new())) {
        FieldBlock::Owned(fields) => fields,
        FieldBlock::Of(entry) => entry.whole_fields().to_vec(),
    };
    header_rules::apply(&changes, &mut fields);
    response.fields = FieldBlock::Owned(fields);
}
