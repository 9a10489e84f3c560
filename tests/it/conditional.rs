//! Preconditions, in the order of RFC 9110 §13.2.2 whatever the order of the fields.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Launch, Server, Tree, eventually, every};

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
fn preconditions_are_ignored_for_what_is_not_there() {
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
    let server = Server::of(tree, &[]);
    let response = server.get("/page.html");
    // RFC 9110 §8.8.2.1: where it lies in the future, the time of the answer stands for it.
    if let Some(date) = response.field("last-modified") {
        let told = httpdate::parse_http_date(date).unwrap();
        assert!(told <= httpdate::parse_http_date(&response["date"]).unwrap(), "{date}");
    }
}

/// Seconds since 1970 that images and archives made to be reproducible give all their files.
const SET: [u64; 4] = [0, 1, 315_532_800, 1_700_000_000];

/// A length that is held in memory, the longest such, the next one, and a long one.
const LENGTHS: [usize; 4] = [5000, 65_536, 65_537, 300_000];

/// Puts other bytes at the place of a file.
type Swap = fn(&Tree, &str, &[u8]);

fn by_rename(tree: &Tree, name: &str, bytes: &[u8]) {
    tree.file(name, bytes);
}

fn in_place(tree: &Tree, name: &str, bytes: &[u8]) {
    File::options().write(true).open(tree.at(name)).unwrap().write_all_at(bytes, 0).unwrap();
}

fn by_a_link(tree: &Tree, name: &str, bytes: &[u8]) {
    // The other file was there long before, under a name of its own.
    std::fs::hard_link(tree.file("other", bytes), tree.at(".draft")).unwrap();
    std::fs::rename(tree.at(".draft"), tree.at(name)).unwrap();
}

#[test]
fn other_bytes_of_the_same_length_and_time_have_another_tag() {
    let swaps: [(&str, Swap); 3] = [("rename", by_rename), ("in place", in_place), ("link", by_a_link)];
    let rows = SET.iter().flat_map(|&set| {
        LENGTHS
            .iter()
            .flat_map(move |&length| swaps.into_iter().map(move |(how, swap)| (set, length, how, swap)))
    });
    // With the cache as it is, with one that believes what it isn't told, and without one.
    for flags in [&[][..], &["--cache-valid", "1h"], &["--cache-valid", "0"]] {
        let server = Server::start(flags);
        let tree = server.tree();
        let put = |swap: Swap, set: u64, bytes: &[u8]| {
            swap(tree, "set.bin", bytes);
            tree.modified("set.bin", SystemTime::UNIX_EPOCH + Duration::from_secs(set));
        };
        every(rows.clone().map(|row| (format!("{:?} {flags:?}", (row.0, row.1, row.2)), row)), |row| {
            let (set, length, _, swap) = row;
            let versions = [b"A", b"B", b"C"].map(|letter| letter.repeat(length));
            put(by_rename, set, &versions[0]);
            let mut seen = vec![server.get("/set.bin")["etag"].clone()];
            for other in &versions[1..] {
                put(swap, set, other);
                for tag in &seen {
                    server.get_with("/set.bin", &format!("If-None-Match: {tag}\r\n")).is(200, other);
                    server.get_with("/set.bin", &format!("If-Match: {tag}\r\n")).has_status(&[412]);
                    let resume = format!("Range: bytes=1000-\r\nIf-Range: {tag}\r\n");
                    server.get_with("/set.bin", &resume).is(200, other);
                }
                let tag = server.get("/set.bin")["etag"].clone();
                assert!(tag.starts_with('"') && !seen.contains(&tag), "{tag} was the tag of other bytes");
                server.get_with("/set.bin", &format!("If-None-Match: {tag}\r\n")).has_status(&[304]);
                let resume = format!("Range: bytes=1000-\r\nIf-Range: {tag}\r\n");
                server.get_with("/set.bin", &resume).is(206, &other[1000..]);
                seen.push(tag);
            }
        });
    }
}

#[test]
fn the_first_seconds_of_1970_are_no_date() {
    // They are what a build sets that knows no time. RFC 9110 §13.1.3 and §13.1.4: a server without a date of
    // the last change ignores the fields that ask for it.
    let tree = Tree::site();
    let second = Duration::from_secs(1);
    for (name, time) in [
        ("page.html", SystemTime::UNIX_EPOCH),
        ("text.txt", SystemTime::UNIX_EPOCH + second),
        ("empty.txt", SystemTime::UNIX_EPOCH + second + Duration::from_millis(999)),
        ("large.html", SystemTime::UNIX_EPOCH + second),
        ("dir/index.html", SystemTime::UNIX_EPOCH - Duration::from_secs(86_400)),
    ] {
        tree.modified(name, time);
    }
    tree.modified("index.html", SystemTime::UNIX_EPOCH + 2 * second);
    let server = Server::of(tree, &[]);
    let dates = [
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:01 GMT",
        "Thu, 01 Jan 1970 00:00:02 GMT",
        SAME,
        "Fri, 01 Jan 2100 00:00:00 GMT",
    ];
    for target in ["/page.html", "/text.txt", "/empty.txt", "/large.html", "/dir/"] {
        let full = server.get(target);
        full.has_status(&[200]);
        assert_eq!(full.field("last-modified"), None, "{target}");
        every(dates.map(|date| (format!("{target} {date}"), date)), |date| {
            let answer = |fields: &str| server.get_with(target, fields);
            answer(&format!("If-Modified-Since: {date}\r\n")).is(200, &full.body);
            answer(&format!("If-Unmodified-Since: {date}\r\n")).is(200, &full.body);
            answer(&format!("Range: bytes=0-4\r\nIf-Range: {date}\r\n")).is(200, &full.body);
            let tag = &full["etag"];
            let known = answer(&format!("If-None-Match: {tag}\r\nIf-Modified-Since: {date}\r\n"));
            known.has_status(&[304]);
            assert_eq!((known.field("last-modified"), &known["etag"]), (None, tag));
        });
        let part = server.get_with(target, "Range: bytes=0-0\r\n");
        part.has_status(&[if full.body.is_empty() { 200 } else { 206 }]);
        assert_eq!(part.field("last-modified"), None);
    }
    let date = server.get("/")["last-modified"].clone();
    assert_eq!(date, "Thu, 01 Jan 1970 00:00:02 GMT");
    server.get_with("/", &format!("If-Modified-Since: {date}\r\n")).has_status(&[304]);
}

#[test]
fn the_tag_of_a_short_file_follows_from_its_bytes_alone() {
    // XXH3 in 128 bits, as `xxhsum -H2` has it: the same on every machine and in every release.
    let tags = [
        ("/page.html", "\"26-ad194b28e6f02ae82b748428a1889381\""),
        ("/empty.txt", "\"0-99aa06d3014798d86001c324468d497f\""),
        ("/dir/inner.txt", "\"7-5091ee6f0d20ff80817e2a8534aac7b8\""),
        ("/", "\"22-65efea48a131e12c07edc610dc0da580\""),
    ];
    let replicas = [Server::start(&[]), Launch::site().workers(2).start()];
    let touched = replicas[1].tree();
    touched.file("new.html", PAGE);
    std::fs::rename(touched.at("new.html"), touched.at("page.html")).unwrap();
    touched.modified("page.html", SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + 3600));
    touched.modified("empty.txt", SystemTime::UNIX_EPOCH);
    for server in &replicas {
        every(tags.map(|row| (row.0, row)), |(target, tag)| assert_eq!(server.get(target)["etag"], tag));
    }
}

#[test]
fn the_tag_of_a_long_file_stays_while_nothing_changes() {
    let tree = Arc::new(Tree::site());
    let first = Launch::of(Arc::clone(&tree)).workers(3).start();
    // Each worker has a tag by the stamp until it has the digest of the content, which may take a while here.
    let settled = |server: &Server| {
        eventually("the digest of the content is known to all workers", || {
            let tags = || server.get("/large.html")["etag"].clone();
            let tag = tags();
            (tag.matches('-').count() == 1 && (0..20).all(|_| tags() == tag)).then_some(tag)
        })
    };
    let tag = settled(&first);
    assert!(tag.starts_with('"'), "{tag}");
    (0..20).for_each(|_| assert_eq!(first.get("/large.html")["etag"], tag));
    drop(first);
    let second = Server::of(tree, &["--cache-valid", "0"]);
    assert_eq!(settled(&second), tag);
}

#[test]
fn an_empty_file_and_a_large_one_are_compared_too() {
    let server = Server::start(&[]);
    for target in ["/empty.txt", "/large.html", "/"] {
        let tag = server.get(target)["etag"].clone();
        server.get_with(target, &format!("If-None-Match: {tag}\r\n")).has_status(&[304]);
    }
}
