//! The command line of the kit.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measure mayhttpd beside its peers, on this machine's loopback.
#[derive(Parser, Debug, Clone)]
#[command(name = "load", bin_name = "cargo bench --bench load --", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// The few peers and workloads that tell most, once, in two or three minutes
    #[arg(long)]
    pub quick: bool,

    /// How often each server is measured at each workload [default: 3; 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,

    /// How long each measurement lasts, in whole seconds [default: 2; 1 with --quick]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: Option<u64>,

    /// Only these servers
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub peers: Vec<String>,

    /// Only these workloads
    #[arg(long, value_name = "X,Y", value_delimiter = ',')]
    pub workloads: Vec<String>,

    /// Worker processes of each server, in place of the workload's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,

    /// The script of the workloads precompressed and compressed [default: one of 200 KB that the kit makes]
    #[arg(long, value_name = "FILE.js")]
    pub bundle: Option<PathBuf>,

    /// The directory to write the run and its report to [default: target/load/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Measure nothing: render the report of this run again, to --out or beside it
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,

    /// Install what is missing and can be: Debian's packages as root, and a virtualenv in target/load/venv
    #[arg(long)]
    pub install: bool,

    /// Leave out the network namespaces with and without sysctl.conf
    #[arg(long)]
    pub untuned_only: bool,

    /// List servers, workloads and tools with what is missing, and end
    #[arg(long)]
    pub list: bool,

    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,

    /// What this process is, where it is not the kit itself.
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// Parts of the kit that run in processes of their own, so that they can be pinned and measured like the
/// others.
#[derive(Subcommand, Debug, Clone)]
#[command(disable_help_subcommand = true)]
pub enum Role {
    /// The floor: a bare epoll loop with a fixed response.
    #[command(hide = true)]
    Floor(super::peers::floor::Floor),
    /// Holds idle connections.
    #[command(hide = true)]
    Idle(super::idle::Idle),
    /// Asks for cold files and a warm one.
    #[command(hide = true)]
    Cold(super::cold::Cold),
    /// Connects by TLS again and again.
    #[command(hide = true)]
    Handshakes(super::handshakes::Handshakes),
}
