//! A server that runs: started, seen to serve what it should, and ended with all its processes.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::http_client::Answer;
use super::peers::{Launch, Peer, Setting};
use super::placement::Placement;
use super::record::Coded;
use super::tree::Tree;
use super::workload::{Fields as Further, Good, Workload};

/// Names and values of further fields.
type Fields = Vec<(String, String)>;

/// The longest that a server may take to serve.
const START: Duration = Duration::from_secs(15);
/// The longest that it may take to end before it is killed.
const END: Duration = Duration::from_secs(3);

/// A server of one peer.
pub struct Server {
    pub peer: &'static Peer,
    pub port: u16,
    /// The further fields of each request to it.
    pub fields: Fields,
    /// The coding that it answers in, and its length.
    pub coded: Option<Coded>,
    /// The command and the configuration that started it.
    pub configuration: String,
    child: Child,
}

impl Server {
    /// Starts it, and waits until it gives the answer that the workload asks for.
    ///
    /// # Errors
    /// Why it does not, with the end of what it said.
    pub fn start(
        peer: &'static Peer,
        workload: &Workload,
        setting: &Setting<'_>,
        placement: &Placement<'_>,
    ) -> Result<Self, String> {
        let Launch { words, environment, configuration } = peer.launch(setting)?;
        let configuration = format!("{}\n{configuration}", words.join(" "));
        let log = setting.directory.join("said.log");
        let said = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let also = said.try_clone().map_err(|error| error.to_string())?;
        let words = placement.command(&words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(environment).current_dir(&setting.directory);
        command.stdin(Stdio::null()).stdout(said).stderr(also);
        let child = command.spawn().map_err(|error| format!("{}: {error}", words[0]))?;
        let mut server =
            Self { peer, port: setting.port, fields: Vec::new(), coded: None, configuration, child };
        let child = &mut server.child;
        let port = setting.port;
        match placement.network.enter(|| wait_until_good(child, port, workload)) {
            Ok((fields, answer)) => {
                server.fields = fields;
                server.coded = answer.coding.map(|coding| Coded { coding, length: answer.length });
                Ok(server)
            }
            Err(why) => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let last = said.lines().rev().find(|line| !line.trim().is_empty());
                Err(last.map_or(why.clone(), |last| format!("{why}; it said: {last}")))
            }
        }
    }

    /// Its processes.
    pub fn tree(&self) -> Tree {
        Tree(i32::try_from(self.child.id()).unwrap_or_default())
    }

    /// Whether its first process still runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pids: Vec<Pid> = self.tree().processes().into_iter().map(Pid::from_raw).collect();
        let first = Pid::from_raw(self.tree().0);
        let lives = |pid: &Pid| *pid != first && kill(*pid, None).is_ok();
        if self.lives() {
            let _ = kill(first, Signal::SIGTERM);
        }
        let start = Instant::now();
        while start.elapsed() < END && (self.lives() || pids.iter().any(lives)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in pids.iter().filter(|pid| lives(pid)) {
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }
}

/// A port of 127.0.0.1 that no process listens at, below those that the kernel gives to clients. Called
/// inside a network.
///
/// # Errors
/// Where there is none.
pub fn free_port(after: u16) -> Result<u16, String> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (after.max(6000) + 1..10_000).find(free).ok_or_else(|| "no port is free from 6000 to 9999".to_owned())
}

/// Asks until the answer is that of the workload; the fields that each request needs for it, and the answer.
fn wait_until_good(child: &mut Child, port: u16, workload: &Workload) -> Result<(Fields, Answer), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let start = Instant::now();
    let mut why = "it does not listen".to_owned();
    while start.elapsed() < START {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it ended at its start: {status}"));
        }
        match workload.protocol.ask(address, workload.target, &[]) {
            // The first answer has the validators; the second must be the one that is wanted.
            Ok(plain) => match good(address, workload, &plain) {
                // A file goes out as it is until it is compressed.
                Err(not_yet) if workload.good == Good::Coded => why = not_yet,
                result => return result,
            },
            Err(error) => why = format!("it gives no answer: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(why)
}

fn good(address: SocketAddr, workload: &Workload, plain: &Answer) -> Result<(Fields, Answer), String> {
    let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let fields = match (workload.fields, &plain.etag, &plain.last_modified) {
        (Further::None, ..) => Vec::new(),
        (Further::Always(name, value), ..) => field(name, value),
        (Further::Range, ..) => field("Range", "bytes=0-16383"),
        (Further::Validator, Some(etag), _) => field("If-None-Match", etag),
        (Further::Validator, None, Some(time)) => field("If-Modified-Since", time),
        (Further::Validator, None, None) => return Err("its answers have no validator".into()),
    };
    let answer = workload
        .protocol
        .ask(address, workload.target, &fields)
        .map_err(|error| format!("{} with {fields:?}: {error}", workload.target))?;
    let status = (answer.status != workload.status)
        .then(|| format!("its status is {} and not {}", answer.status, workload.status));
    match status.or_else(|| workload.good.fault(&answer)) {
        None => Ok((fields, answer)),
        Some(fault) => Err(format!("{}: {fault}", workload.target)),
    }
}
