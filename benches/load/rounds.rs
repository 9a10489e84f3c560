//! A run: for each workload, all servers are started and then measured in turn, round after round, so that
//! what else happens on the machine meets them alike. The namespaces, which are compared with each other,
//! take their turns together too.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::content::Directory;
use super::disk::{self, Disk};
use super::generator;
use super::machine;
use super::network::Network;
use super::options::Options;
use super::peers::{self, Peer, Setting};
use super::placement::{self, Placement, Split};
use super::record::{self, Remark, Run};
use super::sample::Measure;
use super::server::{Server, free_port};
use super::site::Site;
use super::tls::KeyPair;
use super::tools::Tools;
use super::workload::Workload;
use super::workloads;

/// The lines of a configuration that are recorded.
const SHOWN: usize = 200;

/// What is to be measured.
pub struct Plan {
    pub quick: bool,
    pub rounds: u32,
    pub seconds: u64,
    pub workers: Option<u16>,
    peers: Vec<&'static Peer>,
    workloads: Vec<&'static Workload>,
    /// Whether peers and workloads were named, and not chosen here.
    named: (bool, bool),
}

impl Plan {
    /// What the options ask for.
    ///
    /// # Errors
    /// A name that there is not.
    pub fn of(options: &Options) -> Result<Self, String> {
        let quick = options.quick;
        let known = |peer: &&Peer| chosen(&options.peers, peer.name, !quick || peer.quick);
        let asked = |load: &&Workload| chosen(&options.workloads, load.name, !quick || load.quick);
        for name in &options.peers {
            let all = peers::ALL.iter().map(|peer| peer.name);
            is_known("server", name, all.collect())?;
        }
        for name in &options.workloads {
            is_known("workload", name, workloads::ALL.iter().map(|workload| workload.name).collect())?;
        }
        Ok(Self {
            quick,
            rounds: options.rounds.unwrap_or(if quick { 1 } else { 3 }),
            seconds: options.seconds.unwrap_or(if quick { 1 } else { 2 }),
            workers: options.workers,
            peers: peers::ALL.iter().filter(known).collect(),
            workloads: workloads::ALL.iter().filter(asked).collect(),
            named: (!options.peers.is_empty(), !options.workloads.is_empty()),
        })
    }

    /// The workloads of a network: all on the host, and in a namespace those that the kernel's settings are
    /// about.
    fn workloads(&self, network: &Network) -> Vec<&'static Workload> {
        let here = |workload: &&&Workload| network.is_host() || workload.tuned;
        self.workloads.iter().filter(here).copied().collect()
    }

    /// The servers of a workload in a network, among those whose tools are here.
    fn peers(&self, network: &Network, workload: &Workload, tools: &Tools) -> Vec<&'static Peer> {
        let workers = self.workers.unwrap_or(workload.workers);
        let here = |peer: &&&Peer| network.is_host() || self.named.0 || peer.tuned;
        let there = |peer: &&&Peer| peer.tool.is_none_or(|tool| tools.path(tool).is_some());
        let fits = |peer: &&&Peer| workload.applies(peer, workers);
        self.peers.iter().filter(here).filter(there).filter(fits).copied().collect()
    }
}

fn chosen(names: &[String], name: &str, otherwise: bool) -> bool {
    if names.is_empty() { otherwise } else { names.iter().any(|wanted| wanted == name) }
}

fn is_known(kind: &str, name: &str, all: Vec<&str>) -> Result<(), String> {
    if all.contains(&name) {
        return Ok(());
    }
    Err(format!("there is no {kind} '{name}'; there are {}", all.join(", ")))
}

/// All that a run works with.
pub struct Rounds<'a> {
    pub plan: &'a Plan,
    pub tools: &'a Tools,
    pub networks: &'a [Network],
    /// The kit's directory, which outlives the run.
    pub home: &'a Path,
    /// Where the run's files go.
    pub directory: &'a Directory,
    pub cpus: &'a [usize],
}

impl Rounds<'_> {
    /// Measures all of the plan. What is finished is handed to `save` after each workload.
    ///
    /// # Errors
    /// Where files can't be made; what servers do wrong is a remark.
    pub fn run(&self, mut save: impl FnMut(&Run) -> Result<(), String>) -> Result<Run, String> {
        let start = Instant::now();
        let plan = self.plan;
        let mut run = Run {
            format: record::FORMAT,
            started: machine::now(),
            duration: 0.0,
            quick: plan.quick,
            rounds: plan.rounds,
            seconds: plan.seconds,
            machine: machine::facts(),
            tools: self.tools.0.clone(),
            peers: Vec::new(),
            networks: self.networks.iter().map(Network::record).collect(),
            workloads: Vec::new(),
            samples: Vec::new(),
            remarks: Vec::new(),
        };
        let progress = self.progress();
        for networks in self.groups() {
            for workload in plan.workloads(&networks[0]) {
                self.measure(networks, workload, &mut run, &progress)?;
                run.duration = start.elapsed().as_secs_f64();
                run.machine.load_after = machine::load();
                save(&run)?;
            }
        }
        progress.finish_and_clear();
        Ok(run)
    }

    /// The host by itself, and the namespaces together: what is compared is measured side by side.
    fn groups(&self) -> impl Iterator<Item = &[Network]> {
        let (host, namespaces) = self.networks.split_at(1);
        [host, namespaces].into_iter().filter(|group| !group.is_empty())
    }

    fn progress(&self) -> ProgressBar {
        let steps: usize = self
            .networks
            .iter()
            .flat_map(|network| {
                let of = move |workload| self.plan.peers(network, workload, self.tools).len();
                self.plan.workloads(network).into_iter().map(of)
            })
            .sum();
        let progress = ProgressBar::new(steps as u64 * u64::from(self.plan.rounds));
        let style = "{bar:30} {pos}/{len}  {elapsed} gone, {eta} to go  {msg}";
        progress
            .set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        progress.enable_steady_tick(Duration::from_secs(1));
        progress
    }

    fn measure(
        &self,
        networks: &[Network],
        workload: &'static Workload,
        run: &mut Run,
        progress: &ProgressBar,
    ) -> Result<(), String> {
        let plan = self.plan;
        let peers = plan.peers(&networks[0], workload, self.tools);
        let names: Vec<&str> = networks.iter().map(|network| network.name).collect();
        if progress.is_hidden() {
            eprintln!("{}: {}: {} servers", names.join(", "), workload.name, peers.len());
        }
        let program = workload.generator.program();
        if program != generator::OWN && self.tools.path(program).is_none() {
            let why = format!("{program} is missing: {}", self.tools.install(program));
            run.remarks.push(remark(names[0], workload, "", why));
            progress.inc((peers.len() * networks.len()) as u64 * u64::from(plan.rounds));
            return Ok(());
        }
        let root = self.directory.sub("root")?;
        workload.files.make(&root)?;
        let workers = plan.workers.unwrap_or(workload.workers);
        let split = Split::of(self.cpus, workers);
        placement::pin(&split.clients);
        let generator = self.directory.sub("generator")?;
        let measure = |network| Measure {
            tools: self.tools,
            workload,
            placement: Placement { network, cpus: &split.clients },
            seconds: workload.seconds(plan.seconds, plan.quick),
            quick: plan.quick,
            directory: &generator,
        };
        if run.workloads.iter().all(|known| known.name != workload.name) {
            run.workloads.push(record::Workload {
                name: workload.name.into(),
                what: workload.what.into(),
                command: measure(&networks[0]).shown(),
                workers,
                server_cpus: split.servers.clone(),
                client_cpus: split.clients.clone(),
                applies: peers.iter().map(|peer| peer.name.to_owned()).collect(),
                by_bytes: workload.by_bytes,
            });
        }

        if let Some(disk) = workload.disk {
            return self.measure_on(disk, &measure(&networks[0]), peers, &split, run, progress);
        }
        // 1. Start them all, each in every network before the next, so that the same one's turns come close
        //    together.
        let mut servers = Vec::new();
        let mut port = 0;
        for (peer, network) in peers.into_iter().flat_map(|peer| networks.iter().map(move |it| (peer, it))) {
            port = network.enter(|| free_port(port))?;
            let placement = Placement { network, cpus: &split.servers };
            match Server::start(
                peer,
                workload,
                &self.setting(peer, workload, network, port, &root)?,
                &placement,
            ) {
                Ok(server) => {
                    note(run, workload, &server, self.tools, &self.directory.path().to_string_lossy());
                    servers.push((network, server));
                }
                Err(why) => {
                    add_remark(run, progress, remark(network.name, workload, peer.name, why));
                    progress.inc(u64::from(plan.rounds));
                }
            }
        }
        // 2. Measure them in turn; each round begins with another one.
        for round in 1..=plan.rounds {
            let count = servers.len();
            for index in 0..count {
                let (network, server) = &mut servers[(index + round as usize - 1) % count];
                progress.set_message(format!("{}: {}: {}", network.name, workload.name, server.peer.name));
                take(&measure(network), server, round, run, progress);
            }
        }
        // 3. They end as they are dropped.
        Ok(())
    }

    /// Measures servers in turn, each on a fresh disk of its own.
    fn measure_on(
        &self,
        disk: Disk,
        measure: &Measure<'_>,
        peers: Vec<&'static Peer>,
        split: &Split,
        run: &mut Run,
        progress: &ProgressBar,
    ) -> Result<(), String> {
        let (workload, network) = (measure.workload, measure.placement.network);
        if let Some(why) = Disk::unavailable() {
            add_remark(run, progress, remark(network.name, workload, "", why));
            progress.inc(peers.len() as u64 * u64::from(self.plan.rounds));
            return Ok(());
        }
        let (root, at) = (self.directory.sub("root")?, self.directory.sub("disk")?);
        for round in 1..=self.plan.rounds {
            for index in 0..peers.len() {
                let peer = peers[(index + round as usize - 1) % peers.len()];
                progress.set_message(format!("{}: {}: {}", network.name, workload.name, peer.name));
                // Dropped last, after the server that uses it.
                let files = disk.mount(&root, &at)?;
                let setting = self.setting(peer, workload, network, network.enter(|| free_port(0))?, &at)?;
                let placement = Placement { network, cpus: &split.servers };
                match Server::start(peer, workload, &setting, &placement) {
                    Ok(mut server) => {
                        note(run, workload, &server, self.tools, &self.directory.path().to_string_lossy());
                        disk::slow(&files);
                        take(measure, &mut server, round, run, progress);
                        files.set_delay(Duration::ZERO);
                    }
                    Err(why) => {
                        add_remark(run, progress, remark(network.name, workload, peer.name, why));
                        progress.inc(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// The certificate of all servers, where the workload needs one.
    fn key_pair(&self, workload: &Workload) -> Result<Option<KeyPair>, String> {
        match workload.protocol.is_encrypted() {
            true => KeyPair::make(&self.directory.sub("certificate")?).map(Some),
            false => Ok(None),
        }
    }

    /// What a server is started for.
    fn setting<'a>(
        &'a self,
        peer: &Peer,
        workload: &Workload,
        network: &Network,
        port: u16,
        root: &'a Path,
    ) -> Result<Setting<'a>, String> {
        let own =
            if network.is_host() { peer.name.into() } else { format!("{}-{}", peer.name, network.name) };
        Ok(Setting {
            tools: self.tools,
            port,
            root,
            workers: self.plan.workers.unwrap_or(workload.workers),
            directory: self.directory.sub(&own)?,
            home: self.home,
            length: workload.good.length(),
            close: workload.close,
            site: workload.site,
            tls: self.key_pair(workload)?,
        })
    }
}

/// Takes one measurement, and takes it down.
fn take(measure: &Measure<'_>, server: &mut Server, round: u32, run: &mut Run, progress: &ProgressBar) {
    let network = measure.placement.network.name;
    let fault = match measure.take(server) {
        Ok(sample) if sample.requests == 0 && sample.bytes_per_second == 0.0 => {
            Some(format!("nothing was answered in {:.1} s", sample.seconds))
        }
        Ok(sample) => {
            run.samples.push(record::Sample { network: network.into(), round, ..sample });
            None
        }
        Err(why) => Some(why),
    };
    if let Some(why) = fault {
        add_remark(run, progress, remark(network, measure.workload, server.peer.name, why));
    }
    progress.inc(1);
}

fn remark(network: &str, workload: &Workload, peer: &str, why: String) -> Remark {
    Remark { network: network.into(), workload: workload.name.into(), peer: peer.into(), why }
}

/// Takes down what is missing or bad, and says it at once: beside the bar, and where there is no terminal for
/// it too.
fn add_remark(run: &mut Run, progress: &ProgressBar, remark: Remark) {
    let line = format!("{}: {}: {}: {}", remark.network, remark.workload, remark.peer, remark.why);
    progress.suspend(|| eprintln!("{line}"));
    run.remarks.push(remark);
}

/// Takes down what a server is, once, and how it was set up for TLS and for each site beyond files.
fn note(run: &mut Run, workload: &Workload, server: &Server, tools: &Tools, directory: &str) {
    let kit = std::env::current_exe().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let configuration = server.configuration.replace(&kit, "load").replace(directory, "DIR");
    let configuration = shortened(&configuration.replace(&server.port.to_string(), "PORT"));
    let Some(known) = run.peers.iter_mut().find(|known| known.name == server.peer.name) else {
        run.peers.push(record::Peer {
            name: server.peer.name.into(),
            what: server.peer.what.into(),
            version: server.peer.version(tools),
            configuration,
        });
        return;
    };
    let beyond = workload.site != Site::Plain || workload.protocol.is_encrypted();
    if beyond && !known.configuration.contains(&configuration) {
        known.configuration += &format!("\nFor {}:\n{configuration}", workload.name);
    }
}

/// A configuration without most of its lines where these are thousands of rules.
pub fn shortened(configuration: &str) -> String {
    let lines: Vec<&str> = configuration.lines().collect();
    match lines.len().checked_sub(SHOWN) {
        None | Some(0) => configuration.to_owned(),
        Some(further) => format!("{}\n… {further} further lines\n", lines[..SHOWN].join("\n")),
    }
}
