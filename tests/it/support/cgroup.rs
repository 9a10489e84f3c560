//! A control group that is this test's own, with a limit of memory, in version 2 or version 1 of cgroups(7).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Group {
    directory: PathBuf,
}

impl Group {
    /// A group with this limit in bytes; none, with the reason, where groups can't be made.
    pub fn with_memory(limit: u64) -> Result<Self, String> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("mayhttpd-it-{}-{number}", std::process::id());
        let (mount, file) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            // A group's children have the controllers that it hands down.
            let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let group = Self { directory: Path::new(mount).join(name) };
        fs::create_dir(&group.directory).map_err(|error| format!("{mount}: {error}"))?;
        fs::write(group.directory.join(file), limit.to_string())
            .map_err(|error| format!("{file}: {error}"))?;
        Ok(group)
    }

    /// What comes before a command so that its process is in the group.
    pub fn wrapper(&self) -> [String; 4] {
        let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.directory.display());
        ["sh".into(), "-c".into(), join, "sh".into()]
    }

    /// How many processes the kernel has killed for the limit; none where it doesn't count them.
    pub fn kills(&self) -> Option<u64> {
        let files = ["memory.events", "memory.oom_control"];
        let texts = files.iter().filter_map(|file| fs::read_to_string(self.directory.join(file)).ok());
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be in it.
        for _ in 0..1000 {
            if fs::remove_dir(&self.directory).is_ok() || !self.directory.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
