//! The parser of the command line: the flags of the table of settings, and the commands with their own flags.
//!
//! It owns the names and the help of the commands. What a flag means is in [`table`](crate::config::table).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches, Subcommand, ValueEnum};

use crate::config::source::cli;
use crate::config::source::given::SettingSource;

/// A command line that was parsed.
#[derive(Debug)]
pub struct CommandLine {
    /// What it gives for the settings.
    pub source: SettingSource,
    /// `--test`.
    pub test: bool,
    /// `--dump`.
    pub dump: bool,
    /// The value of `--signal`.
    pub signal: Option<String>,
    /// The command, if there is one.
    pub command: Option<Command>,
}

/// The commands.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve in the background; returns when the server serves, or prints why it doesn't
    Start {
        /// The directory to serve
        #[arg(value_name = "ROOT")]
        site: Option<PathBuf>,
    },
    /// Drain the server of --pid-file, for --drain-timeout at most, and wait until it has ended
    Stop,
    /// Reload the server of --pid-file, or start it
    Restart {
        /// The directory to serve
        #[arg(value_name = "ROOT")]
        site: Option<PathBuf>,
    },
    /// Tell whether the server of --pid-file runs; exit with 0 if it does, 1 if it died, 3 if not, 4 if
    /// unknown
    Status,
    /// Request a page of a running server; exit with 0 if the response is good, else with 1 and the reason
    Healthcheck {
        /// A page, as http://HOST:PORT/PATH [default: /healthz at --admin, else / at the first listener]
        url: Option<String>,
        /// How long it may take [default: 3s]
        #[arg(long, value_name = "TIME")]
        timeout: Option<String>,
    },
    /// Compare the running kernel with sysctl.conf and with what these flags need
    Kernel {
        /// The task; the default is to check.
        #[command(subcommand)]
        task: Option<KernelTask>,
    },
    /// Write NAME.br, NAME.zst and NAME.gz beside each file that gets at least 5 % shorter by that
    Precompress(PrecompressTask),
    /// Write a line of a users file, with the hash of a password that is typed or read from standard input
    Password {
        /// The user's name, without a colon
        #[arg(value_name = "USER")]
        user: String,
        /// Hash by argon2id, which is harder to guess; nginx and Apache read bcrypt, which is the default
        #[arg(long)]
        argon2id: bool,
        /// Hash by SHA-512-crypt ($6$), for an nginx whose system has no bcrypt
        #[arg(long, conflicts_with = "argon2id")]
        sha512: bool,
    },
    /// Write the manual page or shell completions, for packages, or a certificate to try TLS out
    Generate {
        /// What to write.
        #[command(subcommand)]
        product: Product,
        /// A directory to write the files to, under their usual names [default: standard output]
        #[arg(long, value_name = "DIR", global = true)]
        out: Option<PathBuf>,
    },
}

/// What `precompress` does.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct PrecompressTask {
    /// The directory; it and all beneath it, without hidden names and links
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Brotli alone, or with the others that are named [default: all three]
    #[arg(long)]
    pub br: bool,
    /// Zstandard
    #[arg(long)]
    pub zst: bool,
    /// gzip
    #[arg(long)]
    pub gz: bool,
    /// Write nothing; list what is missing, outdated or without its file, and exit with 1 if a run had to
    /// write something
    #[arg(long)]
    pub check: bool,
    /// Remove the compressed variants whose file is there
    #[arg(long, conflicts_with = "check")]
    pub remove: bool,
}

/// What `generate` writes.
#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub enum Product {
    /// The manual page, mayhttpd(8)
    Man,
    /// Completions of flags and commands for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// NAME.pem and NAME.key: a self-signed certificate for a year, with its private key
    Certificate {
        /// Host names and IP addresses that it is for [default: localhost 127.0.0.1 ::1]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Replace files that exist
        #[arg(long)]
        force: bool,
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
    /// Print a table of actual and recommended values; exit with 1 if one limits the server (the default)
    Check {
        /// Another proc directory, or a copy of one [default: /proc]
        #[arg(long, value_name = "DIR", default_value = PROC, hide_default_value = true)]
        proc: PathBuf,
    },
    /// Write sysctl.conf to standard output
    Print {
        /// Print flags for docker run instead: the keys that each container has of its own
        #[arg(long)]
        docker: bool,
    },
    /// Raise values that are too low, as root and until the next boot
    Apply {
        /// Another proc directory [default: /proc]
        #[arg(long, value_name = "DIR", default_value = PROC, hide_default_value = true)]
        proc: PathBuf,
    },
}

/// Where proc is mounted.
const PROC: &str = "/proc";

impl Default for KernelTask {
    fn default() -> KernelTask {
        KernelTask::Check { proc: PROC.into() }
    }
}

impl CommandLine {
    /// Parses a command line, the program's name first.
    ///
    /// # Errors
    /// The parser's, also for help and version, which are to be printed.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
        let mut matches = parser().try_get_matches_from(line)?;
        let command = match matches.subcommand() {
            Some(_) => Some(Command::from_arg_matches(&matches)?),
            None => None,
        };
        Ok(CommandLine {
            test: matches.get_flag("test"),
            dump: matches.get_flag("dump"),
            signal: matches.remove_one("signal"),
            source: cli::source(&mut matches),
            command,
        })
    }
}

/// The parser.
pub fn parser() -> clap::Command {
    // The commands first, because they bring a description of their own.
    Command::augment_subcommands(clap::Command::new("mayhttpd"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves the files of a directory over HTTP/1.1")
        .after_help(
            "A value may also be given as MAYHTTPD_<LONG_NAME> in the environment, for example \
             MAYHTTPD_LOG_LEVEL=warn, and in the file of --config, for example log_level = \"warn\". A \
             flag wins over a variable, a variable over the file, and the file over that of --defaults. An \
             empty variable counts as not set.\n\
             Times are 500ms, 30s, 2m or 1h; a plain number is in seconds.\n\
             Sizes are 64KiB, 64K (the same), 64kB (64000 bytes) or a plain number of bytes; M and G \
             alike.",
        )
        .disable_help_subcommand(true)
        .max_term_width(110)
        .args(cli::arguments())
}

/// The names of the commands, in the order of the help.
pub fn command_names() -> Vec<String> {
    parser().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        parser().debug_assert();
    }
}
