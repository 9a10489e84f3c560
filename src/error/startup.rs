//! Why the server did not start, and the exit code for it. Commands such as `healthcheck` and `kernel check`
//! end with these errors too.
//!
//! Errors after the start are not here: a connection ends with a close reason, and a request gets a status.
//!
//! A message names the step, the thing and the cause. It is one line without a full stop, because the caller
//! prints it after the program's name. Only the usage text of the parser has several lines.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::text::{cause, shown};

/// Why the server could not start.
#[derive(Debug)]
pub enum StartupError {
    /// The command line is not valid. The text is ready to print.
    Usage(String),
    /// A flag or variable has a value that is not allowed.
    Config {
        /// The flag or variable as the user wrote it, for example `--workers` or `MAYHTTPD_WORKERS`.
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
        /// The system error.
        source: io::Error,
    },
    /// A line of the settings file is not valid.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// The key, if it is known.
        key: Option<String>,
        /// What is wrong, and what is allowed in parentheses.
        why: String,
    },
    /// The directory to serve could not be opened.
    Root {
        /// The directory.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// A listening socket could not be opened.
    Bind {
        /// The address and port in the settings.
        addr: String,
        /// The system error.
        source: io::Error,
    },
    /// A setting names a listener that does not exist.
    NoListener {
        /// What the setting is for, as a verb phrase.
        purpose: &'static str,
        /// The name in the setting.
        name: String,
    },
    /// A socket passed by socket activation can't be used.
    InheritedSocket {
        /// The number of its descriptor.
        descriptor: i32,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The user or group of the workers is unknown.
    User {
        /// The name or number in the settings.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A log could not be opened.
    Log {
        /// The file, or a word for the stream.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// The kernel lacks a feature that the server needs.
    Kernel {
        /// The feature, and the kernel version that has it.
        what: String,
    },
    /// The pid file could not be written.
    PidFile {
        /// The file.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// A running master could not be found or signalled.
    Signal {
        /// What failed, and why.
        what: String,
    },
    /// The pid file does not show whether its server runs.
    UnknownState {
        /// The file.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// A running server could not be stopped.
    StillRunning {
        /// What failed, and why.
        what: String,
    },
    /// A server that was started in the background failed.
    Background {
        /// Its exit code.
        code: u8,
        /// Its error message.
        text: String,
    },
    /// A generated file, such as a man page, could not be written.
    Generated {
        /// The file or directory.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// The directory whose files are to be compressed could not be opened.
    Precompress {
        /// The directory.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// The listeners of the program before an upgrade can't be used.
    Takeover {
        /// What is wrong with it.
        what: String,
    },
    /// Another system call of the start failed.
    System {
        /// The step as a verb phrase, for example `block the signals`.
        step: &'static str,
        /// The system error.
        source: io::Error,
    },
    /// A users file could not be read, or has a fault.
    UsersFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        why: String,
    },
    /// A certificate could not be read, or can't be served.
    Certificate {
        /// The file of its chain.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A private key could not be read, or can't be used.
    PrivateKey {
        /// The file.
        path: PathBuf,
        /// What is wrong, without a part of the key.
        why: String,
    },
    /// A password can't be used for a line of a users file.
    Password {
        /// What is wrong.
        why: String,
    },
    /// The health check of a server failed.
    Unhealthy {
        /// The URL that was requested.
        url: String,
        /// Why it counts as failed.
        why: String,
    },
    /// The settings of the kernel could not be read.
    Proc {
        /// The directory.
        path: PathBuf,
        /// The system error.
        source: io::Error,
    },
    /// `kernel check` found keys or limits that are too low for the settings.
    KernelCheck {
        /// The keys and limits.
        what: String,
    },
    /// `kernel apply` could not set some keys.
    KernelSetting {
        /// The keys, each with its system error.
        what: String,
    },
    /// A worker was forked but could not start to serve.
    Worker {
        /// Its slot.
        slot: usize,
        /// The worker's error message.
        text: String,
    },
}

impl StartupError {
    /// The exit code: 2 if the command line, the environment or the settings file is not valid, else 1. An
    /// error in the background has the exit code of its process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config { .. } | Self::File { .. } | Self::Line { .. } => 2,
            Self::Background { code, .. } => *code,
            Self::Root { .. }
            | Self::Bind { .. }
            | Self::NoListener { .. }
            | Self::InheritedSocket { .. }
            | Self::User { .. }
            | Self::Log { .. }
            | Self::Kernel { .. }
            | Self::System { .. }
            | Self::UsersFile { .. }
            | Self::Certificate { .. }
            | Self::PrivateKey { .. }
            | Self::Password { .. }
            | Self::PidFile { .. }
            | Self::Signal { .. }
            | Self::UnknownState { .. }
            | Self::StillRunning { .. }
            | Self::Generated { .. }
            | Self::Precompress { .. }
            | Self::Takeover { .. }
            | Self::Unhealthy { .. }
            | Self::Proc { .. }
            | Self::KernelCheck { .. }
            | Self::KernelSetting { .. }
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
            Self::NoListener { purpose, name } => {
                write!(f, "cannot {purpose} on {}: no listener is there", name.escape_debug())
            }
            Self::InheritedSocket { descriptor, source } => {
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
            Self::UnknownState { path, source } => {
                write!(f, "cannot tell by {} whether a server runs: {}", shown(path), cause(source))
            }
            Self::StillRunning { what } => write!(f, "cannot stop the running server: {what}"),
            Self::Background { text, .. } => f.write_str(text),
            Self::Generated { path, source } => write!(f, "cannot write {}: {}", shown(path), cause(source)),
            Self::Precompress { path, source } => {
                write!(f, "cannot compress the files of {}: {}", shown(path), cause(source))
            }
            Self::Takeover { what } => write!(f, "cannot take over the listeners: {what}"),
            Self::System { step, source } => write!(f, "cannot {step}: {}", cause(source)),
            Self::UsersFile { path, why } => write!(f, "cannot use the users file {}: {why}", shown(path)),
            Self::Certificate { path, why } => {
                write!(f, "cannot use the certificate {}: {why}", shown(path))
            }
            Self::PrivateKey { path, why } => {
                write!(f, "cannot use the private key {}: {why}", shown(path))
            }
            Self::Password { why } => write!(f, "cannot use this password: {why}"),
            Self::Unhealthy { url, why } => write!(f, "{url:?} is not healthy: {why}"),
            Self::Proc { path, source } => {
                write!(f, "cannot read the kernel's settings in {}: {}", shown(path), cause(source))
            }
            Self::KernelCheck { what } => write!(f, "the kernel holds this server back: {what}"),
            Self::KernelSetting { what } => write!(f, "cannot set {what}"),
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
            | Self::InheritedSocket { source, .. }
            | Self::Log { source, .. }
            | Self::PidFile { source, .. }
            | Self::UnknownState { source, .. }
            | Self::Generated { source, .. }
            | Self::Precompress { source, .. }
            | Self::Proc { source, .. }
            | Self::System { source, .. } => Some(source),
            Self::Usage(_)
            | Self::Config { .. }
            | Self::Line { .. }
            | Self::NoListener { .. }
            | Self::UsersFile { .. }
            | Self::Certificate { .. }
            | Self::PrivateKey { .. }
            | Self::Password { .. }
            | Self::User { .. }
            | Self::Kernel { .. }
            | Self::Signal { .. }
            | Self::StillRunning { .. }
            | Self::Background { .. }
            | Self::Takeover { .. }
            | Self::Unhealthy { .. }
            | Self::KernelCheck { .. }
            | Self::KernelSetting { .. }
            | Self::Worker { .. } => None,
        }
    }
}

/// A hint at what a failed bind means.
fn bind_hint(addr: &str, error: &io::Error) -> &'static str {
    let port = addr.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    match error.kind() {
        io::ErrorKind::PermissionDenied if (1..1024).contains(&port) => {
            " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        }
        io::ErrorKind::AddrInUse => " (another process holds this port)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has this address)",
        _ => "",
    }
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
        let addr = |text: &str| text.to_owned();
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
            StartupError::NoListener { purpose: "take PROXY headers", name: "127.0.0.1:81".to_owned() },
            1,
            "cannot take PROXY headers on 127.0.0.1:81: no listener is there",
        );
        check(
            StartupError::InheritedSocket { descriptor: 3, source: os(88) },
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
            StartupError::KernelCheck { what: "net.core.somaxconn, open files".into() },
            1,
            "the kernel holds this server back: net.core.somaxconn, open files",
        );
        check(
            StartupError::KernelSetting { what: "fs.nr_open: permission denied".into() },
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
            StartupError::Certificate { path: "/a.pem".into(), why: "it has expired".into() },
            1,
            "cannot use the certificate /a.pem: it has expired",
        );
        check(
            StartupError::PrivateKey { path: "/a.key".into(), why: "it is encrypted".into() },
            1,
            "cannot use the private key /a.key: it is encrypted",
        );
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
