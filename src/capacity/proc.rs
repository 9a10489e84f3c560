//! Reads and writes a /proc: the keys of sysctl, the limits of this process, and two counters.
//!
//! It decides nothing. The directory is a setting: a monitoring container has the host's /proc elsewhere, and
//! tests use a copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use procfs_core::FromBufRead;

use crate::capacity::value::Value;
use crate::error::StartupError;

/// The kernel's default of `vm.max_map_count`.
pub const DEFAULT_MAP_COUNT: u64 = 65_530;

/// A tree with the layout of proc(5).
#[derive(Clone, Debug)]
pub struct Proc(PathBuf);

impl Proc {
    /// The tree in this directory.
    pub fn at(directory: &Path) -> Proc {
        Proc(directory.to_owned())
    }

    /// The tree of the running kernel.
    pub fn running() -> Proc {
        Proc::at(Path::new("/proc"))
    }

    /// Checks that there is a tree. Without it, every key would be reported as absent.
    ///
    /// # Errors
    /// [`StartupError::Proc`] if the directory has no `sys`.
    pub fn check(&self) -> Result<(), StartupError> {
        let sys = self.path("sys");
        let found = fs::read_dir(&sys).map(|_| ());
        found.map_err(|source| StartupError::Proc { path: sys, source })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `NotFound` if this kernel or this namespace has no such key, `InvalidData` if the value is not a list
    /// of numbers.
    pub fn value(&self, key: &str) -> io::Result<Value> {
        self.word(key)?.parse().map_err(|_| io::Error::new(ErrorKind::InvalidData, "not a number"))
    }

    /// The first number of a key; `None` if the key can't be read or is not a number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key).ok().and_then(|value| value.0.first().copied())
    }

    /// The value of a key as text.
    ///
    /// # Errors
    /// The error of the file system; `NotFound` if there is no such key.
    pub fn word(&self, key: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.key(key))?.trim().to_owned())
    }

    /// Sets a key.
    ///
    /// # Errors
    /// `PermissionDenied` or `ReadOnlyFilesystem` if writing is not allowed, `InvalidInput` if the value is
    /// out of range.
    pub fn set(&self, key: &str, value: &Value) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(self.key(key))?;
        // The kernel accepts a value only in one write.
        file.write_all(format!("{value}\n").as_bytes())
    }

    /// `vm.max_map_count`: the most memory maps of a process. The kernel's default if it can't be read.
    pub fn max_map_count(&self) -> u64 {
        self.number("vm.max_map_count").unwrap_or(DEFAULT_MAP_COUNT)
    }

    /// The most inotify watches of all processes of a user, on this host and in this user namespace. The
    /// lowest default of kernels if it can't be read.
    pub fn max_user_watches(&self) -> u64 {
        const LOWEST_DEFAULT: u64 = 8192;
        let keys = ["fs.inotify.max_user_watches", "user.max_inotify_watches"];
        keys.into_iter().filter_map(|key| self.number(key)).min().unwrap_or(LOWEST_DEFAULT)
    }

    /// The hard limit of open descriptors of this process. The server raises its soft limit to it.
    pub fn max_descriptors(&self) -> Option<u64> {
        // The name, the soft limit, the hard one and the unit, with blanks between.
        let text = fs::read_to_string(self.path("self/limits")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        match line.split_ascii_whitespace().nth(1)? {
            "unlimited" => Some(u64::MAX),
            limit => limit.parse().ok(),
        }
    }

    /// The machine's memory, in bytes.
    pub fn memory(&self) -> Option<u64> {
        // `MemTotal:       24683520 kB`, where kB is 1024.
        let text = fs::read_to_string(self.path("meminfo")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    }

    /// How often a client found an accept queue of this namespace full, since boot.
    pub fn listen_overflows(&self) -> Option<u64> {
        // Pairs of lines: names, then their values.
        let text = fs::read_to_string(self.path("net/netstat")).ok()?;
        let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
        let (names, values) = (lines.next()?, lines.next()?);
        let index = names.split(' ').position(|name| name == "ListenOverflows")?;
        values.split(' ').nth(index)?.parse().ok()
    }

    /// Packets dropped because the backlog of their CPU was full (`netdev_max_backlog`), since boot, on all
    /// CPUs.
    pub fn backlog_drops(&self) -> Option<u64> {
        // A line for each CPU, in hexadecimal: packets, drops, and more (net/core/net-procfs.c).
        let text = fs::read_to_string(self.path("net/softnet_stat")).ok()?;
        let drops = |line: &str| u64::from_str_radix(line.split(' ').nth(1)?, 16).ok();
        text.lines().map(drops).sum()
    }

    /// A file of the tree, parsed by procfs-core; `None` if it can't be read or parsed.
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
