//! Which scripts of other sites may read responses, `cors` in the settings file (Fetch standard, HTTP CORS
//! protocol).

use std::time::Duration;

use super::headers;
use crate::config::file_value::FileValue;
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::value::{self, put};

/// What the key takes, as the end of a sentence.
pub const TAKES: &str = "false or a table: { origins, methods, headers, credentials, max_age }";

/// Which scripts of other sites may read responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// The sites, each as a browser names it in Origin, or `*` alone for all.
    pub origins: Vec<String>,
    /// The methods that a preflight request is told.
    pub methods: Vec<String>,
    /// The fields of requests that a preflight request is told, in lower case.
    pub headers: Vec<String>,
    /// True if requests with cookies or passwords are allowed.
    pub credentials: bool,
    /// How long a browser may keep the answer to a preflight request, 0 to 24 h; `None` is as it likes.
    pub max_age: Option<Duration>,
}

impl Default for CorsSettings {
    fn default() -> CorsSettings {
        CorsSettings {
            origins: Vec::new(),
            methods: vec!["GET".to_owned(), "HEAD".to_owned()],
            headers: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }
}

/// What is read of the table; a list begins empty.
#[derive(Default)]
struct Given {
    cors: CorsSettings,
    has_methods: bool,
}

const KEYS: &[TableKey<Given>] = &[
    TableKey {
        name: "origins",
        takes: "a list of strings: ORIGIN|*",
        read: ReadKey::List(|given, text| {
            given.cors.origins.push(origin(text)?);
            Ok(())
        }),
        show: |given| Some(list(&given.cors.origins)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "methods",
        takes: "a list of strings: METHOD",
        read: ReadKey::List(|given, text| {
            if !std::mem::replace(&mut given.has_methods, true) {
                given.cors.methods.clear();
            }
            given.cors.methods.push(method(text)?);
            Ok(())
        }),
        show: |given| Some(list(&given.cors.methods)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "headers",
        takes: "a list of strings: FIELD",
        read: ReadKey::List(|given, text| {
            given.cors.headers.push(field(text)?);
            Ok(())
        }),
        show: |given| (!given.cors.headers.is_empty()).then(|| list(&given.cors.headers)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "credentials",
        takes: "true or false",
        read: ReadKey::Switch(|given, on| given.cors.credentials = on),
        show: |given| given.cors.credentials.then(|| "true".to_owned()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "max_age",
        takes: "a number or a string: TIME",
        read: ReadKey::NumberOrText(|given, text| put(&mut given.cors.max_age, value::span(text).map(Some))),
        show: |given| given.cors.max_age.map(|age| format!("\"{}s\"", age.as_secs())),
        ..TableKey::EMPTY
    },
];

impl CorsSettings {
    /// Reads the table; `None` for `false`.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(full: &str, value: &FileValue) -> Result<Option<CorsSettings>, Fault> {
        if value.switch() == Some(false) {
            return Ok(None);
        }
        let table = value.table().ok_or_else(|| Fault::of(full, value.at, value.wrong_type(TAKES)))?;
        let (mut given, mut places) = (Given::default(), KeyPlaces::default());
        table_key::read(KEYS, &mut given, &mut places, table)?;
        if !places.has("origins") {
            return Err(Fault::of(full, value.at, "has no origins"));
        }
        let any = given.cors.origins.iter().any(|origin| origin == "*");
        if any && given.cors.origins.len() > 1 {
            return Err(places.fault("origins", "\"*\" stands alone"));
        }
        // A browser refuses it, and to answer each origin by its own name would open the site to all of them.
        if any && given.cors.credentials {
            return Err(places.fault("credentials", "can't be combined with origins = [\"*\"]"));
        }
        Ok(Some(given.cors))
    }

    /// The table in TOML.
    pub fn show(cors: Option<&CorsSettings>) -> String {
        cors.map_or_else(
            || "false".to_owned(),
            |cors| table_key::inline(KEYS, &Given { cors: cors.clone(), has_methods: true }),
        )
    }
}

/// RFC 6454 §6.2: a scheme and a host, with a port unless it is the usual one.
fn origin(text: &str) -> Result<String, String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        let in_scheme =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        !scheme.is_empty()
            && scheme.bytes().all(in_scheme)
            && !host.is_empty()
            && !host.contains(['/', '@', '?', '#', '*', ','])
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    });
    if text == "*" || is_origin {
        return Ok(text.to_owned());
    }
    Err("expected an origin as https://app.example, in lower case and without a path, or *".to_owned())
}

fn method(text: &str) -> Result<String, String> {
    match text {
        "GET" | "HEAD" | "OPTIONS" => Ok(text.to_owned()),
        _ => Err("expected GET, HEAD or OPTIONS, which are all that is served".to_owned()),
    }
}

fn field(text: &str) -> Result<String, String> {
    if headers::is_token(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected the name of a field".to_owned())
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}
