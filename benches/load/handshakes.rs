//! Clients of which each makes one connection by TLS after the other, with one request in each; in a process
//! of its own.
//!
//! A time is that from connect(2) to the end of the answer. A handshake of another kind than the asked one
//! counts as failed. It says in the end what it has seen, as one line of JSON.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::generator::Load;
use super::percentile::percentile;
use super::tls::{self, Client};

/// Which handshakes, and with whom.
#[derive(Args, Debug, Clone)]
pub struct Handshakes {
    /// The server's port on 127.0.0.1
    pub port: u16,
    /// How long, in seconds
    pub seconds: u64,
    /// The path of each request
    pub target: String,
    /// How many clients
    pub clients: u32,
    /// Resume the session of the connection before
    #[arg(long)]
    pub resumed: bool,
}

/// What the clients have seen.
#[derive(Serialize, Deserialize, Debug, Default)]
pub struct Seen {
    pub seconds: f64,
    pub answers: u64,
    pub bytes: u64,
    pub failed: u64,
    pub non_2xx: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
}

/// What one client has seen.
#[derive(Default)]
struct Counts {
    /// Microseconds of each answer.
    times: Vec<f64>,
    bytes: u64,
    failed: u64,
    non_2xx: u64,
    /// The first failure.
    why: Option<String>,
}

impl Handshakes {
    /// Connects for so long, and says what came.
    ///
    /// # Errors
    /// See [`Handshakes::ask`].
    pub fn run(&self) -> Result<(), String> {
        let seen = self.ask()?;
        println!("{}", serde_json::to_string(&seen).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Connects for so long. Where something failed, the first failure goes to standard error.
    ///
    /// # Errors
    /// The first failure where there was no good answer, or a client got no session to resume.
    pub fn ask(&self) -> Result<Seen, String> {
        let clients: Vec<Client> = (0..self.clients)
            .map(|_| self.client())
            .collect::<io::Result<_>>()
            .map_err(|it| it.to_string())?;
        let start = Instant::now();
        let ask = |client| {
            let handshakes = self.clone();
            std::thread::spawn(move || handshakes.ask_often(&client, start))
        };
        let threads: Vec<JoinHandle<Counts>> = clients.into_iter().map(ask).collect();
        let (mut seen, mut times, mut why) = (Seen::default(), Vec::new(), None);
        for thread in threads {
            let counts = thread.join().map_err(|_| "a client panicked")?;
            seen.bytes += counts.bytes;
            seen.failed += counts.failed;
            seen.non_2xx += counts.non_2xx;
            times.extend(counts.times);
            why = why.or(counts.why);
        }
        seen.seconds = start.elapsed().as_secs_f64();
        seen.answers = times.len() as u64;
        times.sort_unstable_by(f64::total_cmp);
        seen.p50_us = percentile(&times, 0.5);
        seen.p99_us = percentile(&times, 0.99);
        seen.p999_us = percentile(&times, 0.999);
        if times.is_empty() {
            return Err(why.unwrap_or_else(|| "no good answer".to_owned()));
        }
        why.iter().for_each(|why| eprintln!("{why}"));
        Ok(seen)
    }

    /// A client, with a session if it is to resume one.
    fn client(&self) -> io::Result<Client> {
        if !self.resumed {
            return Client::once("http/1.1");
        }
        let client = Client::again("http/1.1")?;
        client.connect(self.address())?.ask(&self.target, &[])?;
        Ok(client)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn ask_often(&self, client: &Client, start: Instant) -> Counts {
        let mut counts = Counts::default();
        while start.elapsed() < Duration::from_secs(self.seconds) {
            let begun = Instant::now();
            match self.ask_once(client) {
                Ok((200, bytes)) => {
                    counts.times.push(begun.elapsed().as_secs_f64() * 1e6);
                    counts.bytes += bytes;
                }
                Ok(_) => counts.non_2xx += 1,
                Err(error) => {
                    counts.failed += 1;
                    counts.why.get_or_insert_with(|| error.to_string());
                }
            }
        }
        counts
    }

    /// One connection; the status of its answer, and the length of the body.
    fn ask_once(&self, client: &Client) -> io::Result<(u16, u64)> {
        let mut connection = client.connect(self.address())?;
        let answer = connection.ask(&self.target, &[])?;
        match (self.resumed, tls::is_resumed(&connection)) {
            (true, false) => Err(io::Error::other("the session was not resumed")),
            (false, true) => Err(io::Error::other("the session was resumed")),
            _ => Ok((answer.status, answer.length)),
        }
    }

    /// The words that have the kit do this.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["handshakes".into(), self.port.to_string(), self.seconds.to_string()];
        words.extend([self.target.clone(), self.clients.to_string()]);
        words.extend(self.resumed.then(|| "--resumed".to_owned()));
        words
    }
}

/// What the line says.
///
/// # Errors
/// Where it is not that of a run that came to its end.
pub fn parse(output: &str) -> Result<Load, String> {
    let line = output.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let seen: Seen = serde_json::from_str(line).map_err(|_| output.trim().to_owned())?;
    Ok(Load {
        requests: seen.answers,
        seconds: seen.seconds,
        bytes: seen.bytes as f64,
        failed: seen.failed,
        non_2xx: seen.non_2xx,
        p50_us: seen.p50_us,
        p99_us: seen.p99_us,
        p999_us: seen.p999_us,
        beside: None,
    })
}
