//! A /proc: the keys of sysctl below it, the limits of this process, and two counters.
//!
//! It reads and writes, and decides nothing. Where it is mounted is a setting, because a monitoring container has the
//! host's elsewhere, and because a copy of another machine's can be looked at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use procfs_core::FromBufRead;

use super::value::Value;
use crate::error::StartupError;

/// A tree of the form of proc(5).
#[derive(Clone, Debug)]
pub struct Proc(PathBuf);

impl Proc {
    /// The tree in this directory.
    pub fn at(directory: &Path) -> Proc {
        Proc(directory.to_owned())
    }

    /// The one of the kernel that this runs on.
    pub fn running() -> Proc {
        Proc::at(Path::new("/proc"))
    }

    /// Looks whether there is anything to look at. Without it, every key would just be absent.
    ///
    /// # Errors
    /// That there is no proc in this place.
    pub fn look(&self) -> Result<(), StartupError> {
        let sys = self.path("sys");
        let found = fs::read_dir(&sys).map(|_| ());
        found.map_err(|source| StartupError::Proc { path: sys, source })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `NotFound` where this kernel or this namespace has no such key, `InvalidData` for what is no list of numbers.
    pub fn value(&self, key: &str) -> io::Result<Value> {
        self.word(key)?.parse().map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no number"))
    }

    /// The value of a key that is one number; `None` where it is not, or can't be read.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key).ok().and_then(|value| value.0.first().copied())
    }

    /// What a key holds, as text.
    ///
    /// # Errors
    /// As the file system has them; `NotFound` where there is no such key.
    pub fn word(&self, key: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.key(key))?.trim().to_owned())
    }

    /// Sets a key.
    ///
    /// # Errors
    /// `PermissionDenied` and `ReadOnlyFilesystem` where that is not allowed, `InvalidInput` for what is out of range.
    pub fn set(&self, key: &str, value: &Value) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(self.key(key))?;
        // The kernel takes a value in one write alone.
        file.write_all(format!("{value}\n").as_bytes())
    }

    /// `vm.max_map_count`: memory maps that a process may have; the kernel's default where that can't be read.
    pub fn max_map_count(&self) -> u64 {
        const KERNEL_DEFAULT: u64 = 65_530;
        self.number("vm.max_map_count").unwrap_or(KERNEL_DEFAULT)
    }

    /// Inotify watches that all processes of a user may have together, here and in this user namespace; the least that
    /// kernels allow where that can't be read.
    pub fn max_user_watches(&self) -> u64 {
        const KERNEL_LEAST: u64 = 8192;
        let keys = ["fs.inotify.max_user_watches", "user.max_inotify_watches"];
        keys.into_iter().filter_map(|key| self.number(key)).min().unwrap_or(KERNEL_LEAST)
    }

    /// Descriptors that this process may have, its hard limit, which is what the server raises its own to.
    pub fn most_descriptors(&self) -> Option<u64> {
        // The name, the soft limit, the hard one and the unit, with blanks between.
        let text = fs::read_to_string(self.path("self/limits")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        match line.split_ascii_whitespace().nth(1)? {
            "unlimited" => Some(u64::MAX),
            limit => limit.parse().ok(),
        }
    }

    /// How often an accept queue of this namespace was full for a client, since boot.
    pub fn listen_overflows(&self) -> Option<u64> {
        // Pairs of lines: names, and then their figures.
        let text = fs::read_to_string(self.path("net/netstat")).ok()?;
        let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
        let (names, figures) = (lines.next()?, lines.next()?);
        let place = names.split(' ').position(|name| name == "ListenOverflows")?;
        figures.split(' ').nth(place)?.parse().ok()
    }

    /// How many packets did not fit into the backlog of their CPU (`netdev_max_backlog`), since boot and on all CPUs.
    pub fn backlog_drops(&self) -> Option<u64> {
        // A line for each CPU, in hexadecimal: packets, drops, and more (net/core/net-procfs.c).
        let text = fs::read_to_string(self.path("net/softnet_stat")).ok()?;
        let drops = |line: &str| u64::from_str_radix(line.split(' ').nth(1)?, 16).ok();
        text.lines().map(drops).sum()
    }

    /// A file of the tree, read as procfs-core has its format; `None` where that can't be done.
    pub fn parsed<T: FromBufRead>(&self, name: &str) -> Option<T> {
        T::from_buf_read(BufReader::new(File::open(self.path(name)).ok()?)).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn key(&self, key: &str) -> PathBuf {
        self.path("sys").join(key.replace('.', "/"))
    }
}
