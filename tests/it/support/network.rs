//! A network namespace that is this test's own, with nothing in it but `lo` at the size of an Ethernet frame.
//! Over the usual 64 KiB loopback, `sendfile` takes other ways through the kernel than over a real network.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub struct Network {
    name: String,
}

impl Network {
    /// None, with the reason, where namespaces can't be made.
    pub fn make(mtu: u32) -> Result<Self, String> {
        if !super::root() {
            return Err("network namespaces need root".into());
        }
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let network = Self { name: format!("mayhttpd-it-{}-{number}", std::process::id()) };
        ip(&["netns", "add", &network.name])?;
        let (lo, mtu) = (network.name.as_str(), mtu.to_string());
        ip(&["-n", lo, "link", "set", "dev", "lo", "mtu", &mtu])?;
        ip(&["-n", lo, "link", "set", "dev", "lo", "up"])?;
        Ok(network)
    }

    /// Runs `inside` on a thread that lives in the namespace, as do the processes that it starts.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        enter(&format!("/run/netns/{}", self.name), inside)
    }
}

/// Runs `inside` on a thread that lives in the namespace of this file.
pub fn enter<T: Send>(namespace: &str, inside: impl FnOnce() -> T + Send) -> T {
    let entrance = File::open(namespace).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(entrance.as_fd(), kind).unwrap();
            inside()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
