//! The programs that make the load: what they are told, and what they tell.

pub mod ab;
pub mod h2load;
pub mod siege;
pub mod wrk;

use std::fs;
use std::path::Path;

use super::cold::{self, Cold};
use super::content::COLD;
use super::handshakes::{self, Handshakes};
use super::protocol::Protocol;
use super::record::Beside;

/// The program of generators that are parts of the kit.
pub const OWN: &str = "load";

/// A generator and how it is used.
#[derive(Clone, Copy, Debug)]
pub enum Generator {
    Wrk {
        connections: u32,
        script: &'static str,
    },
    Ab {
        requests: u32,
        connections: u32,
    },
    /// So many requests at once on each connection, which needs HTTP/2, and so many in all for each second of
    /// the order.
    H2load {
        connections: u32,
        streams: u32,
        requests: u64,
    },
    Siege {
        connections: u32,
    },
    /// The kit's own: clients on the cold files of this folder, beside one that asks for the target.
    Cold {
        clients: u32,
        folder: &'static str,
    },
    /// The kit's own: clients that connect by TLS for each request, with a full handshake or a resumed one.
    Handshakes {
        clients: u32,
        resumed: bool,
    },
}

/// What one run is told besides.
pub struct Order<'a> {
    pub program: &'a str,
    pub port: u16,
    pub protocol: Protocol,
    pub target: &'a str,
    pub fields: &'a [(String, String)],
    pub close: bool,
    pub seconds: u64,
    pub threads: usize,
    /// A tenth of the requests, where these are counted.
    pub quick: bool,
    /// A directory for scripts and logs.
    pub directory: &'a Path,
}

/// What a generator has measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    pub requests: u64,
    pub seconds: f64,
    pub bytes: f64,
    /// Requests and connections without a whole answer.
    pub failed: u64,
    /// Answers whose status says that something is wrong.
    pub non_2xx: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    /// Where the percentiles are those of one client beside the others.
    pub beside: Option<Beside>,
}

impl Generator {
    /// wrk with so many connections.
    pub const fn wrk(connections: u32) -> Self {
        Generator::Wrk { connections, script: "" }
    }

    /// wrk with so many connections, and a script that makes the requests.
    pub const fn scripted(connections: u32, script: &'static str) -> Self {
        Generator::Wrk { connections, script }
    }

    /// The program's name among the tools.
    pub fn program(&self) -> &'static str {
        match self {
            Generator::Wrk { .. } => "wrk",
            Generator::Ab { .. } => "ab",
            Generator::H2load { .. } => "h2load",
            Generator::Siege { .. } => "siege",
            Generator::Cold { .. } | Generator::Handshakes { .. } => OWN,
        }
    }

    /// The command of one run. Scripts are written to the order's directory.
    ///
    /// # Errors
    /// Where a script can't be written.
    pub fn command(&self, order: &Order<'_>) -> Result<Vec<String>, String> {
        match *self {
            Generator::Wrk { connections, script } => wrk::command(order, connections, script),
            Generator::Ab { requests, connections } => {
                let requests = if order.quick { requests / 10 } else { requests };
                Ok(ab::command(order, requests, connections))
            }
            Generator::H2load { connections, streams, requests } => {
                Ok(h2load::command(order, connections, streams, requests * order.seconds))
            }
            Generator::Siege { connections } => siege::command(order, connections),
            Generator::Cold { clients, folder } => {
                let warm = order.target.to_owned();
                let (port, seconds, folder) = (order.port, order.seconds, folder.to_owned());
                let cold = Cold { port, seconds, warm, folder, files: COLD, clients };
                own(cold.words())
            }
            Generator::Handshakes { clients, resumed } => {
                let target = order.target.to_owned();
                let (port, seconds) = (order.port, order.seconds);
                own(Handshakes { port, seconds, target, clients, resumed }.words())
            }
        }
    }

    /// What the output of such a run says.
    ///
    /// # Errors
    /// Where it is not that of a run that came to its end.
    pub fn parse(&self, output: &str, order: &Order<'_>) -> Result<Load, String> {
        match self {
            Generator::Wrk { .. } => wrk::parse(output),
            Generator::Ab { .. } => ab::parse(output),
            Generator::H2load { .. } => {
                let log = fs::read_to_string(h2load::log(order.directory)).unwrap_or_default();
                h2load::check(output, order.protocol)?;
                h2load::parse(output, &log)
            }
            Generator::Siege { .. } => siege::parse(output),
            Generator::Cold { .. } => cold::parse(output),
            Generator::Handshakes { .. } => handshakes::parse(output),
        }
    }
}

/// The URL of an order.
fn url(order: &Order<'_>) -> String {
    format!("{}://127.0.0.1:{}{}", order.protocol.scheme(), order.port, order.target)
}

/// The command of a part of the kit.
fn own(words: Vec<String>) -> Result<Vec<String>, String> {
    let kit = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok([vec![kit.to_string_lossy().into_owned()], words].concat())
}

/// The number behind `label` in the line that begins with it.
fn number(output: &str, label: &str) -> Option<f64> {
    let line = output.lines().find_map(|line| line.trim_start().strip_prefix(label))?;
    line.trim_start_matches([':', ' ']).split([' ', ',', '\t', '%']).next()?.parse().ok()
}
