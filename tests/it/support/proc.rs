//! A made-up /proc, in the form that the kernel's own has: keys of sysctl, counters, limits and control
//! groups.

use std::fs;
use std::path::Path;

use super::Tree;

pub struct Proc {
    tree: Tree,
}

impl Proc {
    /// A kernel that has all that sysctl.conf wants, and exactly that; plenty of descriptors, and no control
    /// group.
    pub fn tuned() -> Self {
        let proc = Self { tree: Tree::empty() };
        for (key, value) in settings() {
            proc.key(&key, &value);
        }
        proc.key("net.ipv4.tcp_congestion_control", "cubic");
        proc.overflows(0).drops(&[0, 0]).descriptors("524288")
    }

    pub fn path(&self) -> &str {
        self.tree.path().to_str().unwrap()
    }

    /// Has a file of the tree hold this.
    pub fn file(&self, name: &str, text: &str) {
        self.tree.file(name, text);
    }

    /// Has a key hold this.
    pub fn key(&self, key: &str, value: &str) {
        self.tree.file(Self::place(key), format!("{value}\n"));
    }

    /// What a key holds.
    pub fn value(&self, key: &str) -> String {
        fs::read_to_string(self.tree.at(Self::place(key))).unwrap().trim().to_owned()
    }

    /// Takes a key away.
    pub fn without(self, key: &str) -> Self {
        fs::remove_file(self.tree.at(Self::place(key))).unwrap();
        self
    }

    pub fn with(self, key: &str, value: &str) -> Self {
        self.key(key, value);
        self
    }

    pub fn overflows(self, count: u64) -> Self {
        let text = format!(
            "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 7 {count} 9\nIpExt: InNoRoutes\nIpExt: 3\n"
        );
        self.tree.file("net/netstat", text);
        self
    }

    /// Packets dropped, for each CPU.
    pub fn drops(self, counts: &[u64]) -> Self {
        let lines = counts.iter().map(|count| format!("077d56d8 {count:08x} 00000019 00000000\n"));
        self.tree.file("net/softnet_stat", lines.collect::<String>());
        self
    }

    /// The hard limit of open files, as `/proc/self/limits` writes it.
    pub fn descriptors(self, hard: &str) -> Self {
        let head = "Limit                     Soft Limit           Hard Limit           Units     \n";
        let line = format!("Max open files            1024                 {hard:<20} files     \n");
        self.tree.file("self/limits", format!("{head}{line}"));
        self
    }

    /// A control group of version 2 with these files; the one above it has `above`.
    pub fn unified(self, above: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        self.group("0::/up/leaf\n", "- cgroup2 cgroup2 rw", &[("up", above), ("up/leaf", files)])
    }

    /// A control group of version 1, whose controllers have a mount each.
    pub fn separate(self, cpu: &[(&str, &str)], memory: &[(&str, &str)]) -> Self {
        for (directory, files) in [("cpu", cpu), ("memory", memory)] {
            for (name, text) in files {
                self.tree.file(format!("cgroup/{directory}/leaf/{name}"), text);
            }
        }
        let mount = self.tree.at("cgroup");
        let line = |number: u32, names: &str, place: &str| {
            let place = mount.join(place);
            format!("{number} 31 0:{number} / {} rw - cgroup cgroup rw,{names}\n", place.display())
        };
        let mounts = line(32, "cpu,cpuacct", "cpu") + &line(35, "memory", "memory");
        self.tree.file("self/mountinfo", mounts);
        self.tree.file("self/cgroup", "4:memory:/leaf\n2:cpu,cpuacct:/leaf\n1:name=systemd:/\n0::/\n");
        self
    }

    /// Lets the real network namespace of the reading process show through, and keeps the rest made up.
    pub fn on_the_real_network(self) -> Self {
        fs::remove_dir_all(self.tree.at("sys/net")).unwrap();
        self.tree.link("sys/net", Path::new("/proc/sys/net"));
        self
    }

    fn group(self, group: &str, mount: &str, directories: &[(&str, &[(&str, &str)])]) -> Self {
        for (directory, files) in directories {
            for (name, text) in *files {
                self.tree.file(format!("cgroup/{directory}/{name}"), text);
            }
        }
        let place = self.tree.at("cgroup");
        self.tree.file("self/mountinfo", format!("42 31 0:28 / {} rw {mount}\n", place.display()));
        self.tree.file("self/cgroup", group);
        self
    }

    fn place(key: &str) -> String {
        format!("sys/{}", key.replace('.', "/"))
    }
}

/// The keys of sysctl.conf and their values, as sysctl(8) reads them.
pub fn settings() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sysctl.conf")).unwrap();
    let lines = text.lines().map(str::trim);
    let settings = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    settings
        .map(|line| {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?}"));
            (key.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}
