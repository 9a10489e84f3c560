//! A balancer in front of servers: a real nginx or HAProxy that runs by the files of deploy/, with the
//! addresses of the test in place of the examples.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::authority::Issued;
use super::{DEADLINE, Tree, root};

/// The addresses that the files have as examples.
const EXAMPLES: [&str; 3] = ["10.0.0.11:", "10.0.0.12:", "10.0.0.13:"];

pub struct Balancer {
    child: Child,
    /// Where it listens, in the order of its file.
    pub addresses: Vec<SocketAddr>,
    directory: Tree,
}

/// Whether a program is installed; if not, says that the test is skipped.
pub fn is_missing(program: &str, test: &str) -> bool {
    let found = |directory: &Path| directory.join(program).is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    !directories.any(|directory| found(&directory)) && super::skipped(test, &format!("there is no {program}"))
}

/// A file of deploy/.
pub fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Balancer {
    /// nginx with one of the policies, and `site.conf` or `tls.conf`.
    #[track_caller]
    pub fn nginx(policy: &str, site: &str, servers: [SocketAddr; 3]) -> Self {
        let directory = Tree::empty();
        let mut text = deployed(&format!("nginx/{site}.conf"));
        let mut sockets = Vec::new();
        for port in ["80 default_server", "443 ssl http2 default_server"] {
            assert_eq!(
                text.contains(&format!("listen {port};")),
                text.contains(&format!("listen [::]:{port};"))
            );
            if text.contains(&format!("listen {port};")) {
                let socket = free_socket();
                let (address, extra) =
                    (socket.local_addr().unwrap(), port.trim_start_matches(char::is_numeric));
                text = text.replace(&format!("listen {port};"), &format!("listen {address}{extra};"));
                text = text.replace(&format!("listen [::]:{port};"), "");
                sockets.push(socket);
            }
        }
        // Where the files say that theirs are.
        let folder = directory.path().join("mayhttpd").display().to_string();
        directory.file("site.conf", text.replace("/etc/nginx/mayhttpd", &folder));
        directory.file("policy.conf", at(&deployed(&format!("nginx/{policy}.conf")), servers));
        directory.file("mayhttpd/proxy.conf", deployed("nginx/proxy.conf"));
        if site == "tls" {
            make_certificate(&directory.path().join("mayhttpd"));
        }
        Self::run_nginx("include policy.conf; include site.conf;", sockets, directory)
    }

    /// nginx that serves the files of a directory itself, by HTTP/2 without TLS and by both versions with it.
    #[track_caller]
    pub fn files(root: &Path, certificate: &Issued) -> Self {
        let sockets = vec![free_socket(), free_socket()];
        let [plain, tls] = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().unwrap());
        let (chain, key) = (certificate.chain.display(), certificate.key.display());
        let root = root.display();
        let text = format!(
            "types {{ text/html html; text/plain txt; }}\n\
             server {{ listen {plain} http2; listen {tls} ssl http2; root {root}; etag on;\n\
             ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; }}\n"
        );
        Self::run_nginx(&text, sockets, Tree::empty())
    }

    #[track_caller]
    fn run_nginx(text: &str, sockets: Vec<TcpListener>, directory: Tree) -> Self {
        let place = directory.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let main = format!(
            "daemon off; pid {place}/nginx.pid; error_log {place}/errors; worker_processes 2;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off;\n{temporary} {text} }}\n"
        );
        let main = directory.file("nginx.conf", main);
        // It takes sockets that it inherits for those of its configuration, as it does for its own upgrade.
        let numbers: String = (3..3 + sockets.len()).map(|number| format!("{number};")).collect();
        let mut command = inheriting(&sockets);
        command.args(["nginx", "-c"]).arg(main).arg("-p").arg(directory.path()).env("NGINX", numbers);
        Self::spawn(command, sockets, directory)
    }

    /// HAProxy by one of its files, with this backend.
    #[track_caller]
    pub fn haproxy(file: &str, backend: &str, servers: [SocketAddr; 3]) -> Self {
        let directory = Tree::empty();
        let text = deployed(&format!("haproxy/{file}.cfg"));
        for (line, count) in [("    bind :80\n", 1), ("    default_backend round_robin\n", 1)] {
            assert_eq!(text.matches(line).count(), count, "{line}");
        }
        let text = text.replace("bind :80", "bind fd@3");
        let text = if root() { text } else { text.replace("    user haproxy\n    group haproxy\n", "") };
        let text = text.replace("default_backend round_robin", &format!("default_backend {backend}"));
        let path = directory.file("haproxy.cfg", at(&text, servers));
        let sockets = vec![free_socket()];
        let mut command = inheriting(&sockets);
        command.args(["haproxy", "-db", "-f"]).arg(path);
        Self::spawn(command, sockets, directory)
    }

    #[track_caller]
    fn spawn(mut command: Command, sockets: Vec<TcpListener>, directory: Tree) -> Self {
        let errors = fs::File::create(directory.at("output")).unwrap();
        let child = command.stderr(errors).spawn().unwrap();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        // The sockets are its own from here on: a test that outlives it is refused and does not hang.
        drop(sockets);
        Self { child, addresses, directory }
    }

    /// Where clients come.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// A file that it was started with or has written.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.at(name)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // TERM takes their workers along.
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        let begun = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if begun.elapsed() > DEADLINE {
                let _ = self.child.kill();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if std::thread::panicking() {
            for name in ["output", "errors"] {
                let text = fs::read_to_string(self.directory.at(name)).unwrap_or_default();
                eprintln!("--- the balancer's {name} ---\n{text}---");
            }
        }
    }
}

/// A configuration with the servers' addresses in place of the examples.
#[track_caller]
fn at(text: &str, servers: [SocketAddr; 3]) -> String {
    let mut text = text.to_owned();
    for (example, server) in EXAMPLES.iter().zip(servers) {
        let mut replaced = String::new();
        let mut parts = text.split(example);
        replaced.push_str(parts.next().unwrap());
        let mut count = 0;
        for part in parts {
            replaced.push_str(&server.to_string());
            replaced.push_str(part.trim_start_matches(char::is_numeric));
            count += 1;
        }
        assert!(count > 0, "{example} is not in the file");
        text = replaced;
    }
    text
}

/// A socket as a balancer would make it: nginx takes what it inherits for non-blocking.
fn free_socket() -> TcpListener {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// A command that runs what its arguments say with the sockets as descriptors 3 and 4.
fn inheriting(sockets: &[TcpListener]) -> Command {
    let mut command = Command::new("sh");
    let own = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    command.stdin(own(&sockets[0]));
    let mut moves = "exec 3<&0 ".to_owned();
    match sockets.get(1) {
        Some(second) => {
            command.stdout(own(second));
            moves.push_str("4<&1 ");
        }
        None => drop(command.stdout(Stdio::null())),
    }
    let path = "PATH=$PATH:/usr/sbin";
    command.args(["-c", &format!("{path}; {moves}0</dev/null 1>/dev/null; exec \"$@\""), "sh"]);
    command
}

/// A certificate for localhost that is its own authority.
#[track_caller]
fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
