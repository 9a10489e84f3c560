//! Holds idle connections, in a process of its own: each has asked one page, got it whole, and stays silent.
//!
//! It says `held N` when all are there, answers each line on its standard input with `lost N`, how many the
//! server has closed since, and ends with its input.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use clap::Args;

use super::http_client;
use super::placement::Placement;

/// What is held, and where.
#[derive(Args, Debug, Clone)]
pub struct Idle {
    /// The server's port on 127.0.0.1
    pub port: u16,
    /// How many
    pub count: usize,
    /// The path that each asks once
    pub target: String,
}

impl Idle {
    /// Holds them until standard input ends.
    ///
    /// # Errors
    /// The first connection that could not be made or got no whole answer.
    pub fn run(&self) -> Result<(), String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut held = Vec::with_capacity(self.count);
        for number in 0..self.count {
            let stream = http_client::ask(address, &self.target, &[])
                .map_err(|e| format!("connection {number}: {e}"))?;
            held.push(stream.1);
        }
        say(&format!("held {}", held.len()))?;
        for line in io::stdin().lock().lines() {
            line.map_err(|error| error.to_string())?;
            say(&format!("lost {}", held.iter().filter(|stream| is_closed(stream)).count()))?;
        }
        Ok(())
    }
}

fn say(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn is_closed(mut stream: &TcpStream) -> bool {
    let nothing = stream.set_nonblocking(true).and_then(|()| stream.read(&mut [0]));
    !nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The process that holds them.
pub struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    output: io::BufReader<ChildStdout>,
    /// How many it holds.
    pub held: u64,
}

impl Holder {
    /// Starts it, and waits until all connections are there.
    ///
    /// # Errors
    /// Where not all could be had.
    pub fn start(placement: &Placement<'_>, port: u16, count: usize, target: &str) -> Result<Self, String> {
        let kit = std::env::current_exe().map_err(|error| error.to_string())?;
        let words = ["idle".to_owned(), port.to_string(), count.to_string(), target.to_owned()];
        let words: Vec<String> = std::iter::once(kit.to_string_lossy().into_owned()).chain(words).collect();
        let words = placement.command(&words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("idle connections: {error}"))?;
        let input = child.stdin.take();
        let output = io::BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut holder = Self { child, input, output, held: 0 };
        match holder.number("held ") {
            Some(held) => holder.held = held,
            None => {
                let mut why = String::new();
                let _ = holder.child.stderr.take().map(|mut stream| stream.read_to_string(&mut why));
                return Err(format!("idle connections: {}", why.trim()));
            }
        }
        Ok(holder)
    }

    /// How many of them the server has closed by now.
    pub fn lost(&mut self) -> u64 {
        let asked = self.input.as_mut().map(|input| input.write_all(b"lost?\n"));
        match asked {
            Some(Ok(())) => self.number("lost ").unwrap_or(self.held),
            _ => self.held,
        }
    }

    fn number(&mut self, word: &str) -> Option<u64> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        line.trim().strip_prefix(word)?.parse().ok()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends with its input; one that doesn't is no reason to wait.
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
