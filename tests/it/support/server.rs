//! A server in processes of its own: where it listens, who its workers are, what it logged. Dropping it kills
//! the master and checks that no worker outlives it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::client::ASK_PAGE;
use super::container::Container;
use super::process::Process;
use super::{Client, DEADLINE, Launch, Response, Tree};

pub struct Server {
    child: Child,
    pub master: Process,
    /// Where it listens, TLS listeners last.
    pub addresses: Vec<SocketAddr>,
    /// Its TLS listeners, as far as `Launch::tls` gave it some.
    pub tls_addresses: Vec<SocketAddr>,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    tree: Option<Arc<Tree>>,
    status: Option<ExitStatus>,
    /// Where it runs in one. The child is docker then.
    container: Option<Container>,
    /// Keeps standard output open where it has no reader any more.
    _open: Sender<()>,
}

impl Server {
    /// The usual site with these flags.
    #[track_caller]
    pub fn start(flags: &[&str]) -> Self {
        Launch::site().flags(flags).start()
    }

    /// A tree with these flags.
    #[track_caller]
    pub fn of(tree: impl Into<Arc<Tree>>, flags: &[&str]) -> Self {
        Launch::of(tree).flags(flags).start()
    }

    /// Takes a master that is starting, and waits for the lines that say where it serves, one a listener.
    /// What else comes on standard output is gathered, unless it is to be left unread.
    #[track_caller]
    pub(super) fn attach(
        mut child: Child,
        listeners: usize,
        tree: Option<Arc<Tree>>,
        unread: bool,
        container: Option<Container>,
    ) -> Self {
        let (log, output) = (Arc::default(), Arc::default());
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let (_open, closed) = channel();
        let leave = unread.then_some((listeners, closed));
        let lines = follow(child.stdout.take().unwrap(), Arc::clone(&output), leave);
        let master = Process::of(child.id()).unwrap();
        let (addresses, tls_addresses) = (Vec::new(), Vec::new());
        let mut server = Self {
            child,
            master,
            addresses,
            tls_addresses,
            log,
            output,
            tree,
            status: None,
            container,
            _open,
        };
        let start = Instant::now();
        let mut told = 0;
        while told < listeners {
            let left = (DEADLINE * 2).saturating_sub(start.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    let address = address(&line);
                    told += usize::from(address.is_some() || line.starts_with("  unix:"));
                    server.addresses.extend(address);
                    server.tls_addresses.extend(address.filter(|_| line.trim().starts_with("https://")));
                }
                Err(RecvTimeoutError::Timeout) => panic!("the server doesn't say where it serves"),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended: {}", server.log()),
            }
        }
        if let Some(container) = &server.container {
            server.master = container.master();
            server.addresses = vec![container.address()];
        }
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Its first listener for TLS, of those that `Launch::tls` gives it.
    #[track_caller]
    pub fn tls_address(&self) -> SocketAddr {
        *self.tls_addresses.first().expect("this server has no TLS listener")
    }

    pub fn tree(&self) -> &Tree {
        self.tree.as_ref().expect("this server has no tree")
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends one request on a connection of its own; its answer.
    #[track_caller]
    pub fn ask(&self, raw: impl AsRef<[u8]>) -> Response {
        let raw = raw.as_ref();
        let mut client = self.client();
        client.send(raw);
        if raw.starts_with(b"HEAD ") { client.response_to_head() } else { client.response() }
    }

    #[track_caller]
    pub fn get(&self, target: impl AsRef<[u8]>) -> Response {
        self.get_with(target, "")
    }

    /// GET with more fields, each ended by CRLF.
    #[track_caller]
    pub fn get_with(&self, target: impl AsRef<[u8]>, fields: &str) -> Response {
        let mut raw = b"GET ".to_vec();
        raw.extend_from_slice(target.as_ref());
        raw.extend_from_slice(format!(" HTTP/1.1\r\nHost: test\r\n{fields}\r\n").as_bytes());
        self.ask(raw)
    }

    /// The entity-tag by the content of a file of a server with one worker. That of a file above
    /// 64 KiB comes with a job; until then there is one by the stamp, and it changes between two requests.
    #[track_caller]
    pub fn settled_tag(&self, target: &str) -> String {
        super::eventually("the entity-tag by the content", || {
            let tag = self.get(target)["etag"].clone();
            (tag.matches('-').count() == 1).then_some(tag)
        })
    }

    /// Sends `raw` on a connection of its own. The answer has one of these statuses, and the connection ends
    /// or goes on as the answer says.
    #[track_caller]
    pub fn answers(&self, raw: impl AsRef<[u8]>, wanted: &[u16]) -> Response {
        let mut client = self.client();
        client.send(raw);
        let response = client.response();
        response.has_status(wanted);
        client.ends_as(&response);
        response
    }

    /// Sends `raw`, and a good request right behind it. `raw` is refused with one of these statuses, the
    /// connection ends, and nothing that came after is ever taken for a request.
    #[track_caller]
    pub fn refuses(&self, raw: impl AsRef<[u8]>, wanted: &[u16]) -> Response {
        let mut client = self.client();
        client.send(raw);
        client.send(ASK_PAGE);
        let response = client.response();
        response.has_status(wanted);
        assert!(response.closes(), "refused with {}, but kept", response.status);
        client.closed();
        response
    }

    /// The container that it is in, where an image is tried.
    #[track_caller]
    pub fn container(&self) -> &Container {
        self.container.as_ref().expect("this server is in no container")
    }

    /// The workers that live now, oldest first.
    pub fn workers(&self) -> Vec<Process> {
        self.master.children().into_iter().filter(|child| !is_admin(child)).collect()
    }

    /// The admin process, where one lives.
    pub fn admin(&self) -> Option<Process> {
        self.master.children().into_iter().find(is_admin)
    }

    /// Where the admin listener is by what was said at the start, once it answers.
    #[track_caller]
    pub fn admin_address(&self) -> SocketAddr {
        let admin = super::eventually("the admin address is told", || {
            let output = self.output();
            let line = output.lines().find_map(|line| line.trim().strip_prefix("admin: http://"))?;
            line.strip_suffix("/status")?.parse().ok()
        });
        super::eventually("the admin listener answers", || super::plain::get(admin, "/healthz"));
        admin
    }

    /// Kills the only worker; the one that takes its place.
    #[track_caller]
    pub fn replace_worker(&self) -> Process {
        let victim = *self.workers().first().expect("no worker lives");
        victim.signal(Signal::KILL);
        let successor = || self.workers().into_iter().find(|worker| *worker != victim);
        super::eventually("a successor is started", successor)
    }

    pub fn signal(&self, signal: Signal) {
        self.master.signal(signal);
    }

    /// The length that the accept queue at its address may have, as ss(8) tells it, where that is there.
    pub fn backlog(&self) -> Option<String> {
        let filter = format!("sport = :{}", self.address().port());
        let found = std::process::Command::new("ss").args(["-ltnH", &filter]).output().ok()?;
        let text = String::from_utf8(found.stdout).unwrap();
        Some(text.split_whitespace().nth(2).expect("the kernel knows the listener").to_owned())
    }

    /// Waits for the master to end by itself; its exit code.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        self.exit_code_within(DEADLINE)
    }

    #[track_caller]
    pub fn exit_code_within(&mut self, deadline: Duration) -> Option<i32> {
        let status = super::within(deadline, "the master ends", || self.child.try_wait().unwrap());
        self.status = Some(status);
        status.code()
    }

    /// The error log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the error log; it comes through a thread of its own, later than what it speaks of.
    #[track_caller]
    pub fn says(&self, what: &str, judge: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !self.log().lines().any(&judge) {
            assert!(Instant::now() < deadline, "the error log doesn't say {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Standard output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Kills the master where it still lives, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            // Docker would leave the container behind.
            match &self.container {
                Some(_) if self.master.lives() => self.master.signal(Signal::KILL),
                Some(_) => {}
                None => drop(self.child.kill()),
            }
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let workers = if self.status.is_none() { self.master.children() } else { Vec::new() };
        self.kill();
        let start = Instant::now();
        while workers.iter().any(Process::lives) && start.elapsed() < DEADLINE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let left: Vec<_> = workers.into_iter().filter(Process::lives).collect();
        left.iter().for_each(|worker| worker.signal(Signal::KILL));
        if std::thread::panicking() {
            let log = self.log();
            let shown = log.len().saturating_sub(8000);
            eprintln!(
                "--- the server's error log ---\n{}---",
                String::from_utf8_lossy(&log.as_bytes()[shown..])
            );
        } else {
            assert!(left.is_empty(), "workers outlived their master: {left:?}");
        }
    }
}

fn is_admin(child: &Process) -> bool {
    child.name().is_some_and(|name| name == "mayhttpd-admin")
}

/// Where a line of standard output says that the server listens.
fn address(line: &str) -> Option<SocketAddr> {
    let line = line.trim();
    let rest = line.strip_prefix("http://").or_else(|| line.strip_prefix("https://"))?;
    rest.split('/').next()?.parse().ok()
}

/// Gathers a stream into `text` for as long as it lasts.
fn collect(mut stream: impl Read + Send + 'static, text: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
}

/// The stream's lines, which are gathered into `text` besides. With `leave`, nothing is read behind so many
/// lines with an address, while the stream stays open until the other end of the channel is gone.
fn follow(
    stream: impl Read + Send + 'static,
    text: Arc<Mutex<String>>,
    leave: Option<(usize, Receiver<()>)>,
) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // A reader that takes more than the line would empty the pipe behind it.
        let stream = BufReader::with_capacity(if leave.is_some() { 1 } else { 8192 }, stream);
        let mut addresses = 0;
        for line in stream.lines().map_while(Result::ok) {
            addresses += usize::from(address(&line).is_some());
            let mut text = text.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
            let _ = sender.send(line);
            drop(text);
            if let Some((last, closed)) = &leave
                && addresses == *last
            {
                let _ = closed.recv();
                return;
            }
        }
    });
    receiver
}
