//! What is asked of the servers. A workload says which abilities it takes, and applies to the servers that
//! have them.

use super::content::Files;
use super::disk::Disk;
use super::generator::Generator;
use super::peers::{Ability, Peer};

/// The length of the response at `/info`.
pub const INFO: u64 = 40;

/// One kind of load.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub files: Files,
    pub target: &'static str,
    /// The status and the length of the body of a good answer.
    pub status: u16,
    pub length: u64,
    /// The further fields of each request.
    pub fields: Fields,
    pub generator: Generator,
    /// Whether each connection has one request.
    pub close: bool,
    /// The fewest seconds that tell something.
    pub least: u64,
    /// What the disk is beneath the files. A server then has a fresh one for each measurement.
    pub disk: Option<Disk>,
    /// Connections that are held idle meanwhile.
    pub idle: usize,
    pub workers: u16,
    pub needs: &'static [Ability],
    /// Whether bytes tell more than requests.
    pub by_bytes: bool,
    /// Whether it is among the few of a quick run.
    pub quick: bool,
    /// Whether it is measured in the namespaces too.
    pub tuned: bool,
}

/// Fields of a request beyond Host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    None,
    /// A range, which the script varies.
    Range,
    /// The validator of an earlier answer.
    Validator,
}

/// What most have in common: the small page, kept alive, one worker.
const USUAL: Workload = Workload {
    name: "",
    what: "",
    files: Files::Small,
    target: "/small.html",
    status: 200,
    length: 38,
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
        generator: Generator::H2load { connections: 64 },
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
        length: INFO,
        needs: &[Ability::Fixed],
        ..USUAL
    },
    Workload {
        name: "10k",
        what: "10 KiB file, 64 kept connections",
        files: Files::Ten,
        target: "/10k.bin",
        length: 10 * 1024,
        quick: true,
        tuned: true,
        ..USUAL
    },
    Workload {
        name: "page-955k",
        what: "955 KB page, 100 kept connections",
        files: Files::Page,
        target: "/page.html",
        length: 955_000,
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
        length: 100_000_000,
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
        length: 512,
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
        length: 16 * 1024,
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
        length: 0,
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
];

impl Workload {
    /// The seconds of a measurement, where `asked` are asked for.
    pub fn seconds(&self, asked: u64, quick: bool) -> u64 {
        // A quick run has no time for percentiles of many answers.
        let least = if quick && self.disk.is_some() { 2 } else { self.least };
        asked.max(least)
    }

    /// Whether it makes sense for this server, with this number of workers.
    pub fn applies(&self, peer: &Peer, workers: u16) -> bool {
        let many = workers > 1 && !peer.can.contains(&Ability::Workers);
        !many && self.needs.iter().all(|ability| peer.can.contains(ability))
    }
}
