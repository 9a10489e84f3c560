//! Which form of a file a request gets: the file as it is, a variant in a content coding, or what background
//! threads have compressed.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::http::accept_encoding::AcceptEncoding;
use crate::http::content_coding::ContentCoding;
use crate::http::fields::Fields;
use crate::store::Store;
use crate::store::entry::Entry;

/// The form with the highest weight (RFC 9110 §12.5.3); of several the one with the fewest bytes, then the
/// first coding of [`ContentCoding::ALL`]. Where that is the file as it is, what `store` has compressed takes
/// its place. `None` if the client accepts no form that the file has.
pub fn choose(entry: &Arc<Entry>, fields: &Fields<'_>, store: &Store) -> Option<Arc<Entry>> {
    let accepted = AcceptEncoding::of(fields);
    let rank = |form: &Entry| Some((accepted.weight(form.coding)?, Reverse(form.size)));
    // Of several maxima the last one counts.
    let forms = entry.variants.iter().chain([entry]).rev();
    let ranked = forms.filter_map(|form| Some((rank(form)?, form)));
    let best = ranked.max_by_key(|(rank, _)| *rank).map(|(_, form)| form);
    if entry.is_compressible
        && best.is_none_or(|form| form.coding.is_none())
        && let Some(form) = wanted(&accepted).and_then(|coding| store.compressed(entry, coding))
    {
        return Some(form);
    }
    // A file without variants is sent whatever the client accepts.
    best.or(Some(entry).filter(|entry| entry.variants.is_empty())).cloned()
}

/// The coding that the client wants most, unless it wants content without a coding more than that; of several
/// the first of [`ContentCoding::ALL`].
pub fn wanted(accepted: &AcceptEncoding) -> Option<ContentCoding> {
    let weighted = |coding: ContentCoding| Some((accepted.weight(Some(coding))?, coding));
    // Of several maxima the last one counts.
    let codings = ContentCoding::ALL.into_iter().rev().filter_map(weighted);
    let (weight, coding) = codings.max_by_key(|(weight, _)| *weight)?;
    (Some(weight) >= accepted.weight(None)).then_some(coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_with_the_highest_weight_is_wanted_but_not_less_than_none() {
        for (field, expected) in [
            ("gzip, deflate, br, zstd", Some(ContentCoding::Brotli)),
            ("gzip, zstd", Some(ContentCoding::Zstd)),
            ("gzip", Some(ContentCoding::Gzip)),
            ("br;q=0.5, gzip;q=0.6", Some(ContentCoding::Gzip)),
            ("*", Some(ContentCoding::Brotli)),
            ("br;q=0, *", Some(ContentCoding::Zstd)),
            ("gzip;q=0.5, identity", None),
            ("gzip, identity", Some(ContentCoding::Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(ContentCoding::Gzip)),
            ("identity;q=0", None),
            ("gzip;q=0", None),
            ("", None),
        ] {
            let fields = [("accept-encoding", field.as_bytes())];
            let accepted = AcceptEncoding::of(&Fields::from_pairs(&fields));
            assert_eq!(wanted(&accepted), expected, "{field}");
        }
    }
}
