//! Which form of a file a request gets: the file as it is, or a variant in a content coding.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::http::accept_encoding::AcceptEncoding;
use crate::http::fields::Fields;
use crate::store::entry::Entry;

/// The form with the highest weight (RFC 9110 §12.5.3); of several the one with the fewest bytes, then the
/// first coding of [`ContentCoding::ALL`](crate::http::content_coding::ContentCoding::ALL). `None` if the
/// client accepts none.
pub fn choose<'a>(entry: &'a Arc<Entry>, fields: &Fields<'_>) -> Option<&'a Arc<Entry>> {
    let accepted = AcceptEncoding::of(fields);
    let rank = |form: &Entry| Some((accepted.weight(form.coding)?, Reverse(form.size)));
    // Of several maxima the last one counts.
    let forms = entry.variants.iter().chain([entry]).rev();
    forms.filter_map(|form| Some((rank(form)?, form))).max_by_key(|(rank, _)| *rank).map(|(_, form)| form)
}
