//! Single parts that every request passes, without a socket: what parsing a head costs, and what deciding its
//! answer does. The throughput that is told is of bytes for the parser and of requests for the site.

#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark reports")]
#![allow(missing_docs, reason = "this is a program")]

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mayhttpd::background::{Background, Completion, GaveUp, JobWaiter};
use mayhttpd::config::Settings;
use mayhttpd::http::request::{ParsedHead, Request};
use mayhttpd::metrics::Row;
use mayhttpd::site::Site;
use mayhttpd::store::Store;
use mayhttpd::store::root::OpenedRoot;
use mayhttpd::sys::file::Root;
use mayhttpd::sys::socket::PeerAddress;
use mayhttpd::time::Now;

fn main() {
    divan::main();
}

/// Heads as clients send them: a load generator's, a browser's, and one at the limit of fields.
const HEADS: [&str; 3] = ["generator", "browser", "100 fields"];

fn head(name: &str) -> Vec<u8> {
    let line = "GET /small.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n";
    let fields = match name {
        "generator" => String::new(),
        "browser" => "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                      Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                      Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
                      Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\
                      Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
                      Sec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nPriority: u=0, i\r\n"
            .to_owned(),
        _ => (1..100).map(|number| format!("X-Field-{number}: a value of some length\r\n")).collect(),
    };
    format!("{line}{fields}\r\n").into_bytes()
}

fn request(bytes: &[u8]) -> Request<'_> {
    match ParsedHead::parse(bytes) {
        ParsedHead::Complete(request, _) => request,
        other => panic!("{other:?}"),
    }
}

#[divan::bench(args = HEADS)]
fn parse_head(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = head(name);
    request(&bytes);
    bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
        let head = ParsedHead::parse(black_box(&bytes));
        assert!(matches!(black_box(&head), ParsedHead::Complete(..)));
    });
}

/// What a request asks of the site, with the status that it must get.
const QUESTIONS: [(&str, u16); 6] = [
    ("cached file", 200),
    ("range", 206),
    ("not modified", 304),
    ("not found", 404),
    ("index page", 200),
    ("looked at again", 200),
];

/// A site over files of this benchmark's own, which are gone with it.
struct Served {
    site: Site,
    directory: PathBuf,
}

/// The answers all come at one moment, so that nothing in the cache grows old.
fn now() -> Now {
    Now { tick: 1, wall: SystemTime::now() }
}

/// All is read by the thread that asks, so that nothing waits.
struct Alone;

impl JobWaiter for Alone {
    fn wait(&mut self, _: &Completion) -> Result<Now, GaveUp> {
        Err(GaveUp::TimedOut)
    }

    fn pause(&mut self, _: u32) -> Result<Now, GaveUp> {
        Err(GaveUp::ClientGone)
    }

    fn wait_until(&mut self, job: &Completion, _: std::time::Duration) -> Result<Now, GaveUp> {
        self.wait(job)
    }
}

impl Served {
    fn make() -> Self {
        let directory = std::env::temp_dir().join(format!("mayhttpd-parts-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("index.html"), [b'x'; 38]).unwrap();
        fs::write(directory.join("page.bin"), vec![b'x'; 10 * 1024]).unwrap();
        let site = Self::site(&directory, &Settings::default());
        Self { site, directory }
    }

    fn site(directory: &Path, settings: &Settings) -> Site {
        let root = Root::open(directory).unwrap();
        let root = Some(OpenedRoot::new((root, directory.to_owned())));
        let metrics = Row::alone().unwrap();
        let background = Box::leak(Box::new(Background::start(0, 0, metrics).unwrap()));
        let store = Store::new(settings, root, Vec::new(), metrics, background, now());
        Site::new(settings, &[], store)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[divan::bench(args = QUESTIONS)]
fn answer(bencher: Bencher<'_, '_>, (name, status): (&str, u16)) {
    let served = Served::make();
    let uncached;
    let (site, target, field) = match name {
        "range" => (&served.site, "/page.bin", "Range: bytes=100-199\r\n"),
        "not modified" => (&served.site, "/page.bin", "If-None-Match: *\r\n"),
        "not found" => (&served.site, "/none.html", ""),
        "index page" => (&served.site, "/", ""),
        // A cache of no age is looked at again for each request.
        "looked at again" => {
            let settings = Settings { cache_valid: std::time::Duration::ZERO, ..Settings::default() };
            uncached = Served::site(&served.directory, &settings);
            (&uncached, "/page.bin", "")
        }
        _ => (&served.site, "/page.bin", ""),
    };
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{field}\r\n");
    let request = request(bytes.as_bytes());
    let now = now();
    let client = PeerAddress::Ip(Ipv4Addr::LOCALHOST.into());
    let answer = site.answer(&request, client, now, &mut Alone);
    assert_eq!(answer.response.status.code(), status, "{name}");
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench_local(|| site.answer(black_box(&request), client, now, &mut Alone));
}
