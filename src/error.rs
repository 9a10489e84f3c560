//! Why the server did not start: one variant for each step of starting, and the exit code it leads to. A healthcheck
//! that fails is among them, and what the kernel withholds, because they end the program in the same way.
//!
//! It owns the wording of these errors and nothing else. What happens after the start is not an error of
//! this kind: a connection stops with its own reason, and a request is refused with a status.
//!
//! A message names the step, the thing and the cause, fits on one line and has no full stop, because the
//! caller prints it behind the program's name. Only the parser's own usage text spans several lines.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the server could not start.
#[derive(Debug)]
pub enum StartupError {
    /// The command line could not be understood. The text is ready to print.
    Usage(String),
    /// A flag or variable has a value that is not allowed.
    Config {
        /// The flag or variable as its user wrote it, for example `--workers` or `MAYHTTPD_WORKERS`.
        key: String,
        /// The value that was refused.
        value: String,
        /// What is allowed instead.
        why: String,
    },
    /// The settings file could not be read.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the settings file is not allowed.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The character in the line, counted from 1.
        column: usize,
        /// The key, where it is known.
        key: Option<String>,
        /// What is wrong, and what is allowed in parentheses.
        why: String,
    },
    /// The directory to serve could not be opened.
    Root {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A listening socket could not be made.
    Bind {
        /// The address and port that were asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No listener has the name by which one is marked for PROXY headers.
    NoListener {
        /// The name that was given.
        name: String,
    },
    /// A socket that whoever started this has passed on is not one to serve on.
    Lent {
        /// Its number.
        descriptor: i32,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The user or group of the workers is unknown.
    User {
        /// The name or number that was given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A log could not be opened.
    Log {
        /// The file, or a word for the stream.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel lacks something that the server can't do without.
    Kernel {
        /// What is missing and which version has it.
        what: String,
    },
    /// The file with the process id could not be written.
    PidFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A running master could not be found or told.
    Signal {
        /// What went wrong, with what.
        what: String,
    },
    /// A pid file does not tell whether its server runs.
    Untold {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A running server could not be stopped.
    Unstopped {
        /// What went wrong, with what.
        what: String,
    },
    /// A server that was to serve in the background does not.
    Background {
        /// Its exit code.
        code: u8,
        /// Its own words.
        text: String,
    },
    /// A file could not be written for whoever packages the server.
    Generated {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the program before this one handed on can't be used.
    Inherited {
        /// What is wrong with it.
        what: String,
    },
    /// A system call of the start failed that no other variant describes.
    System {
        /// The step as a verb phrase, for example `block the signals`.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A server that was asked how it is does not answer well.
    Unhealthy {
        /// What it was asked for.
        url: String,
        /// What came instead of a good answer.
        why: String,
    },
    /// The kernel's settings are not where they were looked for.
    Proc {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel holds back what the settings ask for.
    HeldBack {
        /// The keys and limits.
        what: String,
    },
    /// Keys of the kernel could not be set.
    Unset {
        /// The keys, each with what the system said.
        what: String,
    },
    /// A worker was forked and could not begin to serve.
    Worker {
        /// Its slot.
        slot: usize,
        /// The worker's own words.
        text: String,
    },
}

impl StartupError {
    /// The exit code: 2 for what the user can mend on the command line, in the environment or in the
    /// settings file, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config { .. } | Self::File { .. } | Self::Line { .. } => 2,
            Self::Background { code, .. } => *code,
            Self::Root { .. }
            | Self::Bind { .. }
            | Self::NoListener { .. }
            | Self::Lent { .. }
            | Self::User { .. }
            | Self::Log { .. }
            | Self::Kernel { .. }
            | Self::System { .. }
            | Self::PidFile { .. }
            | Self::Signal { .. }
            | Self::Untold { .. }
            | Self::Unstopped { .. }
            | Self::Generated { .. }
            | Self::Inherited { .. }
            | Self::Unhealthy { .. }
            | Self::Proc { .. }
            | Self::HeldBack { .. }
            | Self::Unset { .. }
            | Self::Worker { .. } => 1,
        }
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Config { key, value, why } => write!(f, "invalid value {value:?} for {key}: {why}"),
            Self::File { path, source } => {
                write!(f, "cannot read the settings in {}: {}", shown(path), cause(source))
            }
            Self::Line { path, line, column, key, why } => {
                write!(f, "{}:{line}:{column}: ", shown(path))?;
                key.iter().try_for_each(|key| write!(f, "{key}: "))?;
                f.write_str(why)
            }
            Self::Root { path, source } => write!(f, "cannot serve {}: {}", shown(path), cause(source)),
            Self::Bind { addr, source } => {
                write!(f, "cannot listen on {addr}: {}{}", cause(source), bind_hint(addr, source))
            }
            Self::NoListener { name } => {
                write!(f, "cannot take PROXY headers on {}: no listener is there", name.escape_debug())
            }
            Self::Lent { descriptor, source } => {
                write!(f, "cannot listen on inherited descriptor {descriptor}: {}", cause(source))
            }
            Self::User { name, why } => write!(f, "cannot run workers as {name:?}: {why}"),
            Self::Log { path, source } => {
                write!(f, "cannot open the log {}: {}", shown(path), cause(source))
            }
            Self::Kernel { what } => write!(f, "cannot run on this kernel: {what}"),
            Self::PidFile { path, source } => {
                write!(f, "cannot write the pid file {}: {}", shown(path), cause(source))
            }
            Self::Signal { what } => write!(f, "cannot signal the running server: {what}"),
            Self::Untold { path, source } => {
                write!(f, "cannot tell by {} whether a server runs: {}", shown(path), cause(source))
            }
            Self::Unstopped { what } => write!(f, "cannot stop the running server: {what}"),
            Self::Background { text, .. } => f.write_str(text),
            Self::Generated { path, source } => write!(f, "cannot write {}: {}", shown(path), cause(source)),
            Self::Inherited { what } => write!(f, "cannot take over the listeners: {what}"),
            Self::System { step, source } => write!(f, "cannot {step}: {}", cause(source)),
            Self::Unhealthy { url, why } => write!(f, "{url:?} is not healthy: {why}"),
            Self::Proc { path, source } => {
                write!(f, "cannot read the kernel's settings in {}: {}", shown(path), cause(source))
            }
            Self::HeldBack { what } => write!(f, "the kernel holds this server back: {what}"),
            Self::Unset { what } => write!(f, "cannot set {what}"),
            Self::Worker { slot, text } => write!(f, "cannot start worker {slot}: {text}"),
        }
    }
}

impl Error for StartupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. }
            | Self::Root { source, .. }
            | Self::Bind { source, .. }
            | Self::Lent { source, .. }
            | Self::Log { source, .. }
            | Self::PidFile { source, .. }
            | Self::Untold { source, .. }
            | Self::Generated { source, .. }
            | Self::Proc { source, .. }
            | Self::System { source, .. } => Some(source),
            Self::Usage(_)
            | Self::Config { .. }
            | Self::Line { .. }
            | Self::NoListener { .. }
            | Self::User { .. }
            | Self::Kernel { .. }
            | Self::Signal { .. }
            | Self::Unstopped { .. }
            | Self::Background { .. }
            | Self::Inherited { .. }
            | Self::Unhealthy { .. }
            | Self::HeldBack { .. }
            | Self::Unset { .. }
            | Self::Worker { .. } => None,
        }
    }
}

/// The system's words in the middle of a sentence: a small first letter, and no error number behind them.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // "I/O error" and other abbreviations keep their capital.
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// What the bare cause of a failed bind leaves the reader to guess.
fn bind_hint(addr: &SocketAddr, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied if (1..1024).contains(&addr.port()) => {
            " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::AddrInUse => " (another process holds this port)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has this address)",
        _ => "",
    }
}

/// A path as it is, or quoted where it would break the line.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.is_empty() || text.contains(char::is_control) { format!("{text:?}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: StartupError, code: u8, text: &str) {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.exit_code(), code);
        assert!(!text.ends_with('.') && !text.contains('\n'));
    }

    #[test]
    fn a_message_is_one_line_with_step_thing_and_cause() {
        let os = io::Error::from_raw_os_error;
        let addr = |text: &str| text.parse().unwrap();
        check(
            StartupError::Bind { addr: addr("127.0.0.1:80"), source: os(13) },
            1,
            "cannot listen on 127.0.0.1:80: permission denied \
             (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
        );
        check(
            StartupError::Bind { addr: addr("127.0.0.1:8080"), source: os(13) },
            1,
            "cannot listen on 127.0.0.1:8080: permission denied",
        );
        check(
            StartupError::Bind { addr: addr("[::]:80"), source: os(98) },
            1,
            "cannot listen on [::]:80: address already in use (another process holds this port)",
        );
        check(
            StartupError::Bind { addr: addr("192.0.2.1:80"), source: os(99) },
            1,
            "cannot listen on 192.0.2.1:80: cannot assign requested address \
             (no interface of this machine has this address)",
        );
        check(
            StartupError::NoListener { name: "127.0.0.1:81".to_owned() },
            1,
            "cannot take PROXY headers on 127.0.0.1:81: no listener is there",
        );
        check(
            StartupError::Lent { descriptor: 3, source: os(88) },
            1,
            "cannot listen on inherited descriptor 3: socket operation on non-socket",
        );
        check(
            StartupError::Root { path: "/no/such".into(), source: os(2) },
            1,
            "cannot serve /no/such: no such file or directory",
        );
        check(
            StartupError::Root { path: "two\nlines".into(), source: os(20) },
            1,
            r#"cannot serve "two\nlines": not a directory"#,
        );
        check(
            StartupError::Proc { path: "/none/sys".into(), source: os(2) },
            1,
            "cannot read the kernel's settings in /none/sys: no such file or directory",
        );
        check(
            StartupError::HeldBack { what: "net.core.somaxconn, open files".into() },
            1,
            "the kernel holds this server back: net.core.somaxconn, open files",
        );
        check(
            StartupError::Unset { what: "fs.nr_open: permission denied".into() },
            1,
            "cannot set fs.nr_open: permission denied",
        );
        check(
            StartupError::Config { key: "--workers".into(), value: "x".into(), why: "expected N".into() },
            2,
            r#"invalid value "x" for --workers: expected N"#,
        );
        check(
            StartupError::File { path: "may.toml".into(), source: os(2) },
            2,
            "cannot read the settings in may.toml: no such file or directory",
        );
        let line = |key: Option<&str>, why: &str| StartupError::Line {
            path: "may.toml".into(),
            line: 3,
            column: 11,
            key: key.map(str::to_owned),
            why: why.to_owned(),
        };
        check(line(Some("workers"), "is bad (good is)"), 2, "may.toml:3:11: workers: is bad (good is)");
        check(line(None, "is bad"), 2, "may.toml:3:11: is bad");
        check(
            StartupError::Log { path: "/var/log/x".into(), source: os(5) },
            1,
            "cannot open the log /var/log/x: input/output error",
        );
        check(
            StartupError::User { name: "www".into(), why: "no such user".into() },
            1,
            r#"cannot run workers as "www": no such user"#,
        );
        check(
            StartupError::Worker { slot: 3, text: "too many open files".into() },
            1,
            "cannot start worker 3: too many open files",
        );
    }
}
