//! The charset parameter of media types (RFC 2046 §4.1.2).

use std::borrow::Cow;

/// `media` with `charset=utf-8`, if it is a text type or JavaScript (RFC 9239 §4) that has no charset yet.
///
/// JSON has no such parameter (RFC 8259 §11). XML says in the file how it is encoded, and a parameter would
/// take precedence over that (RFC 7303 §3.2).
pub fn with_utf8(media: Cow<'static, str>) -> Cow<'static, str> {
    if takes_charset(&media) { Cow::Owned(format!("{media}; charset=utf-8")) } else { media }
}

fn takes_charset(media: &str) -> bool {
    let (essence, parameters) = media.split_once(';').unwrap_or((media, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let has_charset = parameters.split(';').any(|parameter| {
        parameter.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
    });
    let is_xml = essence == "text/xml" || essence.ends_with("+xml");
    let is_text = essence.strip_prefix("text/").is_some_and(|subtype| !subtype.is_empty());
    let is_script =
        matches!(&*essence, "application/javascript" | "application/x-javascript" | "application/ecmascript");
    !has_charset && !is_xml && (is_text || is_script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_scripts_without_a_charset_get_one() {
        for (media, expected) in [
            ("text/html", "text/html; charset=utf-8"),
            ("TEXT/Plain", "TEXT/Plain; charset=utf-8"),
            ("text/css", "text/css; charset=utf-8"),
            ("text/javascript", "text/javascript; charset=utf-8"),
            ("application/javascript", "application/javascript; charset=utf-8"),
            ("text/markdown; variant=GFM", "text/markdown; variant=GFM; charset=utf-8"),
            ("text/html; charset=iso-8859-1", "text/html; charset=iso-8859-1"),
            ("text/html;level=1; Charset=\"x\"", "text/html;level=1; Charset=\"x\""),
            ("application/json", "application/json"),
            ("application/ld+json", "application/ld+json"),
            ("text/xml", "text/xml"),
            ("application/xml", "application/xml"),
            ("image/svg+xml", "image/svg+xml"),
            ("image/png", "image/png"),
            ("application/octet-stream", "application/octet-stream"),
            ("text/", "text/"),
            ("", ""),
        ] {
            assert_eq!(with_utf8(media.into()), expected, "{media}");
        }
    }
}
