//! Facts about processes, from /proc: who the workers are, whether they live, what CPU time they took.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};

/// A process that can't be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    started: u64,
}

impl Process {
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Whether it still runs; a zombie doesn't.
    pub fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.has_ended())
    }

    pub fn signal(&self, signal: Signal) {
        assert!(self.lives(), "process {} is gone before it could be signalled", self.pid);
        kill_process(Pid::from_raw(self.pid as i32).unwrap(), signal).unwrap();
    }

    /// Stops it, and waits until each of its threads stands still.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        super::eventually("every thread has stopped", || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?.flatten();
            let mut states = threads.map(|thread| read_stat(&thread.path().join("stat")));
            states.all(|stat| stat.is_none_or(|stat| stat.state == 'T')).then_some(())
        });
    }

    /// The name that ps shows; None when it has gone.
    pub fn name(&self) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok().map(|name| name.trim_end().to_owned())
    }

    /// User and system time of all its threads. /proc counts in hundredths of a second on every Linux.
    pub fn cpu_time(&self) -> Duration {
        stat(self.pid).map_or(Duration::ZERO, |stat| Duration::from_millis(stat.ticks * 10))
    }

    /// The memory that is its own, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("RssAnon:").split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The user it runs as.
    pub fn user(&self) -> u32 {
        self.status("Uid:").split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn groups(&self) -> Vec<u32> {
        self.status("Groups:").split_whitespace().map(|group| group.parse().unwrap()).collect()
    }

    /// The CPUs it may run on, as the kernel lists them.
    pub fn cpus(&self) -> String {
        self.status("Cpus_allowed_list:")
    }

    /// Its threads' ids.
    pub fn threads(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap().flatten();
        tasks.map(|task| task.file_name().to_str().unwrap().parse().unwrap()).collect()
    }

    /// That of the test.
    pub fn own() -> Self {
        Self::of(std::process::id()).unwrap()
    }

    /// A line of a thread's status, without its name.
    pub fn thread_status(&self, thread: u32, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/task/{thread}/status", self.pid)).unwrap();
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    /// The first of its threads with this name.
    pub fn thread_named(&self, name: &str) -> u32 {
        self.threads().into_iter().find(|thread| self.thread_status(*thread, "Name:") == name).unwrap()
    }

    /// How often a thread has waited.
    pub fn waits_of(&self, thread: u32) -> u64 {
        self.thread_status(thread, "voluntary_ctxt_switches:").parse().unwrap()
    }

    /// The niceness of a thread.
    pub fn niceness_of(&self, thread: u32) -> i32 {
        let text = fs::read_to_string(format!("/proc/{}/task/{thread}/stat", self.pid)).unwrap();
        text[text.rfind(')').unwrap() + 2..].split(' ').nth(16).unwrap().parse().unwrap()
    }

    /// A line of /proc/PID/status, without its name.
    pub fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    /// How many descriptors it has open; None where this user may not look.
    pub fn descriptors(&self) -> Option<usize> {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).ok().map(Iterator::count)
    }

    /// The highest number of its open descriptors; None where that may not be seen.
    pub fn last_descriptor(&self) -> Option<usize> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).max()
    }

    /// True where this user may see what a process has open (/proc/PID/fd); otherwise false, with a plain
    /// word. For another user's process that takes CAP_SYS_PTRACE, which a container and a build of an image
    /// lack. To read the directory is not enough: root may do that without the right to follow its links.
    #[track_caller]
    pub fn shows_descriptors(&self, test: &str) -> bool {
        match fs::read_link(format!("/proc/{}/fd/0", self.pid)) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let why = "the descriptors of another user's process can't be seen here (CAP_SYS_PTRACE)";
                !super::skipped(test, why)
            }
            place => place.map(|_| true).unwrap(),
        }
    }

    /// Changes both limits on its descriptors, while it runs.
    pub fn set_descriptor_limit(&self, limit: u64) {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        prlimit(Pid::from_raw(self.pid as i32), Resource::Nofile, limit).unwrap();
    }

    /// Changes the soft limit on its descriptors, which may be raised again.
    pub fn set_soft_descriptor_limit(&self, limit: u64) {
        let (_, maximum) = self.descriptor_limit();
        let limit = Rlimit { current: Some(limit), maximum: Some(maximum) };
        prlimit(Pid::from_raw(self.pid as i32), Resource::Nofile, limit).unwrap();
    }

    /// Changes the limit on its address space, in bytes; none lifts it.
    pub fn set_address_space_limit(&self, limit: Option<u64>) {
        let limit = Rlimit { current: limit, maximum: None };
        prlimit(Pid::from_raw(self.pid as i32), Resource::As, limit).unwrap();
    }

    /// How much of its address space is in use, in bytes.
    pub fn address_space(&self) -> u64 {
        self.status("VmSize:").split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The soft and the hard limit on its descriptors.
    pub fn descriptor_limit(&self) -> (u64, u64) {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.pid)).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// Its children that live, oldest first.
    pub fn children(&self) -> Vec<Process> {
        let mut found: Vec<_> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid: u32| stat(pid).map(|stat| (pid, stat)))
            .filter(|(_, stat)| stat.parent == self.pid && !stat.has_ended())
            .map(|(pid, stat)| Process { pid, started: stat.started })
            .collect();
        found.sort_by_key(|process| (process.started, process.pid));
        found
    }
}

/// A master that is no child of the test's; it is killed when the test is over.
pub struct Stray(pub Process);

impl Drop for Stray {
    fn drop(&mut self) {
        let workers = self.0.children();
        if self.0.lives() {
            self.0.signal(Signal::KILL);
        }
        super::eventually("no process of the new program is left", || {
            (!self.0.lives() && !workers.iter().any(Process::lives)).then_some(())
        });
    }
}

/// Lets the test have so many descriptors; false, with a plain word, where it may not.
pub fn may_have_descriptors(test: &str, count: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|soft| soft < count) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if limit.maximum.is_some_and(|hard| hard < count) || setrlimit(Resource::Nofile, raised).is_err() {
            return !super::skipped(test, "too few descriptors");
        }
    }
    true
}

struct Stat {
    state: char,
    parent: u32,
    ticks: u64,
    threads: u64,
    started: u64,
}

impl Stat {
    /// A zombie has ended, but as long as it has other threads its parent isn't told so.
    fn has_ended(&self) -> bool {
        self.state == 'X' || (self.state == 'Z' && self.threads <= 1)
    }
}

fn stat(pid: u32) -> Option<Stat> {
    read_stat(format!("/proc/{pid}/stat").as_ref())
}

/// The name in parentheses may hold anything, so fields are counted from its last `)`.
fn read_stat(path: &Path) -> Option<Stat> {
    let text = fs::read_to_string(path).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: number(1)? as u32,
        ticks: number(11)? + number(12)?,
        threads: number(17)?,
        started: number(19)?,
    })
}
