//! The servers that are compared, what each can do, and how it is started.

pub mod floor;
pub mod go;
pub mod h2o;
pub mod lighttpd;
pub mod nginx;
pub mod ours;
pub mod python;
pub mod static_web_server;

use std::path::{Path, PathBuf};

use super::site::{self, Site};
use super::tls::KeyPair;
use super::tools::{self, Tools};

/// The server that all this is about.
pub const OURS: &str = "mayhttpd";
/// The least that an answer can cost.
pub const FLOOR: &str = "floor";
/// The server that others are compared with first.
pub const NGINX: &str = "nginx";
/// The program under test, as cargo built it for this benchmark.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mayhttpd");

/// What not every server can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Serve files.
    Files,
    /// Give a fixed response at /info.
    Fixed,
    /// Answer requests that came in one go.
    Pipelining,
    /// Keep a connection for further requests.
    Keep,
    /// Hold 10,000 of them.
    Crowd,
    /// Several workers at one address.
    Workers,
    /// Single ranges.
    Ranges,
    /// Answer 304.
    Validators,
    /// Stand beside the others on a slow disk.
    Cold,
    /// Send variants of files.
    Precompressed,
    /// Send files in a coding that it has compressed itself, or would have to.
    Compressed,
    /// Redirects by a list of rules.
    Redirects,
    /// Roots by the host that a request names.
    Hosts,
    /// List directories.
    Listing,
    /// Ask for passwords.
    Authentication,
    /// Speak HTTP/1.1 over TLS.
    Tls,
    /// Speak HTTP/2 over TLS.
    Http2,
}

use Ability::{
    Authentication, Cold, Compressed, Crowd, Files, Fixed, Hosts, Http2, Keep, Listing, Pipelining,
    Precompressed, Ranges, Redirects, Tls, Validators, Workers,
};

/// What static-web-server can.
const HYPER: &[Ability] = &[
    Files,
    Keep,
    Pipelining,
    Crowd,
    Workers,
    Ranges,
    Validators,
    Precompressed,
    Compressed,
    Redirects,
    Hosts,
    Listing,
    Authentication,
];

/// What mayhttpd can, and nginx where it is tuned.
const MOST: &[Ability] = &[
    Files,
    Keep,
    Fixed,
    Pipelining,
    Crowd,
    Workers,
    Ranges,
    Validators,
    Cold,
    Precompressed,
    Compressed,
    Redirects,
    Hosts,
    Listing,
    Authentication,
    Tls,
    Http2,
];

/// One server.
pub struct Peer {
    pub name: &'static str,
    pub what: &'static str,
    /// The tool that it is, or needs.
    pub tool: Option<&'static str>,
    pub can: &'static [Ability],
    /// Whether it is among the few of a quick run.
    pub quick: bool,
    /// Whether it is measured in the namespaces too.
    pub tuned: bool,
    launch: fn(&Setting<'_>) -> Result<Launch, String>,
}

/// What a server is started for.
#[derive(Clone)]
pub struct Setting<'a> {
    pub tools: &'a Tools,
    pub port: u16,
    pub root: &'a Path,
    pub workers: u16,
    /// A directory of its own, for configuration and logs.
    pub directory: PathBuf,
    /// The kit's directory, which outlives the run.
    pub home: &'a Path,
    /// Bytes of the body that the floor answers with.
    pub length: u64,
    /// Whether each connection has one request.
    pub close: bool,
    /// What it has beyond files.
    pub site: Site,
    /// Where clients connect by TLS. HTTP/2 is then for those that ask for it.
    pub tls: Option<KeyPair>,
}

/// How it is started.
#[derive(Default)]
pub struct Launch {
    pub words: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// The text of its configuration, for the record.
    pub configuration: String,
}

/// All of them, in the order of the report.
pub const ALL: &[Peer] = &[
    Peer {
        name: FLOOR,
        what: "a bare epoll loop with a fixed reply",
        tool: None,
        can: &[Keep, Pipelining, Crowd, Fixed],
        quick: true,
        tuned: true,
        launch: floor_of_length,
    },
    Peer {
        name: OURS,
        what: "this server, with its defaults",
        tool: None,
        can: MOST,
        quick: true,
        tuned: true,
        launch: ours::launch,
    },
    Peer {
        name: NGINX,
        what: "nginx, tuned: deferred accept, open_file_cache, sendfile",
        tool: Some("nginx"),
        can: MOST,
        quick: true,
        tuned: true,
        launch: nginx::tuned,
    },
    Peer {
        name: "nginx-threads",
        what: "nginx, tuned, with aio threads (32)",
        tool: Some("nginx"),
        can: &[Cold],
        quick: true,
        tuned: false,
        launch: nginx::with_threads,
    },
    Peer {
        name: "nginx-gzip",
        what: "nginx, tuned, compresses for each request",
        tool: Some("nginx"),
        can: &[Compressed],
        quick: false,
        tuned: false,
        launch: nginx::with_gzip,
    },
    Peer {
        name: "nginx-default",
        what: "nginx as Debian sets it up, without access log",
        tool: Some("nginx"),
        can: &[Files, Keep, Fixed, Pipelining, Crowd, Workers, Ranges, Validators],
        quick: false,
        tuned: false,
        launch: nginx::default,
    },
    Peer {
        name: "lighttpd",
        what: "lighttpd, epoll and sendfile",
        tool: Some("lighttpd"),
        can: &[Files, Keep, Pipelining, Crowd, Workers, Ranges, Validators, Cold],
        quick: true,
        tuned: false,
        launch: lighttpd::launch,
    },
    Peer {
        name: "h2o",
        what: "h2o",
        tool: Some("h2o"),
        can: &[Files, Keep, Pipelining, Crowd, Workers, Ranges, Validators, Cold, Tls, Http2],
        quick: true,
        tuned: false,
        launch: h2o::launch,
    },
    Peer {
        name: "static-web-server",
        what: "static-web-server (hyper and tokio)",
        tool: Some("static-web-server"),
        can: HYPER,
        quick: false,
        tuned: false,
        launch: static_web_server::launch,
    },
    Peer {
        name: "go",
        what: "Go's http.FileServer",
        tool: Some("go"),
        can: &[Files, Keep, Fixed, Pipelining, Crowd, Workers, Ranges, Validators, Cold],
        quick: false,
        tuned: false,
        launch: go::launch,
    },
    Peer {
        name: "py-coroutines",
        what: "Python: prefork, a uvloop coroutine per client, sendfile",
        tool: Some(tools::PYTHON),
        can: &[Files, Keep, Pipelining, Crowd, Workers],
        quick: false,
        tuned: false,
        launch: python::coroutines,
    },
    Peer {
        name: "py-coroutines-copy",
        what: "Python: the same with read and write in place of sendfile",
        tool: Some(tools::PYTHON),
        can: &[Files, Keep, Pipelining, Crowd, Workers],
        quick: false,
        tuned: false,
        launch: python::copying_coroutines,
    },
    Peer {
        name: "py-threads",
        what: "Python: processes and a thread per request; closes each connection",
        tool: Some(tools::PYTHON),
        can: &[Files, Workers],
        quick: false,
        tuned: false,
        launch: python::threads,
    },
    Peer {
        name: "py-selectors",
        what: "Python: selector threads, one port each",
        tool: Some(tools::PYTHON),
        can: &[Files, Keep, Pipelining, Crowd],
        quick: false,
        tuned: false,
        launch: python::selectors,
    },
    Peer {
        name: "py-http.server",
        what: "Python: http.server with a thread per connection",
        tool: Some(tools::PYTHON),
        can: &[Files, Keep, Pipelining],
        quick: false,
        tuned: false,
        launch: python::http_server,
    },
    Peer {
        name: "py-aiohttp",
        what: "Python: aiohttp on uvloop, a static route",
        tool: Some(tools::PYTHON),
        can: &[Files, Keep, Fixed, Pipelining, Crowd, Workers, Ranges, Validators],
        quick: false,
        tuned: false,
        launch: python::aiohttp,
    },
    Peer {
        name: "uwsgi",
        what: "uwsgi with --check-static; closes each connection",
        tool: Some("uwsgi"),
        can: &[Files, Workers],
        quick: false,
        tuned: false,
        launch: python::uwsgi,
    },
];

impl Peer {
    /// What starts it; writes its configuration.
    ///
    /// # Errors
    /// What is missing, or can't be written or built.
    pub fn launch(&self, setting: &Setting<'_>) -> Result<Launch, String> {
        if let Some(tool) = self.tool
            && setting.tools.path(tool).is_none()
        {
            return Err(format!("{tool} is missing: {}", setting.tools.install(tool)));
        }
        (self.launch)(setting)
    }

    /// Its version, for the record.
    pub fn version(&self, tools: &Tools) -> String {
        match self.tool {
            Some(tool) => tools.version(tool),
            None => env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Setting<'_> {
    /// Writes a file of the configuration; its path.
    fn write(&self, name: &str, text: &str) -> Result<String, String> {
        let path = self.directory.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Writes the users file; its path.
    fn users_file(&self) -> Result<String, String> {
        self.write("users", &format!("{}\n", site::USER))
    }

    fn root(&self) -> String {
        self.root.to_string_lossy().into_owned()
    }

    fn program(&self, tool: &str) -> String {
        self.tools.path(tool).unwrap_or(tool).to_owned()
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn floor_of_length(setting: &Setting<'_>) -> Result<Launch, String> {
    let kit = std::env::current_exe().map_err(|error| error.to_string())?;
    let (port, length) = (setting.port.to_string(), setting.length.to_string());
    let mut words = words([&kit.to_string_lossy(), "floor", &port, &length]);
    words.extend(setting.close.then(|| "--close".to_owned()));
    Ok(Launch { words, ..Launch::default() })
}
