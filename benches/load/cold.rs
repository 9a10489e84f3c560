//! Clients on cold files beside one on a warm file, in a process of its own.
//!
//! First the warm client asks alone, then the others ask too, each for one cold file after the other and no
//! file twice. The warm client asks once a millisecond, or as soon as it has its answer. It says in the end
//! what it has seen, as one line of JSON.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::generator::Load;
use super::http_client::Connection;
use super::percentile::percentile;
use super::record::Beside;

/// How often the warm client asks.
const EVERY: Duration = Duration::from_millis(1);
/// The longest that a cold file may take before its request counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks for what.
#[derive(Args, Debug, Clone)]
pub struct Cold {
    /// The server's port on 127.0.0.1
    pub port: u16,
    /// How long, in seconds; the warm client is alone for half of it before
    pub seconds: u64,
    /// The path of the warm file
    pub warm: String,
    /// The folder of the cold files, which have numbers as names
    pub folder: String,
    /// How many cold files there are
    pub files: u64,
    /// How many clients ask for them
    pub clients: u32,
}

/// What the clients on cold files have seen.
#[derive(Default)]
struct Counts {
    next: AtomicU64,
    answers: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    non_2xx: AtomicU64,
}

/// What it says in the end. Times are those of the warm client, in microseconds.
#[derive(Serialize, Deserialize, Debug, Default)]
pub struct Said {
    pub seconds: f64,
    /// Answers to the clients on cold files, and the bytes of these.
    pub cold: u64,
    pub bytes: u64,
    pub failed: u64,
    pub non_2xx: u64,
    /// Answers to the warm client.
    pub warm: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub max_us: f64,
    pub alone_p99_us: f64,
}

impl Cold {
    /// Asks for so long, and says what came.
    ///
    /// # Errors
    /// See [`Cold::ask`].
    pub fn run(&self) -> Result<(), String> {
        let said = self.ask()?;
        println!("{}", serde_json::to_string(&said).map_err(|error| error.to_string())?);
        // The others may wait for answers still; they end with the process.
        Ok(())
    }

    /// Asks for so long. Clients on cold files may wait for their last answers still.
    ///
    /// # Errors
    /// Where the warm client gets a bad answer, or loses its connection.
    pub fn ask(&self) -> Result<Said, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let long = Duration::from_secs(self.seconds);
        let failed = |error: io::Error| format!("{}: {error}", self.warm);
        let mut warm = Connection::open(address, PATIENCE).map_err(failed)?;
        let alone = self.ask_warm(&mut warm, long / 2).map_err(failed)?;
        let counts = Arc::new(Counts::default());
        for _ in 0..self.clients {
            let (counts, cold) = (Arc::clone(&counts), self.clone());
            std::thread::spawn(move || cold.ask_cold(address, &counts));
        }
        let start = Instant::now();
        let times = self.ask_warm(&mut warm, long).map_err(failed)?;
        Ok(Said {
            seconds: start.elapsed().as_secs_f64(),
            cold: counts.answers.load(Relaxed),
            bytes: counts.bytes.load(Relaxed),
            failed: counts.failed.load(Relaxed),
            non_2xx: counts.non_2xx.load(Relaxed),
            warm: times.len() as u64,
            p50_us: percentile(&times, 0.5),
            p99_us: percentile(&times, 0.99),
            p999_us: percentile(&times, 0.999),
            max_us: times.last().copied().unwrap_or_default(),
            alone_p99_us: percentile(&alone, 0.99).unwrap_or_default(),
        })
    }

    /// The times of the warm client's answers in microseconds, the shortest first. One that has not come in
    /// the end counts with the time so far.
    fn ask_warm(&self, connection: &mut Connection, long: Duration) -> io::Result<Vec<f64>> {
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < long {
            let asked = Instant::now();
            connection.set_patience(long.saturating_sub(start.elapsed()).max(EVERY))?;
            match connection.ask(&self.warm, &[]) {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => return Err(io::Error::other(format!("status {}", answer.status))),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    times.push(asked.elapsed().as_secs_f64() * 1e6);
                    break;
                }
                Err(error) => return Err(error),
            }
            times.push(asked.elapsed().as_secs_f64() * 1e6);
            std::thread::sleep(EVERY.saturating_sub(asked.elapsed()));
        }
        times.sort_unstable_by(f64::total_cmp);
        Ok(times)
    }

    /// Asks for one file after the other until there are no more, on a connection that is made again where it
    /// was lost.
    fn ask_cold(&self, address: SocketAddr, counts: &Counts) {
        let mut connection = None;
        loop {
            let number = counts.next.fetch_add(1, Relaxed);
            if number >= self.files {
                return;
            }
            let target = format!("{}{number}.bin", self.folder);
            let open = connection.take().map_or_else(|| Connection::open(address, PATIENCE), Ok);
            let answer = open.and_then(|mut open| open.ask(&target, &[]).map(|answer| (open, answer)));
            match answer {
                Ok((open, answer)) if answer.status == 200 => {
                    counts.answers.fetch_add(1, Relaxed);
                    counts.bytes.fetch_add(answer.length, Relaxed);
                    connection = Some(open);
                }
                Ok(_) => drop(counts.non_2xx.fetch_add(1, Relaxed)),
                Err(_) => drop(counts.failed.fetch_add(1, Relaxed)),
            }
        }
    }

    /// The words that have the kit do this.
    pub fn words(&self) -> Vec<String> {
        let numbers = [self.files.to_string(), self.clients.to_string()];
        let words = [
            "cold".into(),
            self.port.to_string(),
            self.seconds.to_string(),
            self.warm.clone(),
            self.folder.clone(),
        ];
        words.into_iter().chain(numbers).collect()
    }
}

/// What the line says.
///
/// # Errors
/// Where it is not that of a run that came to its end.
pub fn parse(output: &str) -> Result<Load, String> {
    let line = output.lines().last().unwrap_or_default();
    let said: Said = serde_json::from_str(line).map_err(|_| output.trim().to_owned())?;
    let beside = Beside {
        answers_per_second: if said.seconds > 0.0 { said.warm as f64 / said.seconds } else { 0.0 },
        max_us: said.max_us,
        alone_p99_us: said.alone_p99_us,
    };
    Ok(Load {
        requests: said.cold,
        seconds: said.seconds,
        bytes: said.bytes as f64,
        failed: said.failed,
        non_2xx: said.non_2xx,
        p50_us: said.p50_us,
        p99_us: said.p99_us,
        p999_us: said.p999_us,
        beside: Some(beside),
    })
}
