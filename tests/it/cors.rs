//! Fields for scripts of other sites, `cors`: in preflight requests, in responses without a body and of a
//! part, and where every site is allowed.

use crate::support::configured::{Configured, site};
use crate::support::tree::text;
use crate::support::{Response, every};

const ORIGIN: &str = "Origin: https://app.example\r\n";
const OTHER: &str = "Origin: https://other.example\r\n";

/// What a browser asks before a script's request by `method`.
#[track_caller]
fn preflight(server: &Configured, origin: &str, method: &str) -> Response {
    let asks = format!("Access-Control-Request-Method: {method}\r\n");
    let response = server.ask(format!("OPTIONS /text.txt HTTP/1.1\r\nHost: test\r\n{origin}{asks}\r\n"));
    response.is(204, "");
    response
}

#[test]
fn a_preflight_is_told_the_methods_of_the_settings() {
    for (methods, expected) in
        [("", "GET, HEAD"), (", methods = ['GET']", "GET"), (", methods = ['HEAD', 'GET']", "HEAD, GET")]
    {
        let server = site(&format!("cors = {{ origins = ['https://app.example']{methods} }}\n"));
        // A browser compares: the server says the same whatever is asked for.
        for method in ["GET", "HEAD", "PUT"] {
            let response = preflight(&server, ORIGIN, method);
            assert_eq!(response.all("access-control-allow-methods"), [expected], "{method}");
            assert_eq!(response["access-control-allow-origin"], "https://app.example");
            assert_eq!(response.all("vary"), ["Origin"]);
            let refused = preflight(&server, OTHER, method);
            assert_eq!(refused.field("access-control-allow-methods"), None);
            assert_eq!(refused.field("access-control-allow-origin"), None);
            assert_eq!(refused.all("vary"), ["Origin"]);
        }
    }
}

#[test]
fn a_304_and_a_206_have_the_fields_of_the_200() {
    let server = site("cors = { origins = ['https://app.example'], credentials = true }\n");
    let tag = server.get("/text.txt")["etag"].clone();
    every(
        [
            ("", 200),
            (&*format!("If-None-Match: {tag}\r\n"), 304),
            ("Range: bytes=10-19\r\n", 206),
            ("Range: bytes=0-0,5-9\r\n", 206),
            ("Range: bytes=5000-\r\n", 416),
            ("If-Match: \"other\"\r\n", 412),
        ]
        .map(|row| (row.0.to_owned(), row)),
        |(fields, status)| {
            let allowed = server.get_with("/text.txt", &format!("{ORIGIN}{fields}"));
            allowed.has_status(&[status]);
            assert_eq!(allowed.all("access-control-allow-origin"), ["https://app.example"]);
            assert_eq!(allowed.all("access-control-allow-credentials"), ["true"]);
            for origin in ["", OTHER] {
                let other = server.get_with("/text.txt", &format!("{origin}{fields}"));
                other.has_status(&[status]);
                assert_eq!(other.field("access-control-allow-origin"), None);
                assert_eq!(other.all("vary"), ["Origin"]);
            }
            assert_eq!(allowed.all("vary"), ["Origin"]);
        },
    );
    server.get_with("/text.txt", &format!("{ORIGIN}Range: bytes=10-19\r\n")).is(206, &text()[10..20]);
}

#[test]
fn where_every_site_is_allowed_responses_do_not_vary() {
    let server = site("cors = { origins = ['*'] }\n");
    let tag = server.get("/text.txt")["etag"].clone();
    for origin in ["", ORIGIN, OTHER, "Origin: null\r\n"] {
        for (fields, status) in
            [("", 200), ("Range: bytes=10-19\r\n", 206), (&*format!("If-None-Match: {tag}\r\n"), 304)]
        {
            let response = server.get_with("/text.txt", &format!("{origin}{fields}"));
            response.has_status(&[status]);
            assert_eq!(response.all("access-control-allow-origin"), ["*"], "{origin}{fields}");
            assert_eq!(
                (response.field("vary"), response.field("access-control-allow-credentials")),
                (None, None)
            );
        }
        let missing = server.get_with("/absent", origin);
        missing.has_status(&[404]);
        assert_eq!((missing["access-control-allow-origin"].as_str(), missing.field("vary")), ("*", None));
        let response = preflight(&server, origin, "GET");
        assert_eq!((response["access-control-allow-origin"].as_str(), response.field("vary")), ("*", None));
    }
}
