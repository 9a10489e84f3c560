//! One measurement: a server under one load, its processor time before and after, and its memory meanwhile.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::generator::Order;
use super::idle::Holder;
use super::placement::Placement;
use super::record;
use super::server::Server;
use super::tools::Tools;
use super::workload::Workload;

/// How often memory is looked at while a generator runs.
const LOOK: Duration = Duration::from_millis(500);
/// The longest that a load may take beyond its seconds: ab has a number of requests and no time.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long idle connections are left alone before their memory is looked at again.
const BEFORE_SAMPLE: Duration = Duration::from_secs(3);

/// How a measurement is made.
pub struct Measure<'a> {
    pub tools: &'a Tools,
    pub workload: &'a Workload,
    /// Where the generator runs.
    pub placement: Placement<'a>,
    pub seconds: u64,
    pub quick: bool,
    /// A directory for the generator's scripts and logs.
    pub directory: &'a Path,
}

impl Measure<'_> {
    /// What the generator is told about this server.
    fn order<'a>(&'a self, server: &'a Server) -> Order<'a> {
        Order {
            program: self.tools.path(self.workload.generator.program()).unwrap_or_default(),
            port: server.port,
            protocol: self.workload.protocol,
            target: self.workload.target,
            fields: &server.fields,
            close: self.workload.close,
            seconds: self.seconds,
            threads: self.placement.cpus.len().min(4),
            quick: self.quick,
            directory: self.directory,
        }
    }

    /// Loads the server once.
    ///
    /// # Errors
    /// Where the server has ended, or the generator tells nothing.
    pub fn take(&self, server: &mut Server) -> Result<record::Sample, String> {
        if !server.lives() {
            return Err("the server has ended".into());
        }
        let tree = server.tree();
        let mut held = None;
        if self.workload.idle > 0 {
            held = Some(self.hold(server)?);
        }
        let before = tree.cpu();
        let (output, memory) = self.generate(server)?;
        let spent = tree.cpu().saturating_sub(before);
        let load = self.workload.generator.parse(&output, &self.order(server))?;
        let idle = held.map(|(mut holder, idle)| record::Idle { lost: holder.lost(), ..idle });
        let per = |count: f64| (count > 0.0).then(|| spent.as_secs_f64() * 1e6 / count);
        let rate = |count: f64| if load.seconds > 0.0 { count / load.seconds } else { 0.0 };
        Ok(record::Sample {
            workload: self.workload.name.into(),
            peer: server.peer.name.into(),
            seconds: load.seconds,
            requests: load.requests,
            requests_per_second: rate(load.requests as f64),
            bytes_per_second: rate(load.bytes),
            cpu_seconds: spent.as_secs_f64(),
            cpu_us_per_request: per(load.requests as f64),
            cpu_us_per_megabyte: per(load.bytes / 1e6),
            p50_us: load.p50_us,
            p99_us: load.p99_us,
            p999_us: load.p999_us,
            memory_bytes: memory,
            failed: load.failed,
            non_2xx: load.non_2xx,
            idle,
            beside: load.beside,
            coded: server.coded.clone(),
            ..record::Sample::default()
        })
    }

    /// Opens the idle connections, and sees what they cost.
    fn hold(&self, server: &Server) -> Result<(Holder, record::Idle), String> {
        let tree = server.tree();
        let before = tree.memory();
        let holder = Holder::start(&self.placement, server.port, self.workload.idle, self.workload.target)?;
        let each = |now: u64| (now as f64 - before as f64) / holder.held.max(1) as f64;
        let early_bytes = each(tree.memory());
        std::thread::sleep(BEFORE_SAMPLE);
        let late_bytes = each(tree.memory());
        let idle = record::Idle { held: holder.held, early_bytes, late_bytes, lost: 0 };
        Ok((holder, idle))
    }

    /// Runs the generator to its end; its output, and the most memory that the server was seen to have.
    fn generate(&self, server: &Server) -> Result<(String, u64), String> {
        let words = self.placement.command(&self.workload.generator.command(&self.order(server))?);
        let said = self.directory.join("generator.log");
        let file = File::create(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        let also = file.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(file).stderr(also);
        let start = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", words[0]))?;
        let (mut memory, mut looked) = (0, start);
        let longest = Duration::from_secs(self.seconds) + PATIENCE;
        loop {
            if let Some(_ended) = child.try_wait().map_err(|error| error.to_string())? {
                break;
            }
            if start.elapsed() > longest {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} did not end in {longest:?}", self.workload.generator.program()));
            }
            if looked.elapsed() >= LOOK {
                memory = memory.max(server.tree().memory());
                looked = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        memory = memory.max(server.tree().memory());
        let output = fs::read(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        Ok((String::from_utf8_lossy(&output).into_owned(), memory))
    }

    /// The generator's command with PORT for the port, as the report shows it.
    pub fn shown(&self) -> String {
        let order = Order {
            program: self.workload.generator.program(),
            port: 1,
            protocol: self.workload.protocol,
            target: self.workload.target,
            fields: &[],
            close: self.workload.close,
            seconds: self.seconds,
            threads: self.placement.cpus.len().min(4),
            quick: self.quick,
            directory: self.directory,
        };
        let directory = self.directory.display().to_string();
        let words = self.workload.generator.command(&order).unwrap_or_default();
        words.join(" ").replace("127.0.0.1:1/", "127.0.0.1:PORT/").replace(&directory, "DIR")
    }
}
