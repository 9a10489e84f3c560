//! What the program can be asked to do: to serve, or one of the commands beside it.
//!
//! It decides what a command line asks for, and does nothing of it. [`parser`] has the flags and commands,
//! the other files of this folder carry them out, and [`run`](crate::run) calls them.

pub mod parser;

pub mod service;

pub mod inspect;

pub mod checked_page;
pub mod healthcheck;
mod tls_client;

pub mod kernel;

pub mod password;
pub mod precompress;

pub mod generate;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use self::checked_page::CheckedPage;
use self::parser::{Command, CommandLine, KernelTask, PrecompressTask, Product, command_names};
use crate::config::load::{Inputs, Loaded};
use crate::config::source::cli;
use crate::config::source::given::SettingOrigin;
use crate::config::{Settings, value};
use crate::error::StartupError;
use crate::password::new_hash::NewHash;
use crate::sys::signal::SignalRequest;

/// What a command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve with these settings, which a reload reads again from the inputs.
    Serve(Box<Settings>, Inputs),
    /// Start, stop or ask for a server in the background.
    Service(ServiceCommand, Box<Settings>, Inputs),
    /// Check that a running server answers for this page within a time of 100 ms to 24 h.
    Healthcheck(CheckedPage, Duration),
    /// Compare the kernel with what these settings ask for, or set it.
    Kernel(KernelTask, Box<Settings>),
    /// Compress the files of a directory, with the media types of these settings.
    Precompress(PrecompressTask, Box<Settings>),
    /// Write a line of a users file for this user, with the hash of a password that is still to be read.
    Password(String, NewHash),
    /// Write a file for a package, or a certificate: into this directory, or to standard output.
    Generate(Product, Option<PathBuf>),
    /// Send a signal to the running master of this pid file.
    Signal(SignalRequest, PathBuf),
    /// Check the settings and what they name (`--test`).
    Test(Box<Settings>),
    /// Print the settings and where each comes from (`--dump`).
    Dump(Box<Loaded>),
    /// Print this text, help or version.
    Print(String),
}

/// The commands of an init script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCommand {
    /// Serve in the background, unless a server runs already.
    Start,
    /// Drain the running server, and stop it.
    Stop,
    /// Reload the running server, or start one.
    Restart,
    /// Tell whether a server runs.
    Status,
}

/// The words of `--signal`.
const SIGNALS: &[(&str, SignalRequest)] = &[
    ("stop", SignalRequest::Stop),
    ("quit", SignalRequest::Drain),
    ("reload", SignalRequest::Reload),
    ("reopen", SignalRequest::Reopen),
    ("upgrade", SignalRequest::Upgrade),
];

/// Reads a command line, the program's name first, with the variables and the settings files that either
/// names.
///
/// # Errors
/// [`StartupError::Usage`] for a command line that can't be parsed, and those of [`Inputs::load`].
pub fn read(
    line: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Invocation, StartupError> {
    let mut line = match CommandLine::parse(line) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => return Ok(Invocation::Print(error.to_string())),
        Err(error) => return Err(usage(&error)),
    };
    // These need no settings.
    match line.command {
        Some(Command::Generate { product, out }) => return Ok(Invocation::Generate(product, out)),
        Some(Command::Password { user, argon2id, sha512 }) => {
            return Ok(Invocation::Password(user, new_hash(argon2id, sha512)));
        }
        _ => {}
    }
    take_root(&mut line)?;
    refuse_unknown_word(&line)?;
    let inputs = Inputs::new(std::mem::take(&mut line.source), variables)?;
    match line.command.take() {
        Some(Command::Healthcheck { url, timeout }) => healthcheck(url, timeout, &inputs.load()?.settings),
        Some(Command::Kernel { task }) => {
            Ok(Invocation::Kernel(task.unwrap_or_default(), Box::new(inputs.load()?.settings)))
        }
        Some(Command::Precompress(task)) => {
            Ok(Invocation::Precompress(task, Box::new(inputs.load()?.settings)))
        }
        Some(Command::Start { .. }) => service(ServiceCommand::Start, inputs.in_background(), &line),
        Some(Command::Restart { .. }) => service(ServiceCommand::Restart, inputs.in_background(), &line),
        Some(Command::Stop) => service(ServiceCommand::Stop, inputs, &line),
        Some(Command::Status) => service(ServiceCommand::Status, inputs, &line),
        Some(Command::Generate { .. } | Command::Password { .. }) | None => serve(inputs, &line),
    }
}

/// The hash that the flags of `password` ask for.
fn new_hash(argon2id: bool, sha512: bool) -> NewHash {
    match (argon2id, sha512) {
        (true, _) => NewHash::Argon2id,
        (false, true) => NewHash::Sha512,
        (false, false) => NewHash::Bcrypt,
    }
}

/// Takes the directory of `start` and `restart` for ROOT.
fn take_root(line: &mut CommandLine) -> Result<(), StartupError> {
    let (Some(Command::Start { site }) | Some(Command::Restart { site })) = &mut line.command else {
        return Ok(());
    };
    let Some(site) = site.take() else { return Ok(()) };
    if line.source.find("root").is_some() {
        return Err(StartupError::Usage("the directory to serve is given twice".to_owned()));
    }
    line.source.given.extend(cli::root(&site));
    Ok(())
}

/// A word that is neither a command nor a directory is most likely a misspelt command. A word with a slash is
/// a path.
fn refuse_unknown_word(line: &CommandLine) -> Result<(), StartupError> {
    let root =
        line.source.find("root").filter(|root| root.origin == SettingOrigin::Flag(cli::ROOT.to_owned()));
    let Some(word) = root.map(|root| root.bytes()) else { return Ok(()) };
    // A file that can't be looked at exists.
    let absent = std::fs::metadata(word).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if !absent || word.as_encoded_bytes().contains(&b'/') {
        return Ok(());
    }
    let commands = command_names().join(", ");
    let text = format!("{word:?} is neither a directory nor a command; the commands are {commands}");
    Err(StartupError::Usage(text))
}

/// A command of an init script.
fn service(command: ServiceCommand, inputs: Inputs, line: &CommandLine) -> Result<Invocation, StartupError> {
    if line.test || line.dump || line.signal.is_some() {
        let why = "--test, --dump and --signal can't be combined with start, stop, restart or status";
        return Err(StartupError::Usage(why.to_owned()));
    }
    Ok(Invocation::Service(command, Box::new(inputs.load()?.settings), inputs))
}

/// No command: to serve, unless a flag says otherwise.
fn serve(inputs: Inputs, line: &CommandLine) -> Result<Invocation, StartupError> {
    let loaded = inputs.load()?;
    if let Some(word) = &line.signal {
        // In lower case alone, as nginx takes it.
        let found = SIGNALS.iter().find(|(known, _)| known == word);
        let (_, request) = *found.ok_or_else(|| StartupError::Config {
            key: "--signal".to_owned(),
            value: word.clone(),
            why: value::expected(SIGNALS),
        })?;
        let file = loaded.settings.pid_file.ok_or_else(|| {
            StartupError::Usage("--signal needs --pid-file to find the running server".to_owned())
        })?;
        return Ok(Invocation::Signal(request, file));
    }
    Ok(match (line.dump, line.test) {
        (true, _) => Invocation::Dump(Box::new(loaded)),
        (false, true) => Invocation::Test(Box::new(loaded.settings)),
        (false, false) => Invocation::Serve(Box::new(loaded.settings), inputs),
    })
}

/// A health check of this page, or of a server with these settings.
fn healthcheck(
    url: Option<String>,
    timeout: Option<String>,
    settings: &Settings,
) -> Result<Invocation, StartupError> {
    let page = url.map_or_else(|| CheckedPage::of_server(settings), CheckedPage::at);
    let text = timeout.as_deref().unwrap_or("3s");
    let refused = |why| StartupError::Config { key: "--timeout".to_owned(), value: text.to_owned(), why };
    let timeout = value::timeout(text).map_err(refused)?;
    Ok(Invocation::Healthcheck(page, timeout))
}

/// The parser's own words, without the prefix that [`report`](crate::report) replaces.
fn usage(error: &clap::Error) -> StartupError {
    let text = error.to_string();
    StartupError::Usage(text.trim_end().trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::SiteRoot;
    use crate::config::load::NO_LOG;

    fn called(args: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, StartupError> {
        let args = std::iter::once(&"mayhttpd").chain(args).map(|arg| arg.into());
        read(args, variables.iter().map(|(name, value)| (name.into(), value.into())))
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
        let Ok(Invocation::Serve(settings, _)) = called(&["-w", "2"], &[("MAYHTTPD_ROT", "x")]) else {
            panic!("not served");
        };
        assert_eq!(settings.warnings.len(), 1);
    }

    #[test]
    fn a_healthcheck_asks_the_admin_or_else_the_first_address_unless_told_otherwise() {
        let check = |args: &[&str], variables: &[(&str, &str)]| match called(args, variables) {
            Ok(Invocation::Healthcheck(CheckedPage { url, proxy_header: false, tls }, timeout)) => {
                format!("{url} {timeout:?}{}", if tls { " TLS" } else { "" })
            }
            Ok(Invocation::Healthcheck(CheckedPage { url, .. }, _)) => format!("{url} PROXY"),
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
        let tls = ["--tls-listen=443,444", "--tls-cert=c", "--tls-key=k", "healthcheck"];
        assert_eq!(check(&tls, &[]), "https://127.0.0.1:443/ 3s TLS");
        assert_eq!(check(&tls, &[("MAYHTTPD_PORT", "80")]), "http://127.0.0.1:80/ 3s");
        let marked = |name| ["--listen", "80,81", "--proxy-protocol", name, "healthcheck"];
        assert_eq!(check(&marked("all"), &[]), "http://127.0.0.1:80/ PROXY");
        assert_eq!(check(&marked("81,80"), &[]), "http://127.0.0.1:80/ PROXY");
        assert_eq!(check(&marked("81"), &[]), "http://127.0.0.1:80/ 3s");
        let variables = [("MAYHTTPD_PROXY_PROTOCOL", "all")];
        assert_eq!(
            check(&["--admin", "9000", "healthcheck"], &variables),
            "http://127.0.0.1:9000/healthz 3s"
        );
        assert_eq!(check(&["healthcheck", "http://a/b", "--timeout", "500ms"], &[]), "http://a/b 500ms");
        assert!(check(&["healthcheck", "--timeout", "0"], &[]).starts_with("Err(Config"));
        assert!(matches!(called(&["./healthcheck"], &[]), Ok(Invocation::Serve(..))));
    }

    #[test]
    fn the_words_of_an_init_script_take_the_flags_of_a_start() {
        for line in [&["-w3", "start"][..], &["start", "-w3"], &["start", "-w", "3", "src"]] {
            let Ok(Invocation::Service(ServiceCommand::Start, settings, _)) = called(line, &[]) else {
                panic!("{line:?}")
            };
            let root = if line.len() > 2 { SiteRoot::Directory("src".into()) } else { SiteRoot::Welcome };
            assert_eq!((settings.workers, settings.root), (3, root), "{line:?}");
            assert_eq!(settings.log_file.as_deref(), Some(Path::new(NO_LOG)));
        }
        for (line, word) in [
            (["stop"], ServiceCommand::Stop),
            (["restart"], ServiceCommand::Restart),
            (["status"], ServiceCommand::Status),
        ] {
            assert!(matches!(called(&line, &[]), Ok(Invocation::Service(found, ..)) if found == word));
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
