//! The server in a container of an image, asked at its published port through the engine's bridge. Where the
//! variable MAYHTTPD_IT_IMAGE names an image, every server that `Launch::start` starts is one of these, so
//! that the same tests judge the image; tests/docker/run.sh has the engine and the list of tests that this
//! makes sense for.
//!
//! It needs root on the engine's machine, because tests look at processes and signal them.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::process::Process;
use super::{eventually, skipped};

const IMAGE: &str = "MAYHTTPD_IT_IMAGE";

/// What `docker run` takes away from every server. It needs none of it.
const TIGHT: &[&str] = &["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];

/// A container, which is removed when this goes.
pub struct Container {
    pub name: String,
}

/// The image to try, if there is one.
pub fn image() -> Option<OsString> {
    std::env::var_os(IMAGE)
}

/// True, with a plain word, where there is no image to try.
pub fn is_missing(test: &str) -> bool {
    image().is_none() && skipped(test, "no image to try is named; tests/docker/run.sh builds one")
}

/// Runs docker to its end, which must be good; what it printed.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "docker {}: {}", arguments.join(" "), said(&output.stderr));
    said(&output.stdout)
}

/// The first process of a container.
#[track_caller]
pub fn master(container: &str) -> Process {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", container]);
    Process::of(pid.parse().unwrap()).expect("the container has ended")
}

/// Where port 80 of a container is published, on its bridge: unlike loopback, the way there is that of
/// clients from afar.
#[track_caller]
pub fn published(container: &str) -> SocketAddr {
    let format = "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}} \
                  {{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
    let told = docker(&["inspect", "--format", format, container]);
    let (port, gateway) = told.split_once(' ').unwrap();
    SocketAddr::new(gateway.parse::<IpAddr>().unwrap(), port.parse().unwrap())
}

impl Container {
    /// One with a name of its own, which is not there yet.
    pub fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("mayhttpd-it-{}-{number}", std::process::id()) }
    }

    /// The command that runs `image` as this container, with `root` mounted where the image serves it.
    pub fn command(
        &self,
        image: &OsString,
        root: Option<&Path>,
        environment: &[(String, OsString)],
        more: &[OsString],
    ) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["docker", "run", "--name", &self.name].map(Into::into).into();
        words.extend(TIGHT.iter().map(Into::into));
        words.extend(["--publish".into(), "80".into()]);
        if let Some(root) = root {
            words.extend(["--volume".into(), format!("{}:/var/www/html:ro", root.display()).into()]);
        }
        for (name, value) in environment {
            let mut both = OsString::from(format!("{name}="));
            both.push(value);
            words.extend(["--env".into(), both]);
        }
        words.extend_from_slice(more);
        words.push(image.clone());
        words
    }

    /// Its first process.
    #[track_caller]
    pub fn master(&self) -> Process {
        master(&self.name)
    }

    /// Where its port 80 is published.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        published(&self.name)
    }

    /// Waits until the image's own check has come to this.
    #[track_caller]
    pub fn gets(&self, health: &str) {
        eventually(&format!("the container is {health}"), || {
            (docker(&["inspect", "--format", "{{.State.Health.Status}}", &self.name]) == health).then_some(())
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        remove.args(["rm", "--force", "--volumes", &self.name]);
        let _ = remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
