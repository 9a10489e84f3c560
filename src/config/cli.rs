//! The command line: every flag with its names, its heading and its line of help.
//!
//! It owns the words, not the values. [`Raw`] keeps each value as the text that was typed, because the same
//! text may come from a variable, and only the settling of all layers knows what is allowed.
//!
//! The name of a flag's value in the help also says which types its key in a settings file takes: `N` a number,
//! `on|off` a switch, `TIME` and `SIZE` a number or text. [`file`](super::file) has the list.
//!
//! A field is `None` where nothing was given. A default written here would hide what a lower layer says, so
//! defaults appear in the help as prose and live in [`Settings::default`](super::Settings).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::location::Location;

/// What one layer says, unread: `None` for what it leaves open.
#[derive(Parser, Debug, Default, Clone, PartialEq, Eq)]
#[command(
    name = "mayhttpd",
    version,
    about = "Serves the files of a directory over HTTP/1.1",
    after_help = "A value may also be given as MAYHTTPD_<LONG_NAME> in the environment, for example \
                  MAYHTTPD_LOG_LEVEL=warn, and in the file of --config, for example log_level = \"warn\". A \
                  flag wins over a variable, a variable over the file, and the file over that of --defaults. An \
                  empty variable says nothing.\n\
                  Times are 500ms, 30s, 2m or 1h; a plain number is in seconds.\n\
                  Sizes are 64KiB, 64K (the same), 64kB (64000 bytes) or a plain number of bytes; M and G \
                  alike.",
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct Raw {
    /// The directory to serve [default: ./DOCUMENT_ROOT, or else a welcome page]
    #[arg(value_name = "ROOT", conflicts_with = "root")]
    pub positional_root: Option<PathBuf>,

    /// The settings file, in TOML; its keys are the long flags with underscores
    #[arg(short, long, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,

    /// A settings file that all else wins over, for who packages the server
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub defaults: Option<PathBuf>,

    /// Check the settings and what they name, and end
    #[arg(short, long, conflicts_with = "dump", help_heading = "Settings")]
    pub test: bool,

    /// Print every setting and where it comes from, as a settings file, and end
    #[arg(short = 'T', long, help_heading = "Settings")]
    pub dump: bool,

    /// The directory to serve, like ROOT
    #[arg(
        short,
        long,
        value_name = "DIR",
        visible_aliases = ["root-document", "root_document"],
        help_heading = "Site"
    )]
    pub root: Option<PathBuf>,

    /// The file that answers for a directory [default: index.html]
    #[arg(long, value_name = "TEXT", help_heading = "Site")]
    pub index: Option<String>,

    /// The status of a directory without index file: 403 or 404 [default: 403]
    #[arg(long, value_name = "STATUS", help_heading = "Site")]
    pub missing_index: Option<String>,

    /// List a directory without index file: on or off [default: off]
    #[arg(
        long,
        value_name = "on|off",
        num_args = 0..=1,
        default_missing_value = "on",
        help_heading = "Site"
    )]
    pub listing: Option<String>,

    /// Hide or serve names that begin with a dot [default: hide]
    #[arg(long, value_name = "hide|serve", help_heading = "Site")]
    pub dotfiles: Option<String>,

    /// The text of the Server field [default: mayhttpd]
    #[arg(long, value_name = "TEXT", help_heading = "Site")]
    pub name: Option<String>,

    /// The address to listen on [default: 0.0.0.0]
    #[arg(short = 'a', long, value_name = "ADDR", help_heading = "Listening")]
    pub host: Option<String>,

    /// The port to listen on, 0 for any that is free [default: 8080]
    #[arg(short, long, value_name = "N", help_heading = "Listening")]
    pub port: Option<String>,

    /// Instead of --host and --port: an address and port, may be repeated
    #[arg(long, value_name = "ADDR:PORT", value_delimiter = ',', help_heading = "Listening")]
    pub listen: Option<Vec<String>>,

    /// Status page and metrics at this address, 127.0.0.1 if only a port [default: off]
    #[arg(long, value_name = "ADDR:PORT|off", help_heading = "Listening")]
    pub admin: Option<String>,

    /// Connections that may wait for a worker [default: 4096]
    #[arg(long, value_name = "N", help_heading = "Listening")]
    pub backlog: Option<String>,

    /// Listeners on which a balancer sends a PROXY header, of those of --listen, or all [default: off]
    #[arg(long, value_name = "ADDR:PORT|all|off", value_delimiter = ',', help_heading = "Balancer")]
    pub proxy_protocol: Option<Vec<String>>,

    /// Proxies that are believed whom they pass a request on for, as 10.0.0.0/8 [default: off]
    #[arg(long, value_name = "NETWORK|off", value_delimiter = ',', help_heading = "Balancer")]
    pub trusted_proxies: Option<Vec<String>>,

    /// The field in which they say it: x-forwarded-for, forwarded or x-real-ip [default: x-forwarded-for]
    #[arg(long, value_name = "FIELD", help_heading = "Balancer")]
    pub real_ip_header: Option<String>,

    /// Worker processes; auto: one for each CPU allowed [default: auto]
    #[arg(short, long, value_name = "N|auto", visible_alias = "wqty", help_heading = "Workers")]
    pub workers: Option<String>,

    /// Connections a worker holds at once [default: by limits]
    #[arg(long, value_name = "N", help_heading = "Workers")]
    pub max_connections: Option<String>,

    /// Bind each worker to one CPU: on or off [default: off]
    #[arg(
        long,
        value_name = "on|off",
        num_args = 0..=1,
        default_missing_value = "on",
        help_heading = "Workers"
    )]
    pub cpu_affinity: Option<String>,

    /// The user that the workers of root become [default: nobody]
    #[arg(long, value_name = "NAME", help_heading = "Workers")]
    pub user: Option<String>,

    /// The group that the workers of root become [default: the user's]
    #[arg(long, value_name = "NAME", help_heading = "Workers")]
    pub group: Option<String>,

    /// Confine workers and admin: on (as far as the kernel can), off, or require [default: on]
    #[arg(long, value_name = "on|off|require", help_heading = "Workers")]
    pub sandbox: Option<String>,

    /// Send large files by sendfile: on or off [default: on]
    #[arg(long, value_name = "on|off", help_heading = "Files")]
    pub sendfile: Option<String>,

    /// Bytes of a large file in one sendfile or read [default: 512KiB by sendfile, 16KiB by read]
    #[arg(long, value_name = "SIZE|auto", help_heading = "Files")]
    pub send_chunk: Option<String>,

    /// Age at which a cached file is looked at again where changes can't be seen [default: 1s]
    #[arg(long, value_name = "TIME", help_heading = "Files")]
    pub cache_valid: Option<String>,

    /// Files longer than 64 KiB that a worker keeps open in its cache [default: 4096]
    #[arg(long, value_name = "N", help_heading = "Files")]
    pub cache_entries: Option<String>,

    /// Memory for shorter files, a worker [default: 64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Files")]
    pub cache_size: Option<String>,

    /// Names that find_by_name holds of a directory, a worker [default: 200000]
    #[arg(long, value_name = "N", help_heading = "Files")]
    pub find_limit: Option<String>,

    /// How long a kept-alive connection may be silent [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = "Timeouts")]
    pub idle_timeout: Option<String>,

    /// How long a request's head may take to arrive [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Timeouts")]
    pub head_timeout: Option<String>,

    /// How long a client may take nothing of its answer [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Timeouts")]
    pub send_timeout: Option<String>,

    /// How long open connections get to finish at QUIT [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Timeouts")]
    pub drain_timeout: Option<String>,

    /// After how long without a sign of life a worker is killed and replaced, or off [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Timeouts")]
    pub watchdog: Option<String>,

    /// The file with the master's process id [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    pub pid_file: Option<PathBuf>,

    /// Tell the running server of --pid-file: stop, quit, reload, reopen or upgrade
    #[arg(short, long, value_name = "WORD", help_heading = "Running")]
    pub signal: Option<String>,

    /// error, warn, info, debug or trace [default: info]
    #[arg(short, long, value_name = "LEVEL", visible_alias = "level_log", help_heading = "Logging")]
    pub log_level: Option<String>,

    /// The file to log to; -: standard error [default: -]
    #[arg(short = 'f', long, value_name = "FILE", visible_alias = "file_log", help_heading = "Logging")]
    pub log_file: Option<PathBuf>,

    /// What a line of that log looks like: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    pub log_format: Option<String>,

    /// A line for each request; -: standard output [default: off]
    #[arg(long, value_name = "FILE|-|off", help_heading = "Logging")]
    pub access_log: Option<PathBuf>,

    /// What that line looks like: combined, common or json [default: combined]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    pub access_format: Option<String>,

    /// What a settings file has beside the keys of flags, read already.
    #[arg(skip)]
    pub locations: Vec<Location>,

    /// What to do other than to serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the program does.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve in the background; returns when the server serves, or says why it does not
    Start {
        /// The directory to serve
        #[arg(value_name = "ROOT")]
        site: Option<PathBuf>,
    },
    /// Have the server of --pid-file end when it has served its clients, and wait for it
    Stop,
    /// Have the server of --pid-file take up its settings anew, or start it
    Restart {
        /// The directory to serve
        #[arg(value_name = "ROOT")]
        site: Option<PathBuf>,
    },
    /// Say whether the server of --pid-file runs; exit with 0 if it does, 1 if it died, 3 if not, 4 if unknown
    Status,
    /// Ask a running server for a page; exit with 0 if it answers well, else with 1 and the reason
    Healthcheck {
        /// A page, as http://HOST:PORT/PATH [default: /healthz at --admin, else / at the first address listened on]
        url: Option<String>,
        /// The longest it may take [default: 3s]
        #[arg(long, value_name = "TIME")]
        timeout: Option<String>,
    },
    /// Compare the running kernel with sysctl.conf and with what these flags ask for
    Kernel {
        /// What to do; none is to check.
        #[command(subcommand)]
        task: Option<KernelTask>,
    },
    /// Write the manual page or the completions of a shell, for who packages the server
    Generate {
        /// What to write.
        #[command(subcommand)]
        product: Product,
        /// A directory to write it to, under its usual name [default: to standard output]
        #[arg(long, value_name = "DIR", global = true)]
        out: Option<PathBuf>,
    },
}

/// What `generate` writes.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum Product {
    /// The manual page, mayhttpd(8)
    Man,
    /// What completes flags and commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A shell that command lines can be completed in.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash, with bash-completion or without
    Bash,
    /// The Z shell
    Zsh,
    /// fish
    Fish,
}

/// What `kernel` does.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum KernelTask {
    /// A table of what there is and what is wanted; exit with 1 if something holds the server back (the default)
    Check {
        /// Another place of proc, or a copy of one [default: /proc]
        #[arg(long, value_name = "DIR")]
        proc: Option<PathBuf>,
    },
    /// Write sysctl.conf to standard output
    Print {
        /// Instead, its flags for docker run: the part that a container has of its own
        #[arg(long)]
        docker: bool,
    },
    /// Set what is too low, as root and until the next boot; nothing is lowered
    Apply {
        /// Another place of proc [default: /proc]
        #[arg(long, value_name = "DIR")]
        proc: Option<PathBuf>,
    },
}

impl Raw {
    /// What `arguments`, without the program's name, say.
    ///
    /// # Errors
    /// The parser's, where it knows no such flag or the value can't be one of it.
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::parsed(std::iter::once("mayhttpd".into()).chain(arguments))
    }

    /// What a whole command line says, the program's name first.
    ///
    /// # Errors
    /// As those of [`Raw::of`], and what is to be printed where help or version are asked for.
    pub fn parsed(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut matches = parser().try_get_matches_from(line)?;
        Self::from_arg_matches_mut(&mut matches)
    }

    /// How many values the lists have, for one that was read of a single argument.
    pub fn list_length(&self) -> Option<usize> {
        let lists = [&self.listen, &self.proxy_protocol, &self.trusted_proxies];
        lists.into_iter().flatten().map(Vec::len).max()
    }
}

/// The parser: flags may stand before a command, as before the word of an init script, and behind it.
pub fn parser() -> clap::Command {
    Raw::command().mut_args(|flag| if flag.is_positional() { flag } else { flag.global(true) })
}

/// The commands' names, in the order of the help.
pub fn commands() -> Vec<String> {
    parser().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// `--long=value` in one word, so that a value with a leading dash is not taken for a flag.
pub fn argument(long: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{long}="));
    flag.push(value);
    flag
}

/// The flags that take a value, in the order of the help: all but those that only say what to do now.
pub fn with_value() -> impl Iterator<Item = Arg> {
    let command = Raw::command();
    let flags: Vec<Arg> = command.get_arguments().cloned().collect();
    // An order to a running server is none that the environment should give.
    let order = |flag: &Arg| flag.get_long() == Some("signal");
    let takes_value = |flag: &Arg| flag.get_long().is_some() && flag.get_action().takes_values();
    flags.into_iter().filter(move |flag| takes_value(flag) && !order(flag))
}

/// The flags that say how to serve, which is what a settings file may say and a dump has to.
pub fn settings() -> impl Iterator<Item = Arg> {
    with_value().filter(|flag| !matches!(flag.get_long(), Some("config" | "defaults")))
}
