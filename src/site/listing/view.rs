//! What a client wants to see of a directory: the order of its entries, and the form of the page.
//!
//! The query has it: `?sort=size&order=desc&format=json`. Parameters and values that are not known are
//! ignored; of a repeated parameter the last one counts.

use crate::http::accept::{self, MediaPreference};
use crate::http::request::Request;

/// The media type of a listing for people.
const HTML: &str = "text/html";

/// The media type of a listing for programs.
const JSON: &str = "application/json";

/// What a client wants to see of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListingView {
    /// What the entries are sorted by.
    pub sort: SortKey,
    /// The direction.
    pub order: SortOrder,
    /// The form of the page.
    pub form: ListingForm,
}

/// What the entries are sorted by. Directories are first in any case, and equals are in the order of their
/// names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// By the bytes of their names.
    #[default]
    Name,
    /// By size; directories by their names, since they have none.
    Size,
    /// By the time of the last change.
    Time,
}

/// The direction of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// The least is first.
    #[default]
    Ascending,
    /// The greatest is first.
    Descending,
}

/// The form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListingForm {
    /// A page for people.
    #[default]
    Html,
    /// An array for programs.
    Json,
}

impl ListingView {
    /// The view that a request asks for, and true if its Accept field decided the form.
    pub fn of(request: &Request<'_>) -> (ListingView, bool) {
        let (mut view, form) = from_query(request.target.query.unwrap_or_default());
        let accepted = || {
            let of = |media_type| accept::preference(request.fields.lines_named("Accept"), media_type);
            preferred(of(JSON), of(HTML))
        };
        view.form = form.unwrap_or_else(accepted);
        (view, form.is_none())
    }
}

impl SortKey {
    /// All of them, in the order of the columns.
    pub const ALL: [SortKey; 3] = [SortKey::Name, SortKey::Size, SortKey::Time];

    /// Its value in a query.
    pub fn word(self) -> &'static str {
        match self {
            SortKey::Name => "name",
            SortKey::Size => "size",
            SortKey::Time => "time",
        }
    }
}

impl SortOrder {
    const ALL: [SortOrder; 2] = [SortOrder::Ascending, SortOrder::Descending];

    /// Its value in a query.
    pub fn word(self) -> &'static str {
        match self {
            SortOrder::Ascending => "asc",
            SortOrder::Descending => "desc",
        }
    }
}

impl ListingForm {
    /// Its media type, with the coding of its characters.
    pub fn content_type(self) -> &'static str {
        match self {
            ListingForm::Html => "text/html; charset=utf-8",
            ListingForm::Json => JSON,
        }
    }
}

/// The view of a query, and the form if the query has one.
fn from_query(query: &[u8]) -> (ListingView, Option<ListingForm>) {
    let (mut view, mut form) = (ListingView::default(), None);
    for parameter in query.split(|&byte| byte == b'&') {
        let Some(equals) = memchr::memchr(b'=', parameter) else { continue };
        let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
        match name {
            b"sort" => view.sort = known(SortKey::ALL, |key| key.word(), value).unwrap_or_default(),
            b"order" => view.order = known(SortOrder::ALL, |order| order.word(), value).unwrap_or_default(),
            b"format" if value == b"json" => form = Some(ListingForm::Json),
            b"format" if value == b"html" => form = Some(ListingForm::Html),
            b"format" => form = None,
            _ => {}
        }
    }
    (view, form)
}

/// The one of `all` whose word this value is.
fn known<T: Copy>(
    all: impl IntoIterator<Item = T>,
    word: impl Fn(T) -> &'static str,
    value: &[u8],
) -> Option<T> {
    all.into_iter().find(|one| word(*one).as_bytes() == value)
}

/// JSON if a client wants it more than HTML, else HTML, also where it accepts neither.
fn preferred(json: MediaPreference, html: MediaPreference) -> ListingForm {
    if json.weight > 0 && json > html { ListingForm::Json } else { ListingForm::Html }
}

#[cfg(test)]
mod tests {
    use super::ListingForm::{Html, Json};
    use super::SortKey::{Name, Size, Time};
    use super::SortOrder::{Ascending, Descending};
    use super::*;
    use crate::http::request::ParsedHead;

    #[track_caller]
    fn check(query: &str, fields: &str, expected: (SortKey, SortOrder, ListingForm, bool)) {
        let head = format!("GET /{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let ParsedHead::Complete(request, _) = ParsedHead::parse(head.as_bytes()) else { panic!("{head}") };
        let (ListingView { sort, order, form }, varies) = ListingView::of(&request);
        assert_eq!((sort, order, form, varies), expected, "{query} {fields}");
    }

    #[test]
    fn the_query_says_how_to_sort() {
        check("", "", (Name, Ascending, Html, true));
        check("?", "", (Name, Ascending, Html, true));
        check("?sort=name", "", (Name, Ascending, Html, true));
        check("?sort=size&order=desc", "", (Size, Descending, Html, true));
        check("?order=desc&sort=time", "", (Time, Descending, Html, true));
        check("?order=asc&x=y&&=&sort=size&", "", (Size, Ascending, Html, true));
        check("?sort=size&sort=time", "", (Time, Ascending, Html, true));
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        for query in
            ["?sort=", "?sort=Size", "?sort=%73ize", "?sort=../../etc", "?sort", "?SORT=size", "?=size"]
        {
            check(query, "", (Name, Ascending, Html, true));
        }
        check("?sort=time&order=down", "", (Time, Ascending, Html, true));
        check("?order=desc&order=up", "", (Name, Ascending, Html, true));
        check("?format=xml", "", (Name, Ascending, Html, true));
        check("?format=json&format=", "", (Name, Ascending, Html, true));
        check("?<script>=1&sort=\"size\"", "", (Name, Ascending, Html, true));
    }

    #[test]
    fn the_query_decides_the_form_before_accept() {
        let json = "Accept: application/json\r\n";
        check("", json, (Name, Ascending, Json, true));
        check("?format=html", json, (Name, Ascending, Html, false));
        check("?format=json", "Accept: text/html\r\n", (Name, Ascending, Json, false));
        check("?sort=size&format=json", "", (Size, Ascending, Json, false));
        check("", "Accept: text/html, application/json;q=0.9\r\n", (Name, Ascending, Html, true));
        check("", "Accept: text/html;q=0.8, application/json;q=0.9\r\n", (Name, Ascending, Json, true));
        check("", "Accept: application/json;q=0\r\n", (Name, Ascending, Html, true));
        check("", "Accept: image/png\r\n", (Name, Ascending, Html, true));
    }
}
