//! The settings: facts that are settled once at the start and never change while a generation lives.
//!
//! It owns the defaults and the order of the layers: flags over environment over file over the packager's file over
//! defaults. It opens no socket and no file but those of the settings, and it does not ask whether a user or a root
//! exists, but to tell a root from a misspelt command; the one who needs it does.
//!
//! It remembers nothing between two calls of [`from_args`], so that a reload is the same call again.
//!
//! Raw layers hold optional text, [`Settings`] holds values. Nothing past this module sees a value that was
//! not checked, so the bounds written at the fields can be relied upon.

pub mod access;
pub mod address;
pub mod cli;
pub mod document;
pub mod dump;
pub mod environment;
pub mod file;
pub mod flat;
pub mod kubernetes;
pub mod layer;
pub mod location;
pub mod proxies;
pub mod spelling;
pub mod units;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::access::{Network, Networks};
pub use self::cli::Shell;
use self::layer::{Layer, Layers, Origin};
use self::location::{Files, Location};
use self::proxies::{ListenerName, RealIpHeader};
use crate::error::StartupError;
use ::log::LevelFilter;

/// The directory that is served when none is named and it exists.
pub const DOCUMENT_ROOT: &str = "DOCUMENT_ROOT";

/// Where the error log of a server in the background goes when no file is named for it.
pub const NO_LOG: &str = "/dev/null";

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// To serve with these settings.
    Serve(Box<Settings>),
    /// To ask a running server for `url`, for at most `timeout`, whether it answers well.
    Healthcheck {
        /// As it was given, unread, or where these settings can be asked: the admin listener, else the first address.
        url: String,
        /// 100 ms to 24 h.
        timeout: Duration,
        /// Whether connections begin with a PROXY header there, by these settings.
        announced: bool,
    },
    /// To compare the kernel with what these settings ask for, or to set it.
    Kernel(KernelTask, Box<Settings>),
    /// To do with the server in the background what an init script is asked to.
    Init(Init, Box<Settings>),
    /// To write what a package has beside the program.
    Generate(Product, Option<PathBuf>),
    /// To tell the running master that this file names what to do, and exit.
    Signal(Order, PathBuf),
    /// To check what these settings name, without serving, and exit with 0 where it is fine.
    Test(Box<Settings>),
    /// To print this text (help, version or all settings) on standard output and exit with 0.
    Print(String),
}

/// What is to be done about the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelTask {
    /// To tell what is low, and exit with 1 where that holds the server back.
    Check {
        /// Where proc is mounted.
        proc: PathBuf,
    },
    /// To print what is wanted.
    Print {
        /// As flags for `docker run`, and not as a file.
        docker: bool,
    },
    /// To set what is low.
    Apply {
        /// Where proc is mounted.
        proc: PathBuf,
    },
}

/// What an init script is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// To serve in the background, unless a server runs already.
    Start,
    /// To have the running server end, when it has served its clients.
    Stop,
    /// To have the running server settle its settings anew, or to start one.
    Restart,
    /// To say whether a server runs.
    Status,
}

/// What a package has beside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// The manual page.
    Man,
    /// What completes a command line in this shell.
    Completions(Shell),
}

/// What a running master can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop at once (TERM).
    Stop,
    /// Serve the clients to their end, then stop (QUIT).
    Quit,
    /// Settle the settings anew (HUP).
    Reload,
    /// Open the logs anew (USR1).
    Reopen,
    /// Start the program anew beside the running one (USR2).
    Upgrade,
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The files beneath this directory. It was not looked at yet.
    Directory(PathBuf),
    /// A built-in page that says how to serve a directory.
    Welcome,
}

/// Where a line for each request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

/// What a line of the error log looks like.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Words for people.
    #[default]
    Text,
    /// An object.
    Json,
}

/// What a line for each request looks like.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum AccessFormat {
    /// As Apache and nginx have it by default.
    #[default]
    Combined,
    /// Combined without the client's Referer and User-Agent.
    Common,
    /// An object with more than the two tell.
    Json,
}

/// The answer for a directory without an index file, where listings are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingIndex {
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
}

/// How far workers and the admin process are confined beyond giving up their capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel can.
    On,
    /// Not at all.
    Off,
    /// Completely, or the start fails.
    Require,
}

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is served.
    pub root: Root,
    /// Where to listen: at least one address, none of them twice unless its port is 0.
    pub listen: Vec<SocketAddr>,
    /// The listeners whose connections begin with a PROXY header.
    pub proxy_protocol: Vec<ListenerName>,
    /// Who is believed whom it passes a request on for.
    pub trusted_proxies: Networks,
    /// In which field.
    pub real_ip_header: RealIpHeader,
    /// Where the admin listener is, if there is one.
    pub admin: Option<SocketAddr>,
    /// Worker processes, 1 to 1024.
    pub workers: usize,
    /// The file that the master writes its process id to.
    pub pid_file: Option<PathBuf>,
    /// The least important level that is logged.
    pub log_level: LevelFilter,
    /// The file of the error log; `None` is standard error.
    pub log_file: Option<PathBuf>,
    /// What a line of it looks like.
    pub log_format: LogFormat,
    /// Where a line for each request goes.
    pub access_log: AccessLog,
    /// What that line looks like.
    pub access_format: AccessFormat,
    /// Whether large bodies are sent by `sendfile`, or else by reading and writing.
    pub sendfile: bool,
    /// Bytes of a large file that one system call sends or reads at most, 1 KiB to 16 MiB; `None` is what suits the way.
    pub send_chunk: Option<u32>,
    /// The length of each accept queue, 1 to `i32::MAX`. The kernel lowers it to `net.core.somaxconn`.
    pub backlog: u32,
    /// Connections a worker holds at once, at least 1; `None` is what the limits of the process allow.
    pub max_connections: Option<u32>,
    /// How long a kept-alive connection may be silent, 100 ms to 24 h.
    pub idle_timeout: Duration,
    /// How long a request's head may take from its first byte, 100 ms to 24 h.
    pub head_timeout: Duration,
    /// How long a client may take nothing of its answer, 100 ms to 24 h.
    pub send_timeout: Duration,
    /// How long connections get to finish at QUIT, 0 to 24 h.
    pub drain_timeout: Duration,
    /// Silence after which a worker is killed and replaced, 2 s to 24 h; `None` for never.
    pub watchdog: Option<Duration>,
    /// How old a cache entry may get before its file is looked at again where the kernel does not report its changes, 0
    /// (each time, and nothing is watched) to 24 h.
    pub cache_valid: Duration,
    /// Files that a worker's cache holds open, 1 to 1,000,000.
    pub cache_entries: usize,
    /// Bytes that files which a worker's cache has in memory may take; 0 to keep none.
    pub cache_size: u64,
    /// Names that a worker holds of each directory whose files are found by them, 1 to 10,000,000.
    pub find_limit: usize,
    /// Whether each worker is bound to a CPU of its own.
    pub cpu_affinity: bool,
    /// The user, by name or number, that the workers of root become; `None` is nobody.
    pub user: Option<String>,
    /// The group, by name or number, that goes with it; `None` is the user's own.
    pub group: Option<String>,
    /// How far workers and the admin process are confined.
    pub sandbox: Sandbox,
    /// The text of the Server field: 1 to 128 visible ASCII characters, spaces only between them.
    pub name: String,
    /// The name of the file that answers for a directory; one name, without a slash.
    pub index: String,
    /// The answer for a directory without an index file.
    pub missing_index: MissingIndex,
    /// Whether a directory without an index file is listed instead.
    pub listing: bool,
    /// Whether names that begin with a dot are served. `.well-known` always is.
    pub dotfiles: bool,
    /// What is different for some paths, in the order of the settings file.
    pub locations: Vec<Location>,
    /// What was noticed while settling, one line each, for the log once it is open.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    /// The settings of a start without flags on a machine with one CPU.
    fn default() -> Self {
        Self {
            root: Root::Welcome,
            listen: vec![address::DEFAULT],
            proxy_protocol: Vec::new(),
            trusted_proxies: Networks::default(),
            real_ip_header: RealIpHeader::default(),
            admin: None,
            workers: 1,
            pid_file: None,
            log_level: LevelFilter::Info,
            log_file: None,
            log_format: LogFormat::Text,
            access_log: AccessLog::Off,
            access_format: AccessFormat::Combined,
            sendfile: true,
            send_chunk: None,
            backlog: 4096,
            max_connections: None,
            idle_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            watchdog: Some(Duration::from_secs(30)),
            cache_valid: Duration::from_secs(1),
            cache_entries: 4096,
            cache_size: 64 << 20,
            find_limit: 200_000,
            cpu_affinity: false,
            user: None,
            group: None,
            sandbox: Sandbox::On,
            name: "mayhttpd".to_owned(),
            index: "index.html".to_owned(),
            missing_index: MissingIndex::Forbidden,
            listing: false,
            dotfiles: false,
            locations: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// What defaults depend on, looked up once so that settling stays pure.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// CPUs that this process may use, by affinity and cgroup quota.
    pub cpus: usize,
    /// Whether `./DOCUMENT_ROOT` is a directory.
    pub document_root: bool,
}

impl Machine {
    /// Asks the machine that this runs on.
    pub fn look() -> Self {
        Self {
            // It fails only where the kernel won't tell, and one worker is right everywhere.
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            document_root: Path::new(DOCUMENT_ROOT).is_dir(),
        }
    }
}

/// Reads the command line, the program's name first, the environment, and the settings files that either names.
///
/// It never exits and never prints: the caller decides what to do with either outcome. The files are read anew at
/// each call.
///
/// # Errors
/// [`StartupError::Usage`] for a command line that can't be parsed, with the parser's words,
/// [`StartupError::Config`] for a value that is not allowed, naming the flag or the variable,
/// [`StartupError::File`] for a file that can't be read, and [`StartupError::Line`] for what is wrong in it.
pub fn from_args(
    args: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Invocation, StartupError> {
    let mut raw = match cli::Raw::parsed(args) {
        Ok(raw) => raw,
        Err(error) if !error.use_stderr() => return Ok(Invocation::Print(error.to_string())),
        Err(error) => return Err(usage(&error)),
    };
    let (test, dump) = (raw.test, raw.dump);
    let mut command = raw.command.take();
    match &mut command {
        Some(cli::Command::Generate { product, out }) => {
            return Ok(Invocation::Generate(produced(product), out.take()));
        }
        Some(cli::Command::Start { site } | cli::Command::Restart { site }) if site.is_some() => {
            if raw.positional_root.is_some() || raw.root.is_some() {
                return Err(StartupError::Usage("the directory to serve is named twice".to_owned()));
            }
            raw.positional_root = site.take();
        }
        _ => {}
    }
    refuse_unknown_word(&raw)?;
    let (environment, mut warnings) = environment::layer(variables)?;
    let mut layers = vec![Layer { origin: Origin::Flag, raw }, environment];
    let machine = Machine::look();
    let given = Layers(&layers);
    let files = [given.path(|raw| &raw.config).cloned(), given.path(|raw| &raw.defaults).cloned()];
    for path in files.iter().flatten() {
        let (file, passed_over) = layer_of(path)?;
        warnings.extend(passed_over);
        // Alone first: what is wrong in a file is said even where a flag or a variable hides it for now.
        Settings::settle(std::slice::from_ref(&file), machine)?;
        layers.push(file);
    }
    let mut settings = Settings::settle(&layers, machine)?;
    settings.warnings.extend(warnings);
    match command {
        Some(cli::Command::Healthcheck { url, timeout }) => return healthcheck(url, timeout, &settings),
        Some(cli::Command::Kernel { task }) => {
            return Ok(Invocation::Kernel(kernel_task(task), Box::new(settings)));
        }
        Some(cli::Command::Start { .. }) => return init(Init::Start, settings, &layers[0].raw),
        Some(cli::Command::Stop) => return init(Init::Stop, settings, &layers[0].raw),
        Some(cli::Command::Restart { .. }) => return init(Init::Restart, settings, &layers[0].raw),
        Some(cli::Command::Status) => return init(Init::Status, settings, &layers[0].raw),
        Some(cli::Command::Generate { .. }) | None => {}
    }
    if let Some(order) = Layers(&layers).read("signal", |r| &r.signal, order)? {
        let file = settings.pid_file.ok_or_else(|| {
            StartupError::Usage("--signal needs --pid-file to find the running server".to_owned())
        })?;
        return Ok(Invocation::Signal(order, file));
    }
    Ok(match (dump, test) {
        (true, _) => Invocation::Print(dump::page(&settings, &layers)),
        (false, true) => Invocation::Test(Box::new(settings)),
        (false, false) => Invocation::Serve(Box::new(settings)),
    })
}

/// The layer that the settings file at `path` makes, read anew at each call and in the format that its name tells, and
/// a warning for each thing in it that is passed over.
fn layer_of(path: &Path) -> Result<(Layer, Vec<String>), StartupError> {
    let bytes = document::read(path)?;
    if flat::is_flat(path) {
        return flat::parse(path, &bytes);
    }
    Ok((file::parse(path, &bytes)?, Vec::new()))
}

/// A word that is neither a command nor a directory is most likely a misspelt command. One with a slash is a path.
fn refuse_unknown_word(raw: &cli::Raw) -> Result<(), StartupError> {
    let Some(word) = raw.positional_root.as_deref().filter(|word| word.components().count() == 1) else {
        return Ok(());
    };
    // What is there and can't be looked at is there.
    let absent = std::fs::metadata(word).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let name = word.as_os_str();
    if !absent || name.as_encoded_bytes().contains(&b'/') {
        return Ok(());
    }
    let words = cli::commands().join(", ");
    let text = format!("{name:?} is no directory, and no command either; the commands are {words}");
    Err(StartupError::Usage(text))
}

/// A server in the background has no standard streams: what would go there needs a file.
fn init(word: Init, mut settings: Settings, flags: &cli::Raw) -> Result<Invocation, StartupError> {
    if flags.test || flags.dump || flags.signal.is_some() {
        let why =
            "--test, --dump and --signal say themselves what to do, and go with no word of an init script";
        return Err(StartupError::Usage(why.to_owned()));
    }
    if matches!(word, Init::Start | Init::Restart) {
        if settings.access_log == AccessLog::Stdout {
            let why = "a server in the background has no standard output: --access-log needs a file";
            return Err(StartupError::Usage(why.to_owned()));
        }
        settings.log_file.get_or_insert_with(|| NO_LOG.into());
    }
    Ok(Invocation::Init(word, Box::new(settings)))
}

/// What is to be written.
fn produced(product: &cli::Product) -> Product {
    match product {
        cli::Product::Man => Product::Man,
        cli::Product::Completions { shell } => Product::Completions(*shell),
    }
}

/// What a healthcheck asks, and for how long.
fn healthcheck(
    url: Option<String>,
    timeout: Option<String>,
    settings: &Settings,
) -> Result<Invocation, StartupError> {
    let (url, announced) = url.map_or_else(|| settings.page_to_check(), |url| (url, false));
    let text = timeout.as_deref().unwrap_or("3s");
    let timeout = units::timeout(text).map_err(|why| Origin::Flag.refuse("timeout", 0, text, why))?;
    Ok(Invocation::Healthcheck { url, timeout, announced })
}

/// What `kernel` is to do; without a word, to check.
fn kernel_task(task: Option<cli::KernelTask>) -> KernelTask {
    let place = |proc: Option<PathBuf>| proc.unwrap_or_else(|| PathBuf::from("/proc"));
    match task {
        None => KernelTask::Check { proc: place(None) },
        Some(cli::KernelTask::Check { proc }) => KernelTask::Check { proc: place(proc) },
        Some(cli::KernelTask::Print { docker }) => KernelTask::Print { docker },
        Some(cli::KernelTask::Apply { proc }) => KernelTask::Apply { proc: place(proc) },
    }
}

impl Settings {
    /// Where a server with these settings says whether it is well: at its admin listener, which also tells a drain and
    /// silent workers, else by a page at its first address. An admin listener at port 0 can't be found from outside. With
    /// it, whether connections begin with a PROXY header there.
    fn page_to_check(&self) -> (String, bool) {
        if let Some(address) = self.admin.filter(|address| address.port() != 0) {
            return (format!("http://{}/healthz", address::reachable(address)), false);
        }
        let first = self.listen[0];
        let announced = self.proxy_protocol.iter().any(|name| name.is_of(first));
        (format!("http://{}/", address::reachable(first)), announced)
    }

    /// Settles what `layers`, the one that wins first, and the defaults of `machine` say.
    ///
    /// # Errors
    /// [`StartupError::Config`] for a value that is not allowed, [`StartupError::Usage`] for values that
    /// contradict each other, [`StartupError::Line`] for either in a file.
    pub fn settle(layers: &[Layer], machine: Machine) -> Result<Self, StartupError> {
        let given = Layers(layers);
        let mut s = Self { listen: address::settle(&given)?, ..Self::default() };

        // What is served.
        let named = layers.iter().find_map(|l| l.raw.positional_root.as_ref().or(l.raw.root.as_ref()));
        s.root = match named {
            Some(path) => Root::Directory(path.clone()),
            None if machine.document_root => Root::Directory(DOCUMENT_ROOT.into()),
            None => Root::Welcome,
        };
        set(&mut s.index, given.read("index", |r| &r.index, units::file_name)?);
        set(&mut s.missing_index, given.read("missing-index", |r| &r.missing_index, missing_index)?);
        set(&mut s.listing, given.read("listing", |r| &r.listing, units::switch)?);
        set(&mut s.dotfiles, given.read("dotfiles", |r| &r.dotfiles, dotfiles)?);
        s.take_locations(layers);
        set(&mut s.name, given.read("name", |r| &r.name, units::name)?);

        // For whom.
        set(
            &mut s.proxy_protocol,
            given.read_list("proxy-protocol", |r| &r.proxy_protocol, ListenerName::read)?,
        );
        let trusted = given.read_list("trusted-proxies", |r| &r.trusted_proxies, Network::read)?;
        set(&mut s.trusted_proxies, trusted.map(Networks));
        set(&mut s.real_ip_header, given.read("real-ip-header", |r| &r.real_ip_header, RealIpHeader::read)?);

        // By whom.
        s.admin = given.read("admin", |r| &r.admin, address::admin)?.flatten();
        let backlog = |text: &str| units::integer(text, 1..=i32::MAX as u64).map(|n| n as u32);
        set(&mut s.backlog, given.read("backlog", |r| &r.backlog, backlog)?);
        let workers = given.read("workers", |r| &r.workers, units::workers)?.flatten();
        s.workers = workers.unwrap_or(machine.cpus.clamp(1, 1024));
        s.max_connections =
            given.read("max-connections", |r| &r.max_connections, units::connections)?.flatten();
        set(&mut s.cpu_affinity, given.read("cpu-affinity", |r| &r.cpu_affinity, units::switch)?);
        s.user = given.read("user", |r| &r.user, units::account)?;
        s.group = given.read("group", |r| &r.group, units::account)?;
        set(&mut s.sandbox, given.read("sandbox", |r| &r.sandbox, sandbox)?);

        // How.
        set(&mut s.sendfile, given.read("sendfile", |r| &r.sendfile, units::switch)?);
        s.send_chunk = given.read("send-chunk", |r| &r.send_chunk, units::chunk)?.flatten();
        set(&mut s.cache_valid, given.read("cache-valid", |r| &r.cache_valid, units::span)?);
        let entries = |text: &str| units::integer(text, 1..=1_000_000).map(|n| n as usize);
        set(&mut s.cache_entries, given.read("cache-entries", |r| &r.cache_entries, entries)?);
        set(&mut s.cache_size, given.read("cache-size", |r| &r.cache_size, units::size)?);
        let names = |text: &str| units::integer(text, 1..=10_000_000).map(|n| n as usize);
        set(&mut s.find_limit, given.read("find-limit", |r| &r.find_limit, names)?);
        set(&mut s.idle_timeout, given.read("idle-timeout", |r| &r.idle_timeout, units::timeout)?);
        set(&mut s.head_timeout, given.read("head-timeout", |r| &r.head_timeout, units::timeout)?);
        set(&mut s.send_timeout, given.read("send-timeout", |r| &r.send_timeout, units::timeout)?);
        set(&mut s.drain_timeout, given.read("drain-timeout", |r| &r.drain_timeout, units::span)?);
        set(&mut s.watchdog, given.read("watchdog", |r| &r.watchdog, units::watchdog)?);

        // And where it is told.
        s.pid_file = given.path(|r| &r.pid_file).cloned();
        set(&mut s.log_level, given.read("log-level", |r| &r.log_level, units::level)?);
        s.log_file = given.path(|r| &r.log_file).filter(|path| path.as_os_str() != "-").cloned();
        set(&mut s.log_format, given.read("log-format", |r| &r.log_format, log_format)?);
        set(&mut s.access_log, given.path(|r| &r.access_log).map(|path| access_log(path)));
        set(&mut s.access_format, given.read("access-format", |r| &r.access_format, access_format)?);
        Ok(s)
    }
}

impl Settings {
    /// Names of listeners that are none of these settings, so that only a socket that is passed on can have them.
    pub fn listeners_to_be_lent(&self) -> impl Iterator<Item = &ListenerName> {
        let known = |name: &ListenerName| self.listen.iter().any(|address| name.is_of(*address));
        self.proxy_protocol.iter().filter(move |name| !known(name))
    }

    /// The directories beside the root that locations name, each once.
    pub fn directories(&self) -> Vec<&Path> {
        let mut directories: Vec<&Path> = Vec::new();
        for location in &self.locations {
            match &location.files {
                Files::Root(directory) | Files::Alias(directory) if !directories.contains(&&**directory) => {
                    directories.push(directory);
                }
                _ => {}
            }
        }
        directories
    }

    /// The locations of the highest layer that has any, with a warning for each that can never answer.
    fn take_locations(&mut self, layers: &[Layer]) {
        let Some(layer) = layers.iter().find(|layer| !layer.raw.locations.is_empty()) else { return };
        self.locations = layer.raw.locations.clone();
        for (later, first) in location::shadowed(&self.locations) {
            let place = |nth| layer.origin.locate_nth(location::KEY, nth);
            let (path, later, first) = (&self.locations[later].path, place(later), place(first));
            self.warnings
                .push(format!("{later}: this location never answers, since {first} has {path} as well"));
        }
    }
}

/// Keeps the default where no layer gave a value.
fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

fn missing_index(text: &str) -> Result<MissingIndex, String> {
    match text {
        "403" => Ok(MissingIndex::Forbidden),
        "404" => Ok(MissingIndex::NotFound),
        _ => Err("expected 403 or 404".to_owned()),
    }
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "stop" => Ok(Order::Stop),
        "quit" => Ok(Order::Quit),
        "reload" => Ok(Order::Reload),
        "reopen" => Ok(Order::Reopen),
        "upgrade" => Ok(Order::Upgrade),
        _ => Err("expected stop, quit, reload, reopen or upgrade".to_owned()),
    }
}

fn dotfiles(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "hide" => Ok(false),
        "serve" => Ok(true),
        _ => Err("expected hide or serve".to_owned()),
    }
}

fn sandbox(text: &str) -> Result<Sandbox, String> {
    match text {
        "require" => Ok(Sandbox::Require),
        _ => units::switch(text)
            .map(|on| if on { Sandbox::On } else { Sandbox::Off })
            .map_err(|why| format!("{why}, or require")),
    }
}

fn access_log(path: &Path) -> AccessLog {
    match path.to_str() {
        Some("-") => AccessLog::Stdout,
        Some(word) if word.eq_ignore_ascii_case("off") => AccessLog::Off,
        _ => AccessLog::File(path.to_owned()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json".to_owned()),
    }
}

fn access_format(text: &str) -> Result<AccessFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "combined" => Ok(AccessFormat::Combined),
        "common" => Ok(AccessFormat::Common),
        "json" => Ok(AccessFormat::Json),
        _ => Err("expected combined, common or json".to_owned()),
    }
}

/// The parser's own words, without the prefix that the caller writes in its own way.
fn usage(error: &clap::Error) -> StartupError {
    let text = error.to_string();
    StartupError::Usage(text.trim_end().trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Machine = Machine { cpus: 4, document_root: false };

    fn settle_on(machine: Machine, flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let raw =
            cli::Raw::parsed(std::iter::once(&"mayhttpd").chain(flags).map(|word| word.into())).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let (environment, _) = environment::layer(variables).unwrap();
        Settings::settle(&[Layer { origin: Origin::Flag, raw }, environment], machine)
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn settled(flags: &[&str], variables: &[(&str, &str)]) -> Settings {
        settle_on(HERE, flags, variables).unwrap()
    }

    fn called(args: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, StartupError> {
        let args = std::iter::once(&"mayhttpd").chain(args).map(|arg| arg.into());
        from_args(args, variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn nothing_given_is_the_documented_default() {
        assert_eq!(settled(&[], &[]), Settings { workers: 4, ..Settings::default() });
    }

    #[test]
    fn each_flag_moves_its_setting_alone() {
        let base = || settled(&[], &[]);
        let seconds = Duration::from_secs;
        let cases: Vec<(&[&str], Settings)> = vec![
            (&["site"], Settings { root: Root::Directory("site".into()), ..base() }),
            (&["-r", "site"], Settings { root: Root::Directory("site".into()), ..base() }),
            (&["--root-document", "site"], Settings { root: Root::Directory("site".into()), ..base() }),
            (&["--root_document=site"], Settings { root: Root::Directory("site".into()), ..base() }),
            (&["--admin", "9000"], Settings { admin: "127.0.0.1:9000".parse().ok(), ..base() }),
            (&["--admin", "off"], base()),
            (&["--proxy-protocol", "all"], {
                Settings { proxy_protocol: vec![ListenerName::All], ..base() }
            }),
            (&["--proxy-protocol", "8080,unix:/run/x"], {
                let names = ["0.0.0.0:8080", "unix:/run/x"].map(|name| ListenerName::read(name).unwrap());
                Settings { proxy_protocol: names.into(), ..base() }
            }),
            (&["--proxy-protocol", "off"], base()),
            (&["--trusted-proxies", "10.0.0.0/8", "--trusted-proxies", "unix:"], {
                let networks = ["10.0.0.0/8", "unix:"].map(|network| Network::read(network).unwrap());
                Settings { trusted_proxies: Networks(networks.into()), ..base() }
            }),
            (&["--trusted-proxies", "OFF"], base()),
            (&["--real-ip-header", "Forwarded"], {
                Settings { real_ip_header: RealIpHeader::Forwarded, ..base() }
            }),
            (&["-w", "2"], Settings { workers: 2, ..base() }),
            (&["-w", "auto"], base()),
            (&["-l", "WARNING"], Settings { log_level: LevelFilter::Warn, ..base() }),
            (&["--level_log", "debug"], Settings { log_level: LevelFilter::Debug, ..base() }),
            (&["-f", "x.log"], Settings { log_file: Some("x.log".into()), ..base() }),
            (&["--file_log", "x.log"], Settings { log_file: Some("x.log".into()), ..base() }),
            (&["-f", "-"], base()),
            (&["--log-format", "json"], Settings { log_format: LogFormat::Json, ..base() }),
            (&["--access-log", "-"], Settings { access_log: AccessLog::Stdout, ..base() }),
            (&["--access-log", "a"], Settings { access_log: AccessLog::File("a".into()), ..base() }),
            (&["--access-log", "off"], base()),
            (&["--access-format", "common"], Settings { access_format: AccessFormat::Common, ..base() }),
            (&["--access-format", "JSON"], Settings { access_format: AccessFormat::Json, ..base() }),
            (&["--sendfile", "off"], Settings { sendfile: false, ..base() }),
            (&["--send-chunk", "8K"], Settings { send_chunk: Some(8192), ..base() }),
            (&["--send-chunk", "auto"], base()),
            (&["--index", "start.htm"], Settings { index: "start.htm".into(), ..base() }),
            (&["--wqty", "2"], Settings { workers: 2, ..base() }),
            (&["--backlog", "128"], Settings { backlog: 128, ..base() }),
            (&["--max-connections", "9"], Settings { max_connections: Some(9), ..base() }),
            (&["--idle-timeout", "5"], Settings { idle_timeout: seconds(5), ..base() }),
            (&["--head-timeout", "5s"], Settings { head_timeout: seconds(5), ..base() }),
            (&["--send-timeout", "2m"], Settings { send_timeout: seconds(120), ..base() }),
            (&["--drain-timeout", "0"], Settings { drain_timeout: seconds(0), ..base() }),
            (&["--watchdog", "2s"], Settings { watchdog: Some(seconds(2)), ..base() }),
            (&["--watchdog", "off"], Settings { watchdog: None, ..base() }),
            (&["--cache-valid", "0"], Settings { cache_valid: seconds(0), ..base() }),
            (&["--cache-entries", "7"], Settings { cache_entries: 7, ..base() }),
            (&["--cache-size", "1K"], Settings { cache_size: 1024, ..base() }),
            (&["--find-limit", "9"], Settings { find_limit: 9, ..base() }),
            (&["--cpu-affinity"], Settings { cpu_affinity: true, ..base() }),
            (&["--cpu-affinity", "off"], base()),
            (&["--user", "www", "--group", "33"], {
                Settings { user: Some("www".into()), group: Some("33".into()), ..base() }
            }),
            (&["--sandbox", "off"], Settings { sandbox: Sandbox::Off, ..base() }),
            (&["--sandbox", "require"], Settings { sandbox: Sandbox::Require, ..base() }),
            (&["--sandbox", "on"], base()),
            (&["--name", "x/1"], Settings { name: "x/1".into(), ..base() }),
            (&["--missing-index", "404"], Settings { missing_index: MissingIndex::NotFound, ..base() }),
            (&["--listing"], Settings { listing: true, ..base() }),
            (&["--listing=on"], Settings { listing: true, ..base() }),
            (&["--dotfiles", "serve"], Settings { dotfiles: true, ..base() }),
        ];
        for (flags, expected) in cases {
            assert_eq!(settled(flags, &[]), expected, "{flags:?}");
        }
    }

    #[test]
    fn a_flag_wins_over_a_variable() {
        let variables = [("MAYHTTPD_WORKERS", "3"), ("MAYHTTPD_ROOT", "b"), ("MAYHTTPD_LISTING", "on")];
        let from_variables = settled(&[], &variables);
        assert_eq!(from_variables.workers, 3);
        assert_eq!(from_variables.root, Root::Directory("b".into()));
        assert!(from_variables.listing);
        let both = settled(&["-w", "2", "a", "--listing", "off"], &variables);
        assert_eq!(both.workers, 2);
        assert_eq!(both.root, Root::Directory("a".into()));
        assert!(!both.listing);
    }

    #[test]
    fn a_document_root_beside_the_server_is_served_unless_another_is_named() {
        let with = Machine { document_root: true, ..HERE };
        let root = |flags| settle_on(with, flags, &[]).unwrap().root;
        assert_eq!(root(&[]), Root::Directory(DOCUMENT_ROOT.into()));
        assert_eq!(root(&["site"]), Root::Directory("site".into()));
    }

    #[test]
    fn workers_of_a_very_large_machine_stay_within_bounds() {
        let large = Machine { cpus: 4096, ..HERE };
        assert_eq!(settle_on(large, &[], &[]).unwrap().workers, 1024);
    }

    #[test]
    fn a_bad_value_names_its_flag_or_variable_and_what_is_allowed() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 9] = [
            (
                &["-w", "0"],
                &[],
                "invalid value \"0\" for --workers: expected a number from 1 to 1024, or auto",
            ),
            (
                &[],
                &[("MAYHTTPD_WORKERS", "x")],
                "invalid value \"x\" for MAYHTTPD_WORKERS: expected a number from 1 to 1024, or auto",
            ),
            (
                &["--missing-index", "500"],
                &[],
                "invalid value \"500\" for --missing-index: expected 403 or 404",
            ),
            (
                &["--trusted-proxies", "10.0.0.1/8"],
                &[],
                "invalid value \"10.0.0.1/8\" for --trusted-proxies: has bits beyond its prefix: \
                 expected 10.0.0.0/8, or 10.0.0.1 alone",
            ),
            (
                &[],
                &[("MAYHTTPD_TRUSTED_PROXIES", "::1,off")],
                "invalid value \"off\" for MAYHTTPD_TRUSTED_PROXIES: \
                 expected a network as 10.0.0.0/8, an IP address, unix: or all",
            ),
            (
                &["--real-ip-header", "cf-connecting-ip"],
                &[],
                "invalid value \"cf-connecting-ip\" for --real-ip-header: \
                 expected x-forwarded-for, forwarded or x-real-ip",
            ),
            (&["--dotfiles", "on"], &[], "invalid value \"on\" for --dotfiles: expected hide or serve"),
            (
                &["--listing", "site"],
                &[],
                "invalid value \"site\" for --listing: expected on or off \
                 (put ROOT before a flag that stands alone)",
            ),
            (
                &["--name", "a\nb"],
                &[],
                "invalid value \"a\\nb\" for --name: expected 1 to 128 visible ASCII characters, \
                 spaces only between them",
            ),
        ];
        for (flags, variables, error) in cases {
            assert_eq!(settle_on(HERE, flags, variables), Err(error.to_owned()));
        }
    }

    #[test]
    fn help_and_version_are_printed_and_a_wrong_flag_is_usage() {
        let Ok(Invocation::Print(help)) = called(&["--help"], &[("MAYHTTPD_WORKERS", "bad")]) else {
            panic!("help was not printed");
        };
        assert!(help.contains("--drain-timeout <TIME>") && help.contains("Usage: mayhttpd"), "{help}");
        let Ok(Invocation::Print(version)) = called(&["-V"], &[]) else { panic!("no version") };
        assert!(version.starts_with("mayhttpd "), "{version}");

        for args in [&["--wrokers", "3"][..], &["a", "b"], &["a", "-r", "b"], &["-w"], &["--root", ""]] {
            let error = called(args, &[]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
            assert!(matches!(&error, StartupError::Usage(text) if !text.starts_with("error")), "{error}");
        }
        assert!(called(&["--wrokers", "3"], &[]).unwrap_err().to_string().contains("--workers"));
        let Ok(Invocation::Serve(settings)) = called(&["-w", "2"], &[("MAYHTTPD_ROT", "x")]) else {
            panic!("not served");
        };
        assert_eq!(settings.warnings.len(), 1);
    }

    #[test]
    fn a_healthcheck_asks_the_admin_or_else_the_first_address_unless_told_otherwise() {
        let check = |args: &[&str], variables: &[(&str, &str)]| match called(args, variables) {
            Ok(Invocation::Healthcheck { url, timeout, announced: false }) => format!("{url} {timeout:?}"),
            Ok(Invocation::Healthcheck { url, announced: true, .. }) => format!("{url} announced"),
            other => format!("{other:?}"),
        };
        assert_eq!(check(&["healthcheck"], &[]), "http://127.0.0.1:8080/ 3s");
        assert_eq!(check(&["healthcheck"], &[("MAYHTTPD_PORT", "80")]), "http://127.0.0.1:80/ 3s");
        assert_eq!(check(&["--listen", "[::]:81,82", "healthcheck"], &[]), "http://[::1]:81/ 3s");
        assert_eq!(check(&["--admin", "9000", "healthcheck"], &[]), "http://127.0.0.1:9000/healthz 3s");
        assert_eq!(check(&["healthcheck", "--admin", "9000"], &[]), "http://127.0.0.1:9000/healthz 3s");
        let variables = [("MAYHTTPD_ADMIN", "[::]:9000")];
        assert_eq!(check(&["healthcheck"], &variables), "http://[::1]:9000/healthz 3s");
        assert_eq!(check(&["--admin", "off", "healthcheck"], &variables), "http://127.0.0.1:8080/ 3s");
        assert_eq!(check(&["--admin", "0", "healthcheck"], &[]), "http://127.0.0.1:8080/ 3s");
        let marked = |name| ["--listen", "80,81", "--proxy-protocol", name, "healthcheck"];
        assert_eq!(check(&marked("all"), &[]), "http://127.0.0.1:80/ announced");
        assert_eq!(check(&marked("81,80"), &[]), "http://127.0.0.1:80/ announced");
        assert_eq!(check(&marked("81"), &[]), "http://127.0.0.1:80/ 3s");
        let variables = [("MAYHTTPD_PROXY_PROTOCOL", "all")];
        assert_eq!(
            check(&["--admin", "9000", "healthcheck"], &variables),
            "http://127.0.0.1:9000/healthz 3s"
        );
        assert_eq!(check(&["healthcheck", "http://a/b", "--timeout", "500ms"], &[]), "http://a/b 500ms");
        assert!(check(&["healthcheck", "--timeout", "0"], &[]).starts_with("Err(Config"));
        assert!(matches!(called(&["./healthcheck"], &[]), Ok(Invocation::Serve(_))));
    }

    #[test]
    fn the_parser_has_no_contradiction_in_itself() {
        cli::parser().debug_assert();
    }

    #[test]
    fn the_words_of_an_init_script_take_the_flags_of_a_start() {
        for line in [&["-w3", "start"][..], &["start", "-w3"], &["start", "-w", "3", "src"]] {
            let Ok(Invocation::Init(Init::Start, settings)) = called(line, &[]) else { panic!("{line:?}") };
            let root = if line.len() > 2 { Root::Directory("src".into()) } else { Root::Welcome };
            assert_eq!((settings.workers, settings.root), (3, root), "{line:?}");
            assert_eq!(settings.log_file.as_deref(), Some(Path::new(NO_LOG)));
        }
        for (line, word) in [(["stop"], Init::Stop), (["restart"], Init::Restart), (["status"], Init::Status)]
        {
            assert!(matches!(called(&line, &[]), Ok(Invocation::Init(found, _)) if found == word));
        }
        for line in [
            &["-t", "start"][..],
            &["stop", "--dump"],
            &["-s", "quit", "status"],
            &["start", "--access-log=-"],
            &["a", "start", "b"],
            &["start", "b", "--root=a"],
            &["strat"],
        ] {
            assert!(matches!(called(line, &[]), Err(StartupError::Usage(_))), "{line:?}");
        }
    }
}
