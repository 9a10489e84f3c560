//! One answer, read more strictly than any browser does: what a lenient client would forgive is a fault here.

use std::sync::LazyLock;

/// A field of which an answer may have one at most.
const SINGLE: &[&str] = &[
    "accept-ranges",
    "allow",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "server",
];

/// True if two changes of a file may have one time here, so that tags may be weak: before Linux 6.13, and on
/// file systems that were not converted then.
fn has_coarse_clock() -> bool {
    static COARSE: LazyLock<bool> = LazyLock::new(|| {
        let release = rustix::system::uname().release().to_str().unwrap().to_owned();
        let mut numbers = release.split(['.', '-', '+']).map(|number| number.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        // ext4, XFS, Btrfs and tmpfs (statfs(2)).
        let fine = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];
        let kind = rustix::fs::statfs(std::env::temp_dir()).unwrap().f_type;
        version < (6, 13) || !fine.contains(&(kind as u64 & 0xffff_ffff))
    });
    *COARSE
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Parses a head (without the empty line that ends it) and checks what holds for every answer.
    #[track_caller]
    pub fn parse(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap();
        let rest = status_line.strip_prefix("HTTP/1.1 ");
        let rest = rest.unwrap_or_else(|| panic!("bad status line {status_line:?}"));
        let (status, reason) = rest.split_once(' ').unwrap_or_else(|| panic!("no reason in {status_line:?}"));
        assert!(status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit()), "{status_line:?}");
        let fields = lines.map(field).collect();
        let response =
            Self { status: status.parse().unwrap(), reason: reason.to_owned(), fields, body: Vec::new() };
        response.check(&text);
        let connection = response.field("connection");
        assert!(response.status < 200 || connection.is_some(), "no connection in {text:?}");
        assert!(connection.is_none_or(|word| matches!(word, "close" | "keep-alive")), "{text:?}");
        response
    }

    /// An answer by HTTP/2 whose body follows: its fields, `:status` first, and what holds for every answer
    /// (RFC 9113 sections 8.2 and 8.3.2).
    #[track_caller]
    pub fn of_fields(mut fields: Vec<(String, String)>) -> Self {
        let shown = format!("{fields:?}");
        let (name, status) = fields.remove(0);
        let is_status = status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit());
        assert!(name == ":status" && is_status, "no :status first: {shown}");
        for (name, value) in &fields {
            let is_token =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte));
            assert!(is_token && !name.is_empty(), "not the name of a field: {name:?} in {shown}");
            assert!(value == value.trim() && !value.is_empty(), "stray space in {name} in {shown}");
            assert!(!value.contains(char::is_control), "control character in {shown}");
        }
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
            assert!(!fields.iter().any(|(own, _)| own == name), "{name} in {shown}");
        }
        let response =
            Self { status: status.parse().unwrap(), reason: String::new(), fields, body: Vec::new() };
        // A head that is too long is refused by the crate h2 itself, with nothing but the status.
        if response.status != 431 || !response.fields.is_empty() {
            response.check(&shown);
        }
        response
    }

    #[track_caller]
    fn check(&self, head: &str) {
        assert!(!head.replace("\r\n", "").contains(char::is_control), "control character in {head:?}");
        for name in SINGLE {
            assert!(self.all(name).len() <= 1, "{name} more than once in {head:?}");
        }
        assert!(self.field("transfer-encoding").is_none(), "Transfer-Encoding in {head:?}");
        if self.status < 200 {
            assert!(self.field("content-length").is_none(), "a length on an interim answer: {head:?}");
            return;
        }
        for name in ["server", "date"] {
            assert!(self.field(name).is_some(), "no {name} in {head:?}");
        }
        for name in ["date", "last-modified"] {
            let date = self.field(name);
            assert!(date.is_none_or(is_imf_fixdate), "{name} is not an HTTP date: {head:?}");
        }
        if self.status != 304 && self.status != 204 {
            assert!(self.field("content-length").is_some(), "no Content-Length in {head:?}");
        }
        if let Some(length) = self.field("content-length") {
            assert!(length.parse::<u64>().is_ok_and(|number| number.to_string() == length), "{head:?}");
        }
        if let Some(tag) = self.field("etag") {
            let opaque = tag.strip_prefix("W/").filter(|_| has_coarse_clock()).unwrap_or(tag);
            let is_tag = opaque.len() > 2 && opaque.starts_with('"') && opaque.ends_with('"');
            assert!(is_tag, "not a strong tag: {head:?}");
        }
    }

    /// The field's value, by its name in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// How many bytes of body are announced. None: the answer has no such field.
    pub fn length(&self) -> Option<u64> {
        self.field("content-length").map(|length| length.parse().unwrap())
    }

    /// Whether the answer says that the connection ends with it.
    pub fn closes(&self) -> bool {
        self["connection"] == "close"
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Holds the answer to a status and an exact body.
    #[track_caller]
    pub fn is(&self, status: u16, body: impl AsRef<[u8]>) {
        self.has_status(&[status]);
        let body = body.as_ref();
        if self.body != body {
            let same = self.body.iter().zip(body).take_while(|(left, right)| left == right).count();
            let (got, wanted) = (self.body.len(), body.len());
            panic!("wrong body: {got} bytes for {wanted}, the first {same} right");
        }
    }

    #[track_caller]
    pub fn has_status(&self, wanted: &[u16]) {
        assert!(wanted.contains(&self.status), "{} {}, wanted {wanted:?}", self.status, self.reason);
    }
}

impl std::ops::Index<&str> for Response {
    type Output = String;

    /// A field that has to be there.
    fn index(&self, name: &str) -> &String {
        let found = self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no {name} in a {} answer: {:?}", self.status, self.fields)).1
    }
}

#[track_caller]
fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("bad field line {line:?}"));
    let special = matches!(name, "ETag" | "WWW-Authenticate");
    assert!(special || name.split('-').all(is_capitalised), "unusual casing of {name:?}");
    assert!(value == value.trim() && !value.is_empty(), "stray space in {line:?}");
    (name.to_owned(), value.to_owned())
}

fn is_capitalised(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, to the letter: parsing is lenient, so it has to come out the same.
fn is_imf_fixdate(date: &str) -> bool {
    httpdate::parse_http_date(date).is_ok_and(|time| httpdate::fmt_http_date(time) == date)
}
