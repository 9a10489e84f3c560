//! Preconditions, in the order of RFC 9110 §13.2.2 whatever the order of the fields.

use std::time::{Duration, SystemTime};

use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Server, Tree, every};

const SAME: &str = "Sun, 13 Sep 2020 12:26:40 GMT";
const BEFORE: &str = "Sun, 13 Sep 2020 12:26:39 GMT";
const AFTER: &str = "Sun, 13 Sep 2020 12:26:41 GMT";

#[test]
fn if_none_match_is_answered_304_with_the_validators() {
    let server = Server::start(&[]);
    let full = server.get("/page.html");
    let tag = &full["etag"];
    let forms = [
        tag.clone(),
        format!("W/{tag}"),
        "*".into(),
        format!("\"other\", {tag}"),
        format!("{tag},\"other\""),
        format!("\"other\",W/{tag} , \"third\""),
        format!("\"a,b\", {tag}"),
        format!(", ,{tag},,"),
        format!("\"other\"\r\nIf-None-Match: {tag}"),
    ];
    every(forms.iter().map(|form| (form, form)), |form| {
        let response = server.get_with("/page.html", &format!("If-None-Match: {form}\r\n"));
        response.has_status(&[304]);
        for name in ["etag", "last-modified"] {
            assert_eq!(response.field(name), full.field(name));
        }
        assert!(response.length().is_none_or(|length| length == PAGE.len() as u64));
        assert!(response.field("content-type").is_none() && response.field("content-range").is_none());
    });
}

#[test]
fn if_none_match_that_does_not_match_gets_the_file() {
    let server = Server::start(&[]);
    let tag = server.get("/page.html")["etag"].clone();
    let bare = tag.trim_matches('"').to_owned();
    let forms = [
        "\"other\"".into(),
        "\"\"".into(),
        bare.clone(),
        format!("\"{bare}"),
        format!("\"x{bare}\""),
        "\"*\"".into(),
    ];
    every(forms.iter().map(|form| (form, form)), |form| {
        server.get_with("/page.html", &format!("If-None-Match: {form}\r\n")).is(200, PAGE);
    });
}

#[test]
fn if_modified_since_is_answered_304_when_nothing_changed() {
    let server = Server::start(&[]);
    let rows = [
        (SAME, 304),
        (AFTER, 304),
        ("Sunday, 13-Sep-20 12:26:40 GMT", 304),
        ("Sun Sep 13 12:26:40 2020", 304),
        (BEFORE, 200),
        ("Sunday, 13-Sep-20 12:26:39 GMT", 200),
        ("Sun Sep 13 12:26:39 2020", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("yesterday", 200),
        ("", 200),
        ("0", 200),
        ("1600000000", 200),
        ("Sun, 13 Sep 2020 12:26:40 +0000", 200),
        ("Sun, 32 Sep 2020 12:26:40 GMT", 200),
        ("Sun, 13 Sep 2020 25:26:40 GMT", 200),
    ];
    every(rows.map(|row| (row.0, row)), |(date, status)| {
        server.get_with("/page.html", &format!("If-Modified-Since: {date}\r\n")).has_status(&[status]);
    });
}

#[test]
fn if_match_fails_with_412_unless_a_strong_tag_matches() {
    let server = Server::start(&[]);
    let tag = server.get("/page.html")["etag"].clone();
    let rows = [
        (tag.clone(), 200),
        ("*".into(), 200),
        (format!("\"other\", {tag}"), 200),
        ("\"other\"".into(), 412),
        (format!("W/{tag}"), 412),
        (format!("\"other\", W/{tag}"), 412),
    ];
    every(rows.iter().map(|row| (&row.0, row)), |(form, status)| {
        server.get_with("/page.html", &format!("If-Match: {form}\r\n")).has_status(&[*status]);
    });
}

#[test]
fn if_unmodified_since_fails_with_412_when_it_changed() {
    let server = Server::start(&[]);
    for (date, status) in [(SAME, 200), (AFTER, 200), (BEFORE, 412), ("nonsense", 200)] {
        server.get_with("/page.html", &format!("If-Unmodified-Since: {date}\r\n")).has_status(&[status]);
    }
}

#[test]
fn preconditions_are_weighed_in_their_order_not_the_fields() {
    let server = Server::start(&[]);
    let tag = server.get("/page.html")["etag"].clone();
    let (match_yes, match_no) = (format!("If-Match: {tag}"), "If-Match: \"x\"".to_owned());
    let (none_yes, none_no) = ("If-None-Match: \"x\"".to_owned(), format!("If-None-Match: {tag}"));
    let (since_yes, since_no) =
        (format!("If-Modified-Since: {BEFORE}"), format!("If-Modified-Since: {SAME}"));
    let (until_yes, until_no) =
        (format!("If-Unmodified-Since: {SAME}"), format!("If-Unmodified-Since: {BEFORE}"));
    let rows = [
        // If-Match decides, If-Unmodified-Since is not asked (steps 1 and 2).
        (vec![&match_yes, &until_no], 200),
        (vec![&match_no, &until_yes], 412),
        // If-None-Match decides, If-Modified-Since is not asked (steps 3 and 4).
        (vec![&none_yes, &since_no], 200),
        (vec![&none_no, &since_yes], 304),
        // A failure of the first two comes before a success of the others.
        (vec![&match_no, &none_no], 412),
        (vec![&until_no, &none_no], 412),
        (vec![&until_no, &since_no], 412),
        (vec![&match_yes, &none_no], 304),
        (vec![&until_yes, &since_no], 304),
        (vec![&match_yes, &none_yes, &since_no, &until_no], 200),
        (vec![&match_yes, &none_no, &since_yes, &until_no], 304),
        (vec![&match_no, &none_no, &since_no, &until_yes], 412),
        (vec![&match_no, &none_yes, &since_yes, &until_yes], 412),
    ];
    for (fields, status) in rows {
        every(orders(&fields).into_iter().map(|order| (format!("{order:?}"), order)), |order| {
            let lines: String = order.iter().map(|field| format!("{field}\r\n")).collect();
            server.get_with("/page.html", &lines).has_status(&[status]);
        });
    }
}

/// Every order of these.
fn orders<'a>(fields: &[&'a String]) -> Vec<Vec<&'a String>> {
    if fields.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for index in 0..fields.len() {
        let mut others = fields.to_vec();
        let first = others.remove(index);
        for mut order in orders(&others) {
            order.insert(0, first);
            found.push(order);
        }
    }
    found
}

#[test]
fn preconditions_hold_for_head_too() {
    let server = Server::start(&[]);
    let rows = [
        (304, "If-None-Match: *"),
        (412, "If-Match: \"x\""),
        (304, "If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"),
    ];
    for (status, field) in rows {
        let mut client = server.client();
        client.send(format!("HEAD /page.html HTTP/1.1\r\nHost: test\r\n{field}\r\n\r\n"));
        client.response_to_head().has_status(&[status]);
        client.still_serves();
    }
}

#[test]
fn what_is_not_there_heeds_no_precondition() {
    let server = Server::start(&[]);
    for field in [
        "If-None-Match: *",
        "If-Match: *",
        "If-Match: \"x\"",
        "If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT",
    ] {
        server.get_with("/absent", &format!("{field}\r\n")).has_status(&[404]);
        server.get_with("/dir", &format!("{field}\r\n")).has_status(&[301]);
    }
}

#[test]
fn a_tag_tells_contents_apart_and_stays_while_nothing_changes() {
    let server = Server::start(&["--cache-valid", "0"]);
    let first = server.get("/page.html")["etag"].clone();
    assert_eq!(server.get("/page.html")["etag"], first);
    assert_ne!(server.get("/")["etag"], first);
    // The same length, replaced within the same second.
    let other = [b'x'; PAGE.len()];
    server.tree().file("page.html", other);
    server.tree().modified("page.html", SystemTime::UNIX_EPOCH + Duration::from_millis(CHANGED * 1000 + 1));
    let second = server.get("/page.html");
    second.is(200, other);
    assert_ne!(second["etag"], first);
    server.get_with("/page.html", &format!("If-None-Match: {first}\r\n")).is(200, other);
}

#[test]
fn a_small_file_replaced_with_the_same_length_and_time_has_another_tag() {
    // Images and archives made to be reproducible give every file the same time.
    let server = Server::start(&["--cache-valid", "0"]);
    let first = server.get("/page.html")["etag"].clone();
    let other = [b'x'; PAGE.len()];
    server.tree().file("page.html", other);
    let second = server.get("/page.html");
    second.is(200, other);
    assert_ne!(second["etag"], first);
    server.get_with("/page.html", &format!("If-None-Match: {first}\r\n")).is(200, other);
}

#[test]
fn a_time_in_the_future_is_never_told() {
    let tree = Tree::site();
    let month = Duration::from_secs(30 * 86_400);
    tree.modified("page.html", SystemTime::now() + month);
    tree.modified("index.html", SystemTime::UNIX_EPOCH);
    let server = Server::of(tree, &[]);
    let response = server.get("/page.html");
    // RFC 9110 §8.8.2.1: where it lies in the future, the time of the answer stands for it.
    if let Some(date) = response.field("last-modified") {
        let told = httpdate::parse_http_date(date).unwrap();
        assert!(told <= httpdate::parse_http_date(&response["date"]).unwrap(), "{date}");
    }
    assert_eq!(server.get("/")["last-modified"], "Thu, 01 Jan 1970 00:00:00 GMT");
}

#[test]
fn an_empty_file_and_a_large_one_are_compared_too() {
    let server = Server::start(&[]);
    for target in ["/empty.txt", "/large.html", "/"] {
        let tag = server.get(target)["etag"].clone();
        server.get_with(target, &format!("If-None-Match: {tag}\r\n")).has_status(&[304]);
    }
}
