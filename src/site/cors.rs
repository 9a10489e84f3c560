//! Which scripts of other sites may read responses: the fields of the HTTP CORS protocol (Fetch standard).

use std::collections::HashSet;

use crate::config::scope::cors::CorsSettings;
use crate::http::fields::Field;
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::response_head;

/// What the settings say, made ready.
#[derive(Debug)]
pub struct Cors {
    /// The allowed origins; `None` is all.
    origins: Option<HashSet<Vec<u8>>>,
    credentials: bool,
    /// The fields of the answer to a preflight request, rendered.
    preflight: Vec<u8>,
}

impl Cors {
    /// What these settings say.
    pub fn new(setting: &CorsSettings) -> Cors {
        let is_all = setting.origins.iter().any(|origin| origin == "*");
        let mut preflight = Vec::new();
        let methods = setting.methods.join(", ");
        response_head::field(&mut preflight, "Access-Control-Allow-Methods", methods.as_bytes());
        if !setting.headers.is_empty() {
            let headers = setting.headers.join(", ");
            response_head::field(&mut preflight, "Access-Control-Allow-Headers", headers.as_bytes());
        }
        if let Some(age) = setting.max_age {
            let age = age.as_secs().to_string();
            response_head::field(&mut preflight, "Access-Control-Max-Age", age.as_bytes());
        }
        Cors {
            origins: (!is_all).then(|| setting.origins.iter().map(|o| o.clone().into_bytes()).collect()),
            credentials: setting.credentials,
            preflight,
        }
    }

    /// Writes the fields of a response to a request.
    pub fn write(&self, out: &mut Vec<u8>, request: &Request<'_>) {
        let is_preflight =
            request.method == Method::Options && request.fields.has(Field::AccessControlRequestMethod);
        if let Some(origins) = &self.origins {
            // Of a response that is the same for every origin, caches need to keep one alone.
            response_head::field(out, "Vary", b"Origin");
            let origin = request.fields.only(Field::Origin).filter(|origin| origins.contains(*origin));
            let Some(origin) = origin else { return };
            response_head::field(out, "Access-Control-Allow-Origin", origin);
        } else {
            response_head::field(out, "Access-Control-Allow-Origin", b"*");
        }
        if self.credentials {
            response_head::field(out, "Access-Control-Allow-Credentials", b"true");
        }
        if is_preflight {
            out.extend_from_slice(&self.preflight);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::request::ParsedHead;

    fn fields(cors: &CorsSettings, method: &str, lines: &str) -> String {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let ParsedHead::Complete(request, _) = ParsedHead::parse(head.as_bytes()) else { panic!("{head}") };
        let mut out = Vec::new();
        Cors::new(cors).write(&mut out, &request);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_allowed_origin_is_named_and_any_other_is_not() {
        let cors = CorsSettings {
            origins: vec!["https://a.example".to_owned(), "http://b.example:81".to_owned()],
            headers: vec!["authorization".to_owned(), "range".to_owned()],
            credentials: true,
            max_age: Some(Duration::from_secs(60)),
            ..CorsSettings::default()
        };
        let allowed = "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n\
                       Access-Control-Allow-Credentials: true\r\n";
        let preflight = "Access-Control-Allow-Methods: GET, HEAD\r\n\
                         Access-Control-Allow-Headers: authorization, range\r\nAccess-Control-Max-Age: 60\r\n";
        let asks = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n";
        assert_eq!(fields(&cors, "GET", "Origin: https://a.example\r\n"), allowed);
        assert_eq!(fields(&cors, "OPTIONS", "Origin: https://a.example\r\n"), allowed);
        assert_eq!(fields(&cors, "GET", asks), allowed);
        assert_eq!(fields(&cors, "OPTIONS", asks), [allowed, preflight].concat());
        for lines in [
            "",
            "Origin: null\r\n",
            "Origin: https://a.example.evil\r\n",
            "Origin: https://A.example\r\n",
            "Origin: https://a.example:443\r\n",
            "Origin: https://a.example\r\nOrigin: https://a.example\r\n",
        ] {
            assert_eq!(fields(&cors, "GET", lines), "Vary: Origin\r\n", "{lines}");
        }
    }

    #[test]
    fn all_origins_have_one_response() {
        let cors = CorsSettings { origins: vec!["*".to_owned()], ..CorsSettings::default() };
        assert_eq!(fields(&cors, "GET", ""), "Access-Control-Allow-Origin: *\r\n");
        assert_eq!(fields(&cors, "HEAD", "Origin: null\r\n"), "Access-Control-Allow-Origin: *\r\n");
    }
}
