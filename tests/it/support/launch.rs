//! How a server is started: its root, its flags, its surroundings. `start` waits until it serves; `run` is
//! for starts that must not succeed. Where an image is to be tried, `start` starts a container of it.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::container::{self, Container};
use super::{Server, Tree, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mayhttpd");
/// Where a server listens unless said otherwise.
const LOCAL: &str = "127.0.0.1:0";

pub struct Launch {
    tree: Option<Arc<Tree>>,
    root: Option<PathBuf>,
    listen: Vec<String>,
    tls_listen: Vec<String>,
    flags: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    directory: PathBuf,
    wrapper: Vec<OsString>,
    inherited: Option<OwnedFd>,
    docker: Vec<OsString>,
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Launch {
    /// No root at all; the server decides what it serves.
    pub fn rootless() -> Self {
        Self {
            tree: None,
            root: None,
            listen: vec![LOCAL.into()],
            tls_listen: Vec::new(),
            flags: vec!["--workers".into(), "1".into()],
            environment: Vec::new(),
            directory: "/".into(),
            wrapper: Vec::new(),
            inherited: None,
            docker: Vec::new(),
        }
    }

    /// Serves a tree, which lives as long as the server.
    pub fn of(tree: impl Into<Arc<Tree>>) -> Self {
        let tree = tree.into();
        let root = Some(tree.path().to_owned());
        Self { tree: Some(tree), root, ..Self::rootless() }
    }

    /// Serves a directory that isn't the test's own.
    pub fn of_path(root: impl AsRef<Path>) -> Self {
        Self { root: Some(root.as_ref().to_owned()), ..Self::rootless() }
    }

    /// Serves the site that most tests ask.
    pub fn site() -> Self {
        Self::of(Tree::site())
    }

    /// One worker, unless said otherwise: what a test sees then doesn't depend on who got the connection.
    pub fn workers(self, count: usize) -> Self {
        let mut launch = self;
        launch.flags[1] = count.to_string().into();
        launch
    }

    /// Without a flag that was not asked for: what the settings say counts, and after them the program.
    pub fn by_default(self) -> Self {
        Self { listen: Vec::new(), flags: Vec::new(), ..self }
    }

    pub fn flags<F: Into<OsString>>(mut self, flags: impl IntoIterator<Item = F>) -> Self {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// With this settings file in place of all flags so far, so that the test can change the number of
    /// workers as well.
    pub fn by_file(mut self, file: impl AsRef<Path>) -> Self {
        self.flags = vec!["--config".into(), file.as_ref().into()];
        self
    }

    /// The addresses to listen at, in place of 127.0.0.1 with a free port.
    pub fn listen(mut self, addresses: &[&str]) -> Self {
        self.listen = addresses.iter().map(|&address| address.to_owned()).collect();
        self
    }

    /// With one TLS listener more, at 127.0.0.1 and a free port. Its certificate is a matter of the settings.
    pub fn tls(mut self) -> Self {
        self.tls_listen.push(LOCAL.into());
        self
    }

    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = path.as_ref().to_owned();
        self
    }

    /// A program that prepares the surroundings and becomes the server by exec, so that the pid is the same.
    pub fn under<F: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = F>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// With `socket` inherited as descriptor 3 and, where `count` is more, the next ones too, as systemd does
    /// it.
    pub fn activated_by(mut self, socket: impl Into<OwnedFd>, count: usize) -> Self {
        self.inherited = Some(socket.into());
        let copies: String = (3..3 + count).map(|number| format!("{number}<&0 ")).collect();
        let told = format!("export LISTEN_PID=$$ LISTEN_FDS={count}");
        self.under(["sh", "-c", &format!("exec {copies}; exec 0</dev/null; {told}; exec \"$@\""), "sh"])
    }

    /// With so few descriptors, hard limit and soft.
    pub fn descriptors(self, limit: usize) -> Self {
        self.under(["sh".to_owned(), "-c".into(), format!("ulimit -n {limit}; exec \"$@\""), "sh".into()])
    }

    /// With more flags of `docker run`; for tests of the image alone.
    pub fn docker<F: Into<OsString>>(mut self, flags: impl IntoIterator<Item = F>) -> Self {
        assert!(container::image().is_some(), "there is no image to try");
        self.docker.extend(flags.into_iter().map(Into::into));
        self
    }

    /// Starts it, and waits until it says where it serves.
    #[track_caller]
    pub fn start(self) -> Server {
        self.spawn(false)
    }

    /// Starts it like `start`, and reads its standard output up to there and no further.
    #[track_caller]
    pub fn start_unread(self) -> Server {
        self.spawn(true)
    }

    #[track_caller]
    fn spawn(mut self, unread: bool) -> Server {
        let Some(image) = container::image() else {
            let child = self.command().spawn().unwrap();
            let plain = if self.tls_listen.is_empty() { self.listen.len().max(1) } else { self.listen.len() };
            let listeners = plain + self.tls_listen.len();
            return Server::attach(child, listeners, self.tree, unread, None);
        };
        let container = Container::new();
        let child = self.command_of(&image, &container).spawn().unwrap();
        Server::attach(child, 1, self.tree, unread, Some(container))
    }

    /// Like `command`, in a container. What makes no sense there must not be ignored.
    #[track_caller]
    fn command_of(&mut self, image: &OsString, container: &Container) -> Command {
        let listens = !self.listen.is_empty() && self.listen != [LOCAL];
        let listens = listens || !self.tls_listen.is_empty();
        let placed = !self.wrapper.is_empty() || self.inherited.is_some() || self.directory != Path::new("/");
        assert!(!listens && !placed, "this start can't be had in a container");
        let mut words = container.command(image, self.root.as_deref(), &self.environment, &self.docker);
        words.extend(self.flags.clone());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end, which must come by itself.
    #[track_caller]
    pub fn run(mut self) -> Finished {
        run(self.command())
    }

    fn command(&mut self) -> Command {
        let mut words = self.wrapper.clone();
        words.push(PROGRAM.into());
        for address in &self.listen {
            words.extend(["--listen".into(), address.into()]);
        }
        for address in &self.tls_listen {
            words.extend(["--tls-listen".into(), address.into()]);
        }
        words.extend(self.flags.clone());
        if let Some(root) = &self.root {
            words.extend(["--root".into(), root.into()]);
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.directory);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("MAYHTTPD_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let stdin = self.inherited.take().map_or_else(Stdio::null, Stdio::from);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Runs the server's program with these arguments alone.
#[track_caller]
pub fn run_with(arguments: &[&str]) -> Finished {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run(command)
}

#[track_caller]
fn run(mut command: Command) -> Finished {
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let output = std::thread::spawn(move || read_all(&mut stdout));
    let errors = std::thread::spawn(move || read_all(&mut stderr));
    let start = std::time::Instant::now();
    let status = eventually("the program ends by itself", || {
        if start.elapsed() > super::DEADLINE / 2 {
            let _ = child.kill();
        }
        child.try_wait().unwrap()
    });
    Finished { code: status.code(), output: output.join().unwrap(), errors: errors.join().unwrap() }
}

fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
