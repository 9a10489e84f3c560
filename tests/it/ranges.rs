//! Parts of a file: single, several, unsatisfiable, and those that are ignored.

use crate::support::tree::{TEXT, text};
use crate::support::{Response, Server, every};

#[test]
fn a_single_range_is_cut_exactly() {
    let server = Server::start(&[]);
    let rows = [
        ("bytes=0-0", 0, 0),
        ("bytes=0-4", 0, 4),
        ("bytes=0-999", 0, 999),
        ("bytes=0-1000", 0, 999),
        ("bytes=0-99999999999999999999999", 0, 999),
        ("bytes=0-", 0, 999),
        ("bytes=500-", 500, 999),
        ("bytes=999-", 999, 999),
        ("bytes=999-999", 999, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-1000", 0, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=-99999999999999999999999", 0, 999),
        ("bytes=007-0009", 7, 9),
        ("BYTES=1-2", 1, 2),
        ("bytes= 1-2", 1, 2),
        ("bytes=1-2,", 1, 2),
        ("bytes=,1-2", 1, 2),
        ("bytes=5000-,1-2", 1, 2),
        ("bytes=1-2,5000-6000", 1, 2),
    ];
    every(rows.map(|row| (row.0, row)), |(range, first, last)| {
        let response = server.get_with("/text.txt", &format!("Range: {range}\r\n"));
        response.is(206, &text()[first..=last]);
        assert_eq!(response["content-range"], format!("bytes {first}-{last}/1000"));
        assert_eq!(response["content-type"], "text/plain");
        assert_eq!(response["etag"], server.get("/text.txt")["etag"]);
        assert_eq!(response["last-modified"], "Sun, 13 Sep 2020 12:26:40 GMT");
    });
}

#[test]
fn what_lies_behind_the_end_is_416() {
    let server = Server::start(&[]);
    let ranges = [
        "bytes=1000-",
        "bytes=1000-2000",
        "bytes=5000-6000",
        "bytes=-0",
        "bytes=1000-,-0",
        "bytes=99999999999999999999999-",
        "bytes=18446744073709551616-18446744073709551617",
    ];
    every(ranges.map(|range| (range, range)), |range| {
        let response = server.get_with("/text.txt", &format!("Range: {range}\r\n"));
        response.has_status(&[416]);
        assert_eq!(response["content-range"], "bytes */1000");
    });
}

#[test]
fn a_range_that_is_none_is_ignored() {
    // RFC 9110 §14.2: a field that is malformed, or in another unit, is as if it weren't there.
    let server = Server::start(&[]);
    let ranges = [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=1-2,9-8",
        "bytes=1--2",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=1",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1 2",
        "bytes=1-2;3-4",
        "bytes:1-2",
        "lines=1-2",
        "items=0-4",
        "bytes 0-4",
        "0-4",
        "=0-4",
        "bytes==0-4",
        "none",
        "bytes=1.0-2",
    ];
    every(ranges.map(|range| (range, range)), |range| {
        server.get_with("/text.txt", &format!("Range: {range}\r\n")).is(200, text());
    });
}

#[test]
fn a_range_of_an_empty_file_gets_the_empty_file() {
    // RFC 9110 §14.2 lets a server ignore Range. A proxy that fetches files in slices (nginx `slice`) asks
    // for the first one whatever the size is, and would pass a 416 on to a client that asked for no range.
    let server = Server::start(&[]);
    let whole = server.get("/empty.txt");
    let ranges = [
        "bytes=0-",
        "bytes=0-0",
        "bytes=0-1048575",
        "bytes=5-",
        "bytes=5-9",
        "bytes=-0",
        "bytes=-1",
        "bytes=-5",
        "bytes=0-0,-1",
        "bytes=0-,5-9,-5",
        "bytes=18446744073709551616-",
        "bytes=nonsense",
    ];
    let tag = &whole["etag"];
    let conditions = [
        String::new(),
        format!("If-Range: {tag}\r\n"),
        "If-Range: \"other\"\r\n".to_owned(),
        format!("If-Match: {tag}\r\n"),
    ];
    let rows = ranges.iter().flat_map(|range| conditions.iter().map(move |condition| (range, condition)));
    every(rows.map(|row| (format!("{row:?}"), row)), |(range, condition)| {
        let response = server.get_with("/empty.txt", &format!("Range: {range}\r\n{condition}"));
        response.is(200, "");
        assert_eq!(response.length(), Some(0));
        assert_eq!(response["etag"], *tag);
        assert!(response.field("content-range").is_none());
    });
    server.ask("HEAD /empty.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-\r\n\r\n").has_status(&[200]);
    // Preconditions still come first.
    server.get_with("/empty.txt", &format!("Range: bytes=0-\r\nIf-None-Match: {tag}\r\n")).has_status(&[304]);
}

#[test]
fn several_ranges_come_as_multipart() {
    let server = Server::start(&[]);
    let rows: [(&str, &[(usize, usize)]); 5] = [
        ("bytes=0-9,20-29", &[(0, 9), (20, 29)]),
        ("bytes=0-0,-1", &[(0, 0), (999, 999)]),
        ("bytes= 0-9 , 20-29 ,, 40-", &[(0, 9), (20, 29), (40, 999)]),
        ("bytes=0-1,10-11,20-21,30-31", &[(0, 1), (10, 11), (20, 21), (30, 31)]),
        ("bytes=0-9,5000-6000,20-29", &[(0, 9), (20, 29)]),
    ];
    every(rows.map(|row| (row.0, row)), |(range, wanted)| {
        let response = server.get_with("/text.txt", &format!("Range: {range}\r\n"));
        response.has_status(&[206]);
        assert_eq!(parts(&response), wanted);
    });
}

/// The ranges in a multipart answer, whose every byte is checked on the way.
#[track_caller]
fn parts(response: &Response) -> Vec<(usize, usize)> {
    assert!(
        response.field("content-range").is_none(),
        "RFC 9110 §15.3.7.2: no Content-Range beside multipart"
    );
    let media = response["content-type"].strip_prefix("multipart/byteranges; boundary=");
    let boundary = media.unwrap_or_else(|| panic!("{}", response["content-type"])).trim_matches('"');
    let body = &response.body;
    let end = format!("\r\n--{boundary}--\r\n");
    let inner = body.strip_suffix(end.as_bytes()).or_else(|| body.strip_suffix(end.trim_end().as_bytes()));
    let mut rest = inner.unwrap_or_else(|| panic!("no closing boundary: {}", body.escape_ascii()));
    let opening = format!("--{boundary}\r\n");
    rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    let (file, mut found) = (text(), Vec::new());
    loop {
        rest = rest.strip_prefix(opening.as_bytes()).expect("a part begins with its boundary");
        let length = memchr::memmem::find(rest, b"\r\n\r\n").expect("a part has a head");
        let head = String::from_utf8_lossy(&rest[..length]).to_lowercase();
        assert!(head.contains("content-type: text/plain"), "{head}");
        let place = head.split("content-range: bytes ").nth(1).expect("a part has its Content-Range");
        let (range, size) = place.lines().next().unwrap().split_once('/').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(size.parse(), Ok(TEXT));
        rest = &rest[length + 4..];
        assert_eq!(rest[..=last - first], file[first..=last], "the bytes of {range}");
        found.push((first, last));
        rest = &rest[last - first + 1..];
        if rest.is_empty() {
            return found;
        }
        rest = rest.strip_prefix(b"\r\n").expect("a line end after a part");
    }
}

#[test]
fn overlapping_and_touching_ranges_are_sent_once() {
    let server = Server::start(&[]);
    let ranges = [
        "bytes=0-9,5-14",
        "bytes=0-4,0-4",
        "bytes=0-99,10-19",
        "bytes=20-29,0-9,5-24",
        "bytes=0-,0-,0-",
        "bytes=-1,0-",
    ];
    every(ranges.map(|range| (range, range)), |range| {
        let response = server.get_with("/text.txt", &format!("Range: {range}\r\n"));
        response.has_status(&[200, 206, 416]);
        let sent = if response.field("content-range").is_some() || response.status != 206 {
            response.body.len()
        } else {
            parts(&response).iter().map(|(first, last)| last - first + 1).sum()
        };
        assert!(sent <= TEXT, "{sent} bytes of a file of {TEXT}");
    });
}

#[test]
fn ranges_out_of_order_arrive_all() {
    let server = Server::start(&[]);
    let response = server.get_with("/text.txt", "Range: bytes=500-509,0-9\r\n");
    response.has_status(&[206]);
    let mut found = parts(&response);
    found.sort_unstable();
    assert_eq!(found, [(0, 9), (500, 509)]);
}

#[test]
fn more_than_32_ranges_are_ignored() {
    let server = Server::start(&[]);
    let ranges = |count: usize| {
        (0..count).map(|at| format!("{}-{}", at * 10, at * 10 + 1)).collect::<Vec<_>>().join(",")
    };
    let response = server.get_with("/text.txt", &format!("Range: bytes={}\r\n", ranges(32)));
    response.has_status(&[206]);
    assert_eq!(parts(&response).len(), 32);
    for count in [33, 99] {
        server.get_with("/text.txt", &format!("Range: bytes={}\r\n", ranges(count))).is(200, text());
    }
    // The attack of 2011: a thousand overlapping pieces of the whole file.
    let attack: String = (0..1000).map(|at| format!(",5-{at}")).collect();
    server.get_with("/text.txt", &format!("Range: bytes=0-{attack}\r\n")).has_status(&[200, 206, 416]);
}

#[test]
fn if_range_gives_the_part_only_of_the_same_file() {
    let server = Server::start(&[]);
    let full = server.get("/text.txt");
    let (tag, date) = (&full["etag"], &full["last-modified"]);
    let rows = [
        (tag.clone(), 206),
        (date.clone(), 206),
        (format!("W/{tag}"), 200),
        ("\"other\"".into(), 200),
        ("Sun, 13 Sep 2020 12:26:39 GMT".into(), 200),
        ("Sun, 13 Sep 2020 12:26:41 GMT".into(), 200),
        ("*".into(), 200),
        (format!("{tag}, \"other\""), 200),
        ("nonsense".into(), 200),
    ];
    every(rows.iter().map(|row| (&row.0, row)), |(form, status)| {
        let response = server.get_with("/text.txt", &format!("Range: bytes=0-4\r\nIf-Range: {form}\r\n"));
        let body = if *status == 206 { text()[..5].to_vec() } else { text() };
        response.is(*status, body);
    });
    server.get_with("/text.txt", &format!("If-Range: {tag}\r\n")).is(200, text());
    // A range behind the end counts only where the file is the same.
    server.get_with("/text.txt", "Range: bytes=5000-\r\nIf-Range: \"other\"\r\n").is(200, text());
}

#[test]
fn preconditions_come_before_the_range() {
    let server = Server::start(&[]);
    server.get_with("/text.txt", "Range: bytes=0-4\r\nIf-None-Match: *\r\n").has_status(&[304]);
    server.get_with("/text.txt", "Range: bytes=0-4\r\nIf-Match: \"x\"\r\n").has_status(&[412]);
    server.get_with("/text.txt", "Range: bytes=5000-\r\nIf-None-Match: *\r\n").has_status(&[304]);
    server.get_with("/text.txt", "Range: bytes=0-4\r\nIf-None-Match: \"x\"\r\n").is(206, &text()[..5]);
}

#[test]
fn a_range_of_what_is_no_file_changes_nothing() {
    let server = Server::start(&[]);
    server.get_with("/absent", "Range: bytes=0-4\r\n").has_status(&[404]);
    server.get_with("/bare/", "Range: bytes=0-4\r\n").has_status(&[403]);
    server.get_with("/dir", "Range: bytes=0-4\r\n").has_status(&[301]);
}

#[test]
fn two_range_fields_are_ignored_or_one_list() {
    let server = Server::start(&[]);
    server.get_with("/text.txt", "Range: bytes=0-4\r\nRange: bytes=10-14\r\n").has_status(&[200, 206, 400]);
}

#[test]
fn parts_of_a_large_file_add_up_to_it() {
    let server = Server::start(&[]);
    let whole = crate::support::tree::large();
    let mut client = server.client();
    for (index, piece) in whole.chunks(100_001).enumerate() {
        let first = index * 100_001;
        let last = first + piece.len() - 1;
        client.send(format!("GET /large.html HTTP/1.1\r\nHost: test\r\nRange: bytes={first}-{last}\r\n\r\n"));
        client.response().is(206, piece);
    }
}
