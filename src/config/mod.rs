//! The settings: facts that are read at the start or at a reload. They never change once the workers of a
//! generation start. Before that, the master enters how much cache and how many connections the machine has
//! room for.
//!
//! A setting's way: [`table`] has one row for each, [`source`] gives a text for it with its position,
//! [`resolve`] picks the text that counts and has the row read it into [`Settings`]; [`load`] does this for a
//! start and for a reload, and [`dump`] prints the result. All values are checked here, so
//! other code can rely on the bounds at the fields; only the master knows inherited sockets, and checks the
//! listeners named in `proxy_protocol`.
//!
//! It opens the settings files and no others, and opens no socket. It does not check that a user or a root
//! exists. Commands are not its business.

pub mod table;

pub mod row;

pub mod source;
pub mod source_map;
pub mod suggest;

pub mod load;
pub mod machine;
pub mod precedence;
pub mod resolve;

pub mod dump;
pub mod show;
pub mod value;

pub mod file_value;
pub mod table_key;

pub mod address;
pub mod certificate;
pub mod certificate_source;
pub mod choice;
pub mod host;
pub mod listener_name;
pub mod location;
pub mod network;
pub mod scope;
pub mod tls;
pub mod tls_check;
pub mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::address::ListenAddress;
use self::certificate::CertificateFiles;
pub use self::choice::{
    AccessFormat, AccessLogTarget, LogFormat, MissingIndex, RealIpHeader, SandboxMode, SiteRoot, UnknownHosts,
};
use self::host::HostSettings;
use self::listener_name::ListenerName;
use self::location::{Files, LocationSettings};
use self::network::Networks;
use self::scope::{Scope, ScopeSettings};
use self::tls::{TlsUnknownNames, TlsVersions};
use ::log::LevelFilter;

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is served.
    pub root: SiteRoot,
    /// The addresses of listeners without TLS. There is one here or in `tls_listen`, and none overlaps
    /// another.
    pub listen: Vec<ListenAddress>,
    /// The addresses of TLS listeners.
    pub tls_listen: Vec<ListenAddress>,
    /// The certificates of TLS listeners, at least one if there are any; the first one is the default.
    pub certificates: Vec<CertificateFiles>,
    /// What happens to clients that name a host without a certificate.
    pub tls_unknown_names: TlsUnknownNames,
    /// The versions of TLS.
    pub tls_versions: TlsVersions,
    /// True if TLS clients are offered HTTP/2.
    pub http2: bool,
    /// True if clients may begin with HTTP/2 without TLS.
    pub http2_plain: bool,
    /// True if requests without TLS are redirected to https.
    pub https_redirect: bool,
    /// The directory of an ACME client, from which challenges are answered without TLS.
    pub acme_challenges: Option<PathBuf>,
    /// The listeners whose connections begin with a PROXY header.
    pub proxy_protocol: Vec<ListenerName>,
    /// The networks of trusted proxies.
    pub trusted_proxies: Networks,
    /// The field in which trusted proxies name their clients.
    pub real_ip_header: RealIpHeader,
    /// The address of the admin listener, if there is one.
    pub admin: Option<SocketAddr>,
    /// The host names besides localhost that the admin listener answers for at a loopback address: in lower
    /// case, without a dot at the end.
    pub admin_hosts: Vec<String>,
    /// Worker processes, 1 to 1024.
    pub workers: usize,
    /// The file that the master writes its process id to.
    pub pid_file: Option<PathBuf>,
    /// The least important level that is logged.
    pub log_level: LevelFilter,
    /// The file of the error log; `None` is standard error.
    pub log_file: Option<PathBuf>,
    /// The format of the error log.
    pub log_format: LogFormat,
    /// Where the access log goes.
    pub access_log: AccessLogTarget,
    /// The format of the access log.
    pub access_format: AccessFormat,
    /// True if large bodies are sent by `sendfile`, false if by reading and writing.
    pub sendfile: bool,
    /// The most bytes of a large file that one system call sends or reads, 1 KiB to 16 MiB; `None` depends on
    /// `sendfile`.
    pub send_chunk: Option<u32>,
    /// The length of each accept queue, 1 to `i32::MAX`. The kernel lowers it to `net.core.somaxconn`.
    pub backlog: u32,
    /// Connections that a worker holds at once, at least 1; `None` is what memory and the limits of the
    /// process allow.
    pub max_connections: Option<u32>,
    /// How long a connection may be idle between requests, 100 ms to 24 h.
    pub idle_timeout: Duration,
    /// How long a request's head may take from the first wait for it, 100 ms to 24 h. The first request of a
    /// connection shares this time with the wait for its first byte, and with the PROXY header.
    pub head_timeout: Duration,
    /// How long a client may take no byte of its response, 100 ms to 24 h.
    pub send_timeout: Duration,
    /// How long connections may take to finish in a drain, 0 to 24 h.
    pub drain_timeout: Duration,
    /// How long a worker's heartbeat may be missing before it is killed and replaced, 2 s to 24 h; `None` is
    /// for ever.
    pub watchdog: Option<Duration>,
    /// The age at which a cache entry is checked again where the kernel does not report changes, 0 to 24 h.
    /// With 0 each request checks, and nothing is watched.
    pub cache_valid: Duration,
    /// Files that a worker's cache holds open, 1 to 1,000,000; `None` is what memory allows, at most 4096.
    pub cache_entries: Option<usize>,
    /// Bytes that files in the memory of a worker's cache may take; 0 keeps none. `None` is what memory
    /// allows, at most 64 MiB.
    pub cache_size: Option<u64>,
    /// Bytes that a worker keeps of files that it has compressed; 0 keeps none.
    pub compress_cache: u64,
    /// Names that a worker holds of each directory whose files are found by name, 1 to 10,000,000.
    pub find_limit: usize,
    /// True if each worker is bound to one CPU.
    pub cpu_affinity: bool,
    /// Background threads of a worker for what may wait for a disk, 0 to 256. With 0 the thread that serves
    /// reads files itself.
    pub disk_threads: usize,
    /// Background threads of a worker, at nice 19, for what takes CPU time, 1 to 16.
    pub cpu_threads: usize,
    /// The user, by name or number, that the workers of root become; `None` is nobody.
    pub user: Option<String>,
    /// The group, by name or number, that goes with it; `None` is the user's own.
    pub group: Option<String>,
    /// How far workers and the admin process are confined.
    pub sandbox: SandboxMode,
    /// The text of the Server field: 1 to 128 visible ASCII characters, spaces only between them.
    pub name: String,
    /// What holds where no host and no location sets it.
    pub scope: Scope,
    /// Media types by extension, which come before the built-in ones: a dot and lower case.
    pub types: BTreeMap<String, String>,
    /// Settings for some paths, in the order of the settings file.
    pub locations: Vec<LocationSettings>,
    /// Settings for some hosts, in the order of the settings file.
    pub hosts: Vec<HostSettings>,
    /// What happens to requests that name none of these hosts.
    pub unknown_hosts: UnknownHosts,
    /// One line for each oddity in the sources, for the log once it is open.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    /// The settings without any source, for one CPU.
    fn default() -> Self {
        Self {
            root: SiteRoot::Welcome,
            listen: vec![address::DEFAULT],
            tls_listen: Vec::new(),
            certificates: Vec::new(),
            tls_unknown_names: TlsUnknownNames::Serve,
            tls_versions: TlsVersions::default(),
            http2: true,
            http2_plain: false,
            https_redirect: false,
            acme_challenges: None,
            proxy_protocol: Vec::new(),
            trusted_proxies: Networks::default(),
            real_ip_header: RealIpHeader::default(),
            admin: None,
            admin_hosts: Vec::new(),
            workers: 1,
            pid_file: None,
            log_level: LevelFilter::Info,
            log_file: None,
            log_format: LogFormat::Text,
            access_log: AccessLogTarget::Off,
            access_format: AccessFormat::Combined,
            sendfile: true,
            send_chunk: None,
            backlog: 4096,
            max_connections: None,
            idle_timeout: Duration::from_secs(75),
            head_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            watchdog: Some(Duration::from_secs(30)),
            cache_valid: Duration::from_secs(1),
            cache_entries: None,
            cache_size: None,
            compress_cache: 64 << 20,
            find_limit: 200_000,
            cpu_affinity: false,
            disk_threads: 16,
            cpu_threads: 1,
            user: None,
            group: None,
            sandbox: SandboxMode::On,
            name: "mayhttpd".to_owned(),
            scope: Scope::default(),
            types: BTreeMap::new(),
            locations: Vec::new(),
            hosts: Vec::new(),
            unknown_hosts: UnknownHosts::Serve,
            warnings: Vec::new(),
        }
    }
}

impl Settings {
    /// All background threads of a worker: those for disks and for the CPU, and one that reads names for each
    /// directory whose files are found by name.
    pub fn background_threads(&self) -> usize {
        let by_name = self.all_locations().filter(|(location, _)| location.find_by_name);
        let directories: BTreeSet<Option<&Path>> = by_name
            .map(|(location, root)| match &location.files {
                Files::Site => root,
                Files::Root(directory) | Files::Alias(directory) => Some(directory.as_path()),
            })
            .collect();
        self.disk_threads + self.cpu_threads + directories.len()
    }

    /// What each host and each location sets.
    fn scopes(&self) -> impl Iterator<Item = &ScopeSettings> {
        let of_locations = self.all_locations().map(|(location, _)| &location.scope);
        self.hosts.iter().map(|host| &host.scope).chain(of_locations)
    }

    /// All locations, each with the root of its host, if that has one of its own.
    fn all_locations(&self) -> impl Iterator<Item = (&LocationSettings, Option<&Path>)> {
        let of_hosts = self.hosts.iter().flat_map(|host| {
            let root = host.root.as_deref();
            host.locations.iter().map(move |location| (location, root))
        });
        self.locations.iter().map(|location| (location, None)).chain(of_hosts)
    }

    /// Where lines of access logs go, each once: the log of the server first, unless it is off.
    pub fn access_logs(&self) -> Vec<&AccessLogTarget> {
        let of_hosts = self.hosts.iter().filter_map(|host| host.access_log.as_ref());
        let (mut logs, mut known) = (Vec::new(), BTreeSet::new());
        for log in std::iter::once(&self.access_log).chain(of_hosts) {
            if *log != AccessLogTarget::Off && known.insert(log) {
                logs.push(log);
            }
        }
        logs
    }

    /// Names of listeners that these settings don't open, so that only an inherited socket can have them.
    pub fn listeners_to_inherit(&self) -> impl Iterator<Item = &ListenerName> {
        let opened = |name: &ListenerName| {
            self.listen.iter().chain(&self.tls_listen).any(|address| name.matches(*address))
        };
        self.proxy_protocol.iter().filter(move |name| !opened(name))
    }

    /// The users files that are named for the server, its hosts and its locations, each once.
    pub fn users_files(&self) -> Vec<&Path> {
        let of_hosts = self.hosts.iter().map(|host| &host.scope.auth);
        let nearer = of_hosts.chain(self.all_locations().map(|(location, _)| &location.scope.auth));
        let nearer = nearer.filter_map(|auth| auth.as_ref()?.as_ref());
        let (mut files, mut known) = (Vec::new(), BTreeSet::new());
        for auth in self.scope.auth.iter().chain(nearer) {
            if known.insert(auth.users_file.as_path()) {
                files.push(auth.users_file.as_path());
            }
        }
        files
    }

    /// True if files of some host or location are compressed while serving.
    pub fn compresses(&self) -> bool {
        self.scope.compress
            || self.hosts.iter().any(|host| host.scope.compress == Some(true))
            || self.all_locations().any(|(location, _)| location.scope.compress == Some(true))
    }

    /// The directories that hosts and locations name beside the root, those that are looked through after
    /// them, and that of ACME challenges, each once.
    pub fn directories(&self) -> Vec<&Path> {
        let of_locations = self.all_locations().filter_map(|(location, _)| match &location.files {
            Files::Root(directory) | Files::Alias(directory) => Some(directory.as_path()),
            Files::Site => None,
        });
        let of_hosts = self.hosts.iter().filter_map(|host| host.root.as_deref());
        let fallbacks = self.scopes().flat_map(|scope| scope.fallback_roots.iter().flatten());
        let fallbacks = self.scope.fallback_roots.iter().chain(fallbacks).map(PathBuf::as_path);
        let (mut directories, mut known) = (Vec::new(), BTreeSet::new());
        let challenges = self.acme_challenges.as_deref();
        for directory in of_hosts.chain(of_locations).chain(fallbacks).chain(challenges) {
            if known.insert(directory) {
                directories.push(directory);
            }
        }
        directories
    }
}
