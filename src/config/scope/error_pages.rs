//! Pages for errors, `error_pages` in the settings file: `{ 404 = "/404.html", 5xx = "/sorry.html" }`.

use crate::config::file_value::{FileEntry, FileValue, invalid};
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::types;
use crate::config::value::put;

/// What the table takes, as the end of a sentence.
pub const TAKES: &str = "a table: { 404 = \"/PATH\", 5xx = { body, type } }";

/// Pages by status, in the order of the settings file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorPages(pub Vec<(ErrorStatus, ErrorPage)>);

/// The statuses that a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStatus {
    /// This one, 400 to 599.
    Code(u16),
    /// All that have this first digit, 4 or 5, and no page of their own.
    Class(u16),
}

/// The page for an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorPage {
    /// The file at this path of the site, as a client would ask for it: it begins with a slash and has no
    /// query.
    Path(String),
    /// This text.
    Body(PageBody),
}

/// A text in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageBody {
    /// The text.
    pub body: String,
    /// Its media type, one line.
    pub media_type: String,
}

impl Default for PageBody {
    fn default() -> PageBody {
        PageBody { body: String::new(), media_type: "text/plain; charset=utf-8".to_owned() }
    }
}

/// The keys of a text.
const BODY_KEYS: &[TableKey<PageBody>] = &[
    TableKey {
        name: "body",
        takes: "a string",
        read: ReadKey::Text(|page, text| put(&mut page.body, Ok(text.to_owned()))),
        show: |page| Some(string(&page.body)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "type",
        takes: "a string: TYPE/SUBTYPE",
        read: ReadKey::Text(|page, text| put(&mut page.media_type, types::read_media_type(text))),
        show: |page| Some(string(&page.media_type)),
        ..TableKey::EMPTY
    },
];

impl ErrorPages {
    /// Reads the table.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(full: &str, value: &FileValue) -> Result<ErrorPages, Fault> {
        let wrong = || Fault::of(full, value.at, value.wrong_type(TAKES));
        let mut pages = ErrorPages::default();
        for entry in value.table().ok_or_else(wrong)? {
            let full = format!("{full}.{}", entry.name);
            let status = status(&entry.name).ok_or_else(|| {
                Fault::of(&full, entry.at, "is no status of an error (expected 400 to 599, 4xx or 5xx)")
            })?;
            if pages.0.iter().any(|(other, _)| *other == status) {
                return Err(Fault::of(&full, entry.at, "duplicate status"));
            }
            pages.0.push((status, page(&full, entry)?));
        }
        Ok(pages)
    }

    /// The table in TOML.
    pub fn show(&self) -> String {
        let pages = self.0.iter().map(|(status, page)| {
            let status = match status {
                ErrorStatus::Code(code) => code.to_string(),
                ErrorStatus::Class(digit) => format!("{digit}xx"),
            };
            let page = match page {
                ErrorPage::Path(path) => string(path),
                ErrorPage::Body(body) => table_key::inline(BODY_KEYS, body),
            };
            format!("{status} = {page}")
        });
        let pages: Vec<String> = pages.collect();
        if pages.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pages.join(", ")) }
    }
}

fn status(text: &str) -> Option<ErrorStatus> {
    match text {
        "4xx" => Some(ErrorStatus::Class(4)),
        "5xx" => Some(ErrorStatus::Class(5)),
        _ => text.parse().ok().filter(|code| (400..600).contains(code)).map(ErrorStatus::Code),
    }
}

fn page(full: &str, entry: &FileEntry) -> Result<ErrorPage, Fault> {
    let value = &entry.value;
    if let Some(path) = value.text() {
        let path = site_path(path).map_err(|why| Fault::of(full, value.at, invalid(path, &why)))?;
        return Ok(ErrorPage::Path(path));
    }
    let Some(table) = value.table() else {
        let takes = "a string or a table: \"/PATH\" or { body, type }";
        return Err(Fault::of(full, value.at, value.wrong_type(takes)));
    };
    let (mut body, mut places) = (PageBody::default(), KeyPlaces::default());
    table_key::read(BODY_KEYS, &mut body, &mut places, table)?;
    if !places.has("body") {
        return Err(Fault::of(full, entry.at, "has no body"));
    }
    Ok(ErrorPage::Body(body))
}

/// A path of the site as a client would write it.
///
/// # Errors
/// What is allowed.
pub fn site_path(text: &str) -> Result<String, String> {
    let is_path = crate::http::target::SitePath::parse(text.as_bytes()).is_ok();
    if !is_path || text.contains(['?', '#']) || text.contains(char::is_control) {
        return Err("expected a path of the site, for example /404.html".to_owned());
    }
    Ok(text.to_owned())
}
