//! Where a process runs: in which network, on which CPUs. It ends when the kit does.

use super::network::Network;

/// A network and CPUs in it.
#[derive(Clone, Copy)]
pub struct Placement<'a> {
    pub network: &'a Network,
    pub cpus: &'a [usize],
}

impl Placement<'_> {
    /// `words` with what brings them here in front. Each step becomes the next by exec, so that the process
    /// id of what is started is that of the command.
    pub fn command(&self, words: &[String]) -> Vec<String> {
        let mut all = self.network.entrance();
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        all.extend(["taskset".into(), "--cpu-list".into(), cpus.join(",")]);
        all.extend(["setpriv".into(), "--pdeathsig".into(), "TERM".into(), "--".into()]);
        all.extend_from_slice(words);
        all
    }
}

/// The CPUs of servers and of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub servers: Vec<usize>,
    pub clients: Vec<usize>,
}

impl Split {
    /// Gives each worker a CPU of its own and the clients the rest; where nothing is left for these, all
    /// share all.
    pub fn of(cpus: &[usize], workers: u16) -> Self {
        let (servers, clients) = cpus.split_at(usize::from(workers).min(cpus.len()));
        match clients {
            [] => Self { servers: cpus.to_vec(), clients: cpus.to_vec() },
            clients => Self { servers: servers.to_vec(), clients: clients.to_vec() },
        }
    }
}

/// The CPUs that this process may use.
pub fn cpus() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Has this thread, and what it starts, stay on `cpus`.
pub fn pin(cpus: &[usize]) {
    let mut set = rustix::thread::CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    // A kit that roams only adds noise.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}
