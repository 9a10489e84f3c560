//! All workloads: the list of what is asked of the servers, in the order of the report.

use super::content::Files;
use super::disk::Disk;
use super::generator::Generator;
use super::peers::Ability;
use super::protocol::Protocol;
use super::site::{self, Site};
use super::workload::{Fields, Good, Workload};

/// The length of the response at `/info`.
const INFO: u64 = 40;

/// What most have in common: the small page, kept alive, one worker.
const USUAL: Workload = Workload {
    name: "",
    what: "",
    files: Files::Small,
    target: "/small.html",
    protocol: Protocol::Plain,
    site: Site::Plain,
    status: 200,
    good: Good::Length(38),
    fields: Fields::None,
    generator: Generator::wrk(64),
    close: false,
    least: 1,
    disk: None,
    idle: 0,
    workers: 1,
    needs: &[],
    by_bytes: false,
    quick: false,
    tuned: false,
};

/// What those of redirects have in common.
const REDIRECTS: Workload = Workload {
    target: "/old/0/page.html",
    status: 301,
    good: Good::Location("/new/0/page.html"),
    needs: &[Ability::Redirects],
    ..USUAL
};

/// What those of TLS have in common. Their clients begin with 64 handshakes, which take most of a second
/// where other programs run.
const TLS: Workload =
    Workload { protocol: Protocol::Tls, least: 2, needs: &[Ability::Tls], quick: true, ..USUAL };

/// What those of HTTP/2 have in common.
const HTTP2: Workload =
    Workload { protocol: Protocol::Http2, needs: &[Ability::Http2], quick: true, ..USUAL };

/// h2load with 64 connections, so many streams at once on each, and so many requests for each second: about
/// as many as nginx can answer.
const fn h2load(streams: u32, requests: u64) -> Generator {
    Generator::H2load { connections: 64, streams, requests }
}

/// All of them, in the order of the report.
pub const ALL: &[Workload] = &[
    Workload {
        name: "keep-1",
        what: "38-byte page, 1 kept connection",
        generator: Generator::wrk(1),
        ..USUAL
    },
    Workload {
        name: "keep-64",
        what: "38-byte page, 64 kept connections",
        quick: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "keep-64-h2load",
        what: "the same by h2load, in HTTP/1.1",
        generator: h2load(1, 80_000),
        // It doesn't connect again when it was told that the connection goes on.
        needs: &[Ability::Keep],
        quick: true,
        ..USUAL
    },
    Workload {
        name: "keep-64-siege",
        what: "the same by siege, as a check",
        generator: Generator::Siege { connections: 64 },
        needs: &[Ability::Keep],
        ..USUAL
    },
    Workload {
        name: "keep-1000",
        what: "38-byte page, 1000 kept connections",
        generator: Generator::wrk(1000),
        ..USUAL
    },
    Workload {
        name: "keep-10000",
        what: "38-byte page, 10,000 kept connections",
        generator: Generator::wrk(10_000),
        // They all connect at once, which overflows queues, so that some come in a second later or two.
        least: 5,
        needs: &[Ability::Crowd],
        ..USUAL
    },
    Workload {
        name: "close-64",
        what: "38-byte page, a connection per request, 64 at once",
        close: true,
        quick: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "ab-100",
        what: "38-byte page, ab -n 50000 -c 100",
        generator: Generator::Ab { requests: 50_000, connections: 100 },
        close: true,
        quick: true,
        ..USUAL
    },
    Workload {
        name: "ab-2000",
        what: "38-byte page, ab -c 2000 -n 10000",
        generator: Generator::Ab { requests: 10_000, connections: 2000 },
        close: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "pipeline-16",
        what: "38-byte page, 64 kept connections, 16 requests at a time",
        generator: Generator::scripted(64, include_str!("generator/pipeline.lua")),
        needs: &[Ability::Pipelining],
        quick: true,
        ..USUAL
    },
    Workload {
        name: "fixed",
        what: "fixed reply at /info, 64 kept connections",
        target: "/info",
        site: Site::Fixed,
        good: Good::Length(INFO),
        needs: &[Ability::Fixed],
        ..USUAL
    },
    Workload {
        name: "10k",
        what: "10 KiB file, 64 kept connections",
        files: Files::Ten,
        target: "/10k.bin",
        good: Good::Length(10 * 1024),
        quick: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "page-955k",
        what: "955 KB page, 100 kept connections",
        files: Files::Page,
        target: "/page.html",
        good: Good::Length(955_000),
        generator: Generator::wrk(100),
        // The floor copies, and what sends a file need not.
        needs: &[Ability::Files],
        by_bytes: true,
        quick: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "file-100m",
        what: "100 MB file, 4 kept connections",
        files: Files::Big,
        target: "/big.bin",
        good: Good::Length(100_000_000),
        generator: Generator::wrk(4),
        // A server that is fair to all four ends none of them in a second.
        least: 4,
        needs: &[Ability::Files],
        by_bytes: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "zipf-20000",
        what: "20,000 files by a Zipf law, 64 kept connections",
        files: Files::Many,
        target: "/many/0/0.html",
        good: Good::Length(512),
        generator: Generator::scripted(64, include_str!("generator/zipf.lua")),
        needs: &[Ability::Files],
        ..USUAL
    },
    Workload {
        name: "ranges",
        what: "ranges of 16 KiB of the 955 KB page, 64 kept connections",
        files: Files::Page,
        target: "/page.html",
        status: 206,
        good: Good::Length(16 * 1024),
        fields: Fields::Range,
        generator: Generator::scripted(64, include_str!("generator/ranges.lua")),
        needs: &[Ability::Ranges],
        ..USUAL
    },
    Workload {
        name: "not-modified",
        what: "304 for the 10 KiB file, 64 kept connections",
        files: Files::Ten,
        target: "/10k.bin",
        status: 304,
        good: Good::Length(0),
        fields: Fields::Validator,
        needs: &[Ability::Validators],
        ..USUAL
    },
    Workload {
        name: "idle-10000",
        what: "38-byte page, 64 kept connections beside 10,000 idle ones",
        idle: 10_000,
        needs: &[Ability::Crowd],
        ..USUAL
    },
    Workload {
        name: "workers-2",
        what: "38-byte page, 64 kept connections, 2 workers",
        workers: 2,
        needs: &[Ability::Workers],
        ..USUAL
    },
    Workload {
        name: "workers-4",
        what: "38-byte page, 64 kept connections, 4 workers",
        workers: 4,
        needs: &[Ability::Workers],
        ..USUAL
    },
    Workload {
        name: "precompressed",
        what: "200 KB script with variants beside it, gzip accepted, 64 kept connections",
        files: Files::Bundle,
        target: "/bundle/app.js",
        site: Site::Precompressed,
        good: Good::Coded,
        // One coding, so that all send the same bytes.
        fields: Fields::Always("Accept-Encoding", "gzip"),
        needs: &[Ability::Precompressed],
        ..USUAL
    },
    Workload {
        name: "compressed",
        what: "200 KB script that the server compresses, 64 kept connections",
        files: Files::Bundle,
        target: "/bundle/app.js",
        site: Site::Compressed,
        good: Good::Coded,
        fields: Fields::Always("Accept-Encoding", "gzip, deflate, br, zstd"),
        needs: &[Ability::Compressed],
        ..USUAL
    },
    Workload {
        name: "redirects-20",
        what: "redirects by 20 rules, 64 kept connections",
        site: Site::Redirects(20),
        generator: Generator::scripted(
            64,
            concat!("local RULES, PATHS = 20, 20\n", include_str!("generator/redirects.lua")),
        ),
        ..REDIRECTS
    },
    Workload {
        name: "redirects-10000",
        what: "20 redirects among 10,000 rules, 64 kept connections",
        site: Site::Redirects(10_000),
        // As many paths as with 20 rules, so that the number of rules is all that differs.
        generator: Generator::scripted(
            64,
            concat!("local RULES, PATHS = 10000, 20\n", include_str!("generator/redirects.lua")),
        ),
        ..REDIRECTS
    },
    Workload {
        name: "redirects-10000-all",
        what: "all redirects of 10,000 rules, 64 kept connections",
        site: Site::Redirects(10_000),
        generator: Generator::scripted(
            64,
            concat!("local RULES, PATHS = 10000, 10000\n", include_str!("generator/redirects.lua")),
        ),
        ..REDIRECTS
    },
    Workload {
        name: "hosts-1000",
        what: "38-byte page of 1000 hosts, 64 kept connections",
        files: Files::Hosts,
        target: "/host.html",
        site: Site::Hosts,
        fields: Fields::Always("Host", "host-0.example"),
        generator: Generator::scripted(64, include_str!("generator/hosts.lua")),
        needs: &[Ability::Hosts],
        ..USUAL
    },
    Workload {
        name: "listing-10000",
        what: "listing of 10,000 files, 16 kept connections",
        files: Files::Listed,
        target: "/listed/",
        site: Site::Listing,
        // Each entry has its name twice or more.
        good: Good::AtLeast(300_000),
        generator: Generator::wrk(16),
        needs: &[Ability::Listing],
        ..USUAL
    },
    Workload {
        name: "authenticated",
        what: "38-byte page behind a password (bcrypt, cost 5), 64 kept connections",
        site: Site::Authenticated,
        fields: Fields::Always("Authorization", site::AUTHORIZATION),
        needs: &[Ability::Authentication],
        ..USUAL
    },
    Workload {
        name: "cold",
        what: "100 clients on cold files of 0.6 to 4 KB, 20 ms an operation of the disk; times of 1 client on a warm file",
        files: Files::Cold,
        generator: Generator::Cold { clients: 100, folder: "/cold/" },
        least: 5,
        disk: Some(Disk::Cold),
        needs: &[Ability::Cold],
        ..USUAL
    },
    Workload {
        name: "cold-1m",
        what: "the same with files of 1 MiB whose names are known",
        files: Files::ColdLarge,
        generator: Generator::Cold { clients: 100, folder: "/large/" },
        least: 5,
        disk: Some(Disk::NamesKnown),
        needs: &[Ability::Cold],
        ..USUAL
    },
    Workload { name: "tls-38", what: "38-byte page over TLS, 64 kept connections", ..TLS },
    Workload {
        name: "tls-10k",
        what: "10 KiB file over TLS, 64 kept connections",
        files: Files::Ten,
        target: "/10k.bin",
        good: Good::Length(10 * 1024),
        ..TLS
    },
    Workload {
        name: "tls-955k",
        what: "955 KB page over TLS, 64 kept connections",
        files: Files::Page,
        target: "/page.html",
        good: Good::Length(955_000),
        by_bytes: true,
        ..TLS
    },
    Workload {
        name: "tls-full",
        what: "38-byte page, a connection by TLS with a full handshake per request, 16 at once",
        generator: Generator::Handshakes { clients: 16, resumed: false },
        ..TLS
    },
    Workload {
        name: "tls-resumed",
        what: "the same with resumed sessions",
        generator: Generator::Handshakes { clients: 16, resumed: true },
        ..TLS
    },
    Workload {
        name: "h2-m1",
        what: "38-byte page by HTTP/2, 64 kept connections",
        generator: h2load(1, 50_000),
        ..HTTP2
    },
    Workload {
        name: "h2-m16",
        what: "38-byte page by HTTP/2, 64 kept connections, 16 streams each",
        generator: h2load(16, 120_000),
        ..HTTP2
    },
    Workload {
        name: "h2-m100",
        what: "38-byte page by HTTP/2, 64 kept connections, 100 streams each",
        generator: h2load(100, 150_000),
        ..HTTP2
    },
    Workload {
        name: "h2-10k-m16",
        what: "10 KiB file by HTTP/2, 64 kept connections, 16 streams each",
        files: Files::Ten,
        target: "/10k.bin",
        good: Good::Length(10 * 1024),
        generator: h2load(16, 60_000),
        ..HTTP2
    },
    Workload {
        name: "h2-955k-m16",
        what: "955 KB page by HTTP/2, 64 kept connections, 16 streams each",
        files: Files::Page,
        target: "/page.html",
        good: Good::Length(955_000),
        generator: h2load(16, 1600),
        by_bytes: true,
        ..HTTP2
    },
];
