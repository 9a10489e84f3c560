//! The programs that the kit drives or measures: which are here, in which version, and how to get the others.
//! It installs nothing but where it is told to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::record;

/// A program to look for.
pub struct Wanted {
    pub name: &'static str,
    /// What makes it tell its version.
    version: &'static [&'static str],
    /// Debian's packages.
    packages: &'static [&'static str],
}

/// All that is looked for, but the Python with its libraries.
const WANTED: &[Wanted] = &[
    Wanted { name: "wrk", version: &["-v"], packages: &["wrk"] },
    Wanted { name: "ab", version: &["-V"], packages: &["apache2-utils"] },
    Wanted { name: "h2load", version: &["--version"], packages: &["nghttp2-client"] },
    Wanted { name: "siege", version: &["-V"], packages: &["siege"] },
    Wanted { name: "nginx", version: &["-v"], packages: &["nginx-light"] },
    Wanted { name: "lighttpd", version: &["-v"], packages: &["lighttpd"] },
    Wanted { name: "h2o", version: &["-v"], packages: &["h2o"] },
    Wanted { name: "uwsgi", version: &["--version"], packages: &["uwsgi-core", "uwsgi-plugin-python3"] },
    Wanted { name: "go", version: &["version"], packages: &["golang-go"] },
    Wanted { name: "static-web-server", version: &["--version"], packages: &[] },
    Wanted { name: "taskset", version: &["--version"], packages: &["util-linux"] },
    Wanted { name: "setpriv", version: &["--version"], packages: &["util-linux"] },
    Wanted { name: "unshare", version: &["--version"], packages: &["util-linux"] },
    Wanted { name: "nsenter", version: &["--version"], packages: &["util-linux"] },
    Wanted { name: "ip", version: &["-V"], packages: &["iproute2"] },
];

/// The name of the Python with its libraries among the tools.
pub const PYTHON: &str = "python";
/// What the Python servers import, beyond the standard library.
const LIBRARIES: &[&str] = &["uvloop", "aiohttp"];

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Tools(pub Vec<record::Tool>);

impl Tools {
    /// Looks for all of them; `home` is the kit's own directory, which may have a virtualenv.
    pub fn look(home: &Path) -> Self {
        let mut tools: Vec<_> = WANTED.iter().map(Wanted::look).collect();
        tools.push(look_for_python(home));
        Self(tools)
    }

    /// Where `name` is.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|tool| tool.name == name)?.path.as_deref()
    }

    /// The version of `name`, as it tells it.
    pub fn version(&self, name: &str) -> String {
        let tool = self.0.iter().find(|tool| tool.name == name && tool.path.is_some());
        tool.map(|tool| tool.version.clone()).unwrap_or_default()
    }

    /// How to get `name`.
    pub fn install(&self, name: &str) -> String {
        self.0.iter().find(|tool| tool.name == name).map(|tool| tool.install.clone()).unwrap_or_default()
    }

    /// What is missing.
    pub fn missing(&self) -> impl Iterator<Item = &record::Tool> {
        self.0.iter().filter(|tool| tool.path.is_none())
    }
}

/// Installs what is missing and can be had; says what it does, and what goes wrong.
pub fn install(home: &Path) {
    let missing = Tools::look(home);
    let lacks = |name: &str| missing.path(name).is_none();
    let mut packages: Vec<&str> = WANTED
        .iter()
        .filter(|wanted| lacks(wanted.name))
        .flat_map(|wanted| wanted.packages)
        .copied()
        .collect();
    packages.dedup();
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        eprintln!("installing {}", packages.join(" "));
        let mut apt = Command::new("apt-get");
        apt.args(["install", "-q", "-y", "--no-install-recommends"]).args(&packages);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        tell("apt-get", apt.stdout(Stdio::null()));
    } else if !packages.is_empty() {
        eprintln!("not root: {} can't be installed", packages.join(" "));
    }
    if lacks(PYTHON) {
        let venv = home.join("venv");
        eprintln!("making {} with {}", venv.display(), LIBRARIES.join(" and "));
        tell("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&venv));
        tell("pip", Command::new(venv.join("bin/pip")).args(["install", "-q"]).args(LIBRARIES));
    }
}

fn tell(step: &str, command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("{step}: {status}"),
        Err(error) => eprintln!("{step}: {error}"),
    }
}

impl Wanted {
    fn look(&self) -> record::Tool {
        let path = find(self.name);
        let version = path.as_ref().map(|path| ask(path, self.version)).unwrap_or_default();
        let install = match self.packages {
            [] => format!("cargo install {}", self.name),
            packages => format!("apt-get install {}", packages.join(" ")),
        };
        let path = path.map(|path| path.to_string_lossy().into_owned());
        record::Tool { name: self.name.into(), path, version, install }
    }
}

/// The first file of that name in PATH, and where servers are that only root's PATH has.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// The line of a program's output that has its version: the first with a number.
fn ask(program: &Path, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).stdin(Stdio::null()).output() else {
        return String::new();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
    line.unwrap_or_default().trim().chars().take(100).collect()
}

/// A Python that has the libraries: of the virtualenv, or the system's.
fn look_for_python(home: &Path) -> record::Tool {
    let script = "import sys, uvloop, aiohttp; \
                  print('Python', sys.version.split()[0], 'uvloop', uvloop.__version__, 'aiohttp', aiohttp.__version__)";
    let candidates = [Some(home.join("venv/bin/python3")), find("python3")];
    let found = candidates.into_iter().flatten().find_map(|python| {
        let version = ask(&python, &["-c", script]);
        version.starts_with("Python ").then_some((python, version))
    });
    let (path, version) = found.map_or((None, String::new()), |(path, version)| (Some(path), version));
    record::Tool {
        name: PYTHON.into(),
        path: path.map(|path| path.to_string_lossy().into_owned()),
        version,
        install: format!(
            "cargo bench --bench load -- --install, or a python3 with {} in PATH",
            LIBRARIES.join(" and ")
        ),
    }
}
