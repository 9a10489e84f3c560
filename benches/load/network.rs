//! Where servers and clients meet: the host's loopback, or a network namespace of the kit's own with a
//! loopback in it.
//!
//! The subtle rule: nothing here may change a setting of the host. sysctl.conf is applied by a thread inside
//! the namespace, only where that is another one than the host's, and only keys of `net.`, for others have no
//! namespace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::record;

/// The settings that the project recommends.
pub const SYSCTL_CONF: &str = include_str!("../../sysctl.conf");

/// A network. A namespace lives as long as this.
pub struct Network {
    pub name: &'static str,
    pub what: &'static str,
    /// The process that keeps the namespace; it ends with its standard input.
    keeper: Option<Child>,
}

impl Network {
    /// The host's own loopback.
    pub fn host() -> Self {
        Self { name: "host", what: "the host's loopback as it is", keeper: None }
    }

    /// Whether it is the host's.
    pub fn is_host(&self) -> bool {
        self.keeper.is_none()
    }

    /// The four namespaces: the kernel's defaults and sysctl.conf, at loopback's own MTU and at Ethernet's.
    ///
    /// # Errors
    /// The step that failed, with the reason.
    pub fn namespaces() -> Result<Vec<Self>, String> {
        Ok(vec![
            Self::make("untuned", "a namespace with the kernel's defaults, MTU 65536", false, 65536)?,
            Self::make("tuned", "a namespace with sysctl.conf applied, MTU 65536", true, 65536)?,
            Self::make("untuned-1500", "a namespace with the kernel's defaults, MTU 1500", false, 1500)?,
            Self::make("tuned-1500", "a namespace with sysctl.conf applied, MTU 1500", true, 1500)?,
        ])
    }

    fn make(name: &'static str, what: &'static str, tuned: bool, mtu: u32) -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let keeper = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let network = Self { name, what, keeper: Some(keeper) };
        network.wait_until_apart()?;
        for arguments in [format!("link set dev lo mtu {mtu}"), "link set dev lo up".to_owned()] {
            let mut words = network.entrance();
            words.push("ip".into());
            words.extend(arguments.split(' ').map(str::to_owned));
            run(&words)?;
        }
        if tuned {
            network.enter(|| network.apply(SYSCTL_CONF))?;
        }
        Ok(network)
    }

    /// The namespace is there once the keeper has another one than we.
    fn wait_until_apart(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let theirs = self.file().map(|file| fs::read_link(file).ok());
            match (theirs.flatten(), fs::read_link("/proc/self/ns/net")) {
                (Some(theirs), Ok(ours)) if theirs != ours => return Ok(()),
                _ if start.elapsed() > Duration::from_secs(5) => {
                    return Err("a network namespace can't be made; that takes root".into());
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.keeper.as_ref().map(|keeper| PathBuf::from(format!("/proc/{}/ns/net", keeper.id())))
    }

    /// What has to stand before a command for it to run in here.
    pub fn entrance(&self) -> Vec<String> {
        match self.file() {
            Some(file) => vec!["nsenter".into(), format!("--net={}", file.display())],
            None => Vec::new(),
        }
    }

    /// Runs `inside` on a thread that lives in here.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
        let Some(file) = self.file() else { return inside() };
        let entrance = File::open(file).map_err(|error| format!("the namespace has gone: {error}"))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(entrance.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(|error| format!("setns: {error}"))?;
                inside()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Writes what `conf` says of keys that this namespace has for itself. Called inside.
    pub fn apply(&self, conf: &str) -> Result<(), String> {
        let here = fs::read_link("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
        let host =
            fs::read_link(format!("/proc/{}/ns/net", std::process::id())).map_err(|e| e.to_string())?;
        if here == host {
            return Err("sysctl.conf is never applied to the host".into());
        }
        for (key, value) in settings(conf) {
            let file = file_of(&key);
            if key.starts_with("net.") && file.exists() {
                fs::write(&file, value).map_err(|error| format!("{key}: {error}"))?;
            }
        }
        Ok(())
    }

    /// What the report says of it.
    pub fn record(&self) -> record::Network {
        let read = || {
            let value = |key: &String| fs::read_to_string(file_of(key)).ok();
            let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let values = settings(SYSCTL_CONF).into_iter().filter_map(|(key, _)| {
                let value = value(&key)?;
                Some((key, words(value)))
            });
            let mut all: BTreeMap<String, String> = values.collect();
            if let Some(mtu) = mtu() {
                all.insert("lo mtu".into(), mtu);
            }
            Ok(all)
        };
        let sysctl = self.enter(read).unwrap_or_default();
        record::Network { name: self.name.into(), what: self.what.into(), sysctl }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// The size of loopback's packets. /sys shows the namespace that it was mounted in, so this asks the tool.
fn mtu() -> Option<String> {
    let output = Command::new("ip").args(["-o", "link", "show", "dev", "lo"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split(' ').skip_while(|word| *word != "mtu");
    words.nth(1).map(str::to_owned)
}

/// The keys and values of a sysctl.conf(5).
pub fn settings(conf: &str) -> Vec<(String, String)> {
    let lines = conf.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// The file of a key.
pub fn file_of(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key.replace('.', "/"))
}

fn run(words: &[String]) -> Result<(), String> {
    let said = words.join(" ");
    let output = Command::new(&words[0]).args(&words[1..]).output().map_err(|e| format!("{said}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{said}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
