//! The load kit: measures mayhttpd beside its peers, with real load generators, on loopback.
//!
//! 1. Look for the programs, and say which are missing and how to get them.
//! 2. Make the networks: the host's loopback and, as root, namespaces with and without sysctl.conf.
//! 3. For each workload start the servers, pinned apart from the clients, and see that each serves what it
//!    should.
//! 4. Load them in turn, round after round.
//! 5. Write one JSON, and the report that is made of it.
//!
//! Nothing here judges a time: what is slow is for the reader. Requests of mayhttpd that fail are said
//! loudly.

#![allow(missing_docs, reason = "this is a program; what its parts are is said where it isn't plain")]

pub mod bundle;
pub mod cold;
pub mod content;
pub mod disk;
pub mod generator;
pub mod handshakes;
pub mod http_client;
pub mod idle;
pub mod machine;
pub mod network;
pub mod options;
pub mod peers;
pub mod percentile;
pub mod placement;
pub mod protocol;
pub mod record;
pub mod report;
pub mod rounds;
pub mod sample;
pub mod server;
pub mod site;
#[path = "../../tests/it/support/slow_files/mod.rs"]
pub mod slow_files;
pub mod tls;
pub mod tools;
pub mod tree;
pub mod workload;
pub mod workloads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use content::Directory;
use network::Network;
use options::{Options, Role};
use record::Run;
use rounds::{Plan, Rounds};
use tools::Tools;

pub fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.role {
        Some(Role::Floor(floor)) => floor.run().map(|()| true).map_err(|error| format!("floor: {error}")),
        Some(Role::Idle(idle)) => idle.run().map(|()| true),
        Some(Role::Cold(cold)) => cold.run().map(|()| true),
        Some(Role::Handshakes(handshakes)) => handshakes.run().map(|()| true),
        None => run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("load: {why}");
            ExitCode::FAILURE
        }
    }
}

/// False when requests of mayhttpd failed.
fn run(options: &Options) -> Result<bool, String> {
    if let Some(file) = &options.report {
        let run = read(file)?;
        let beside = file.parent().map(Path::to_owned).unwrap_or_default();
        return finish(&run, options.out.as_ref().unwrap_or(&beside));
    }
    let home = home();
    make(&home)?;
    if options.install {
        tools::install(&home);
    }
    let tools = Tools::look(&home);
    let plan = Plan::of(options)?;
    report::table::missing(&tools.0, options.list);
    if options.list {
        report::table::list();
        return Ok(true);
    }
    machine::raise_open_files();
    let cpus = placement::cpus();
    let networks = networks(options);
    let directory = Directory::make()?;
    if let Some(file) = &options.bundle {
        bundle::take(&directory.sub("root")?.join("bundle"), file)?;
    }
    let out = options.out.clone().unwrap_or_else(|| home.join(machine::stamp()));
    make(&out)?;
    let rounds = Rounds {
        plan: &plan,
        tools: &tools,
        networks: &networks,
        home: &home,
        directory: &directory,
        cpus: &cpus,
    };
    let run = rounds.run(|run| write(run, &out))?;
    finish(&run, &out)
}

/// The kit's own directory, where cargo builds.
fn home() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_mayhttpd"));
    let target = program.ancestors().nth(2).unwrap_or(Path::new("target"));
    target.join("load")
}

fn networks(options: &Options) -> Vec<Network> {
    let mut all = vec![Network::host()];
    if !options.untuned_only {
        match Network::namespaces() {
            Ok(namespaces) => all.extend(namespaces),
            Err(why) => eprintln!("tuned and untuned are not compared: {why}"),
        }
    }
    all
}

fn finish(run: &Run, out: &Path) -> Result<bool, String> {
    make(out)?;
    let good = report::table::print(run);
    report::page::write(run, out)?;
    println!(
        "\nTook {}. Wrote {}",
        machine::words(Duration::from_secs_f64(run.duration)),
        out.join("index.html").display()
    );
    Ok(good)
}

fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

fn write(run: &Run, out: &Path) -> Result<(), String> {
    let file = out.join("run.json");
    let text = serde_json::to_string_pretty(run).map_err(|error| error.to_string())?;
    fs::write(&file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))
}

fn read(file: &Path) -> Result<Run, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let run: Run = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    match run.format {
        record::FORMAT => Ok(run),
        other => Err(format!("{}: its format is {other}, and not {}", file.display(), record::FORMAT)),
    }
}
