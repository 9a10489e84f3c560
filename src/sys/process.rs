//! Processes: fork, wait, kill, identity, CPU affinity.
//!
//! Does not decide who lives. The subtle rule: `fork` is sound only while the process has one thread, so the master
//! never starts another.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{ForkResult, Gid, Group, Uid, User};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions};

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the child's process id.
    Parent(i32),
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => {
                write!(f, "signal {number}")?;
                let Ok(signal) = nix::sys::signal::Signal::try_from(*number) else { return Ok(()) };
                write!(f, ", {signal}")?;
                match signal {
                    nix::sys::signal::Signal::SIGSYS => {
                        f.write_str(": a system call that the sandbox does not allow")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Makes a child process. Call it only while this process has a single thread.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`, as fork(2) says.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the master has one thread, so no lock can be held by a thread that the child lacks.
    let forked = unsafe { nix::unistd::fork() };
    Ok(match forked? {
        ForkResult::Child => Fork::Child,
        ForkResult::Parent { child } => Fork::Parent(child.as_raw()),
    })
}

/// Makes a process that is nobody's child, in a session of its own and with /dev/null as its standard streams. It is not
/// the leader of that session, so that no terminal that it opens becomes its own. Call it only while this process has a
/// single thread; the parent waits for nothing but the process between the two.
///
/// # Errors
/// What open(2) says of /dev/null, and what setsid(2) and fork(2) say, all of it in the parent.
pub fn fork_away() -> io::Result<Away> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    match fork()? {
        Fork::Parent(between) => {
            let code = exit_code(between)?;
            if code == 0 { Ok(Away::Parent) } else { Err(io::Error::from_raw_os_error(code)) }
        }
        Fork::Child => match step_away(&null) {
            Ok(Fork::Child) => Ok(Away::Child),
            Ok(Fork::Parent(_)) => exit_now(0),
            // Numbers of errors fit into an exit code.
            Err(error) => exit_now(error.raw_os_error().unwrap_or(libc::EIO)),
        },
    }
}

/// Which side of [`fork_away`] this is.
pub enum Away {
    /// The new process.
    Child,
    /// The old one.
    Parent,
}

fn step_away(null: &std::fs::File) -> io::Result<Fork> {
    rustix::process::setsid()?;
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(null)?;
    rustix::stdio::dup2_stderr(null)?;
    fork()
}

/// Waits for the end of a child that ends at once.
fn exit_code(child: i32) -> io::Result<i32> {
    loop {
        match rustix::process::waitpid(Pid::from_raw(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status.exit_status().unwrap_or(libc::ECHILD)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // Whoever started this process has it ignore the ends of children: there is no code to be had.
            Err(rustix::io::Errno::CHILD) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends the process at once, without destructors: the scheduler's threads still run and must not meet torn-down state.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// Takes one ended child, if there is one.
pub fn reap() -> Option<(i32, Exit)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let exit = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => continue,
                };
                return Some((pid.as_raw_nonzero().get(), exit));
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return None,
            Err(_) => {}
        }
    }
}

/// Kills a child with SIGKILL; one that has gone already is no error.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Has the kernel kill this process when its parent dies; false when the parent had died before this call.
///
/// # Errors
/// What prctl(2) says.
pub fn die_with_parent(parent: i32) -> io::Result<bool> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent))
}

/// Kills a child with SIGKILL and waits until it is gone, which takes it no time of its own.
pub fn end(pid: i32) {
    kill(pid);
    if let Some(pid) = Pid::from_raw(pid) {
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(pid), WaitOptions::empty()) {}
    }
}

/// Names this process, at most 15 bytes, as ps(1) shows it.
pub fn set_name(name: &CStr) {
    // A name that is refused is no name, which harms nobody.
    let _ = rustix::thread::set_name(name);
}

/// Has whatever this process writes to standard error vanish from now on.
///
/// # Errors
/// What open(2) says of /dev/null.
pub fn mute_standard_error() -> io::Result<()> {
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stderr(null)?)
}

/// User and system time and resident memory in bytes of any process (proc(5)); `None` when it has gone, or where /proc
/// does not show it.
pub fn usage(pid: i32) -> Option<(Duration, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields are counted from its end, where the third begins.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1));
    Some((cpu, field(24)? * rustix::param::page_size() as u64))
}

/// This process's id.
pub fn id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The parent's process id; 0 when it is not to be seen from this namespace.
pub fn parent() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// Starts a program with these arguments (its own name first), one more variable, and these descriptors left open.
/// Returns its process id.
///
/// # Errors
/// What fork(2) and execve(2) say.
pub fn spawn(arguments: &[OsString], variable: (&str, &str), fds: &[BorrowedFd<'_>]) -> io::Result<i32> {
    let Some((program, rest)) = arguments.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    for fd in fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    }
    let spawned = Command::new(program).args(rest).env(variable.0, variable.1).spawn();
    for fd in fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    let id = spawned?.id();
    i32::try_from(id).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// True when the effective user is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A user and group to change to, looked up and ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    user: Uid,
    group: Gid,
    /// The name to read supplementary groups by; a number without an account has none.
    account: Option<CString>,
    /// The user's name, for messages.
    pub name: String,
}

/// Looks up `user` and `group`, each a name or a number; the group defaults to the user's own.
///
/// # Errors
/// A sentence part that says which name is unknown.
pub fn look_up(user: &str, group: Option<&str>) -> Result<Identity, String> {
    let by_name =
        found(User::from_name(user)).map_err(|why| format!("cannot look up user '{user}': {why}"))?;
    let account = match (by_name, user.parse()) {
        (Some(account), _) => Some(account),
        (None, Ok(number)) => User::from_uid(Uid::from_raw(number)).ok().flatten(),
        (None, Err(_)) => return Err(format!("there is no user '{user}'")),
    };
    let uid = match (&account, user.parse()) {
        (Some(account), _) => account.uid,
        (None, Ok(number)) => Uid::from_raw(number),
        (None, Err(_)) => return Err(format!("there is no user '{user}'")),
    };
    let gid = match group {
        Some(group) => look_up_group(group)?,
        // A bare number without an account gets the group of the same number, as Docker's users expect.
        None => account.as_ref().map_or(Gid::from_raw(uid.as_raw()), |account| account.gid),
    };
    let account = account.and_then(|account| CString::new(account.name).ok());
    Ok(Identity { user: uid, group: gid, account, name: user.to_owned() })
}

/// What a search for an account brought. Where there is no list of accounts, as in an image with nothing but this program,
/// it is not found; getpwnam(3) says so in any of these ways.
fn found<T>(search: nix::Result<Option<T>>) -> Result<Option<T>, &'static str> {
    use nix::errno::Errno;
    match search {
        Ok(account) => Ok(account),
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(error) => Err(error.desc()),
    }
}

fn look_up_group(group: &str) -> Result<Gid, String> {
    let by_name =
        found(Group::from_name(group)).map_err(|why| format!("cannot look up group '{group}': {why}"))?;
    match (by_name, group.parse()) {
        (Some(found), _) => Ok(found.gid),
        (None, Ok(number)) => Ok(Gid::from_raw(number)),
        (None, Err(_)) => Err(format!("there is no group '{group}'")),
    }
}

/// Becomes `identity` for good: supplementary groups, group, user, in the order that keeps the right to do the next.
///
/// # Errors
/// `EPERM` without the right to, and what else setuid(2) says.
pub fn become_identity(identity: &Identity) -> io::Result<()> {
    match &identity.account {
        Some(account) => nix::unistd::initgroups(account, identity.group)?,
        None => nix::unistd::setgroups(&[identity.group])?,
    }
    nix::unistd::setgid(identity.group)?;
    nix::unistd::setuid(identity.user)?;
    Ok(())
}

/// Binds this process to the `index`-th of the CPUs that it may use, counted round.
///
/// # Errors
/// What sched_setaffinity(2) says.
pub fn pin_to_cpu(index: usize) -> io::Result<usize> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let Some(&cpu) = cpus.get(index % cpus.len().max(1)) else { return Err(io::ErrorKind::NotFound.into()) };
    let mut chosen = rustix::thread::CpuSet::new();
    chosen.set(cpu);
    rustix::thread::sched_setaffinity(None, &chosen)?;
    Ok(cpu)
}

/// Waits until one of `fds` can be read or `timeout` has passed, and says which can be read. An interruption by a signal
/// counts as nothing readable.
///
/// # Errors
/// What poll(2) says.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polls: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout =
        timeout.map(|t| Timespec { tv_sec: t.as_secs().cast_signed(), tv_nsec: t.subsec_nanos().into() });
    match rustix::event::poll(&mut polls, timeout.as_ref()) {
        Ok(_) => Ok(polls.iter().map(|poll| !poll.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; fds.len()]),
        Err(error) => Err(error.into()),
    }
}
