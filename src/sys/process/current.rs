//! This process: its ids, name, CPU, standard error and end.

use std::ffi::CStr;
use std::io;

use rustix::process::Signal;

/// This process's id.
pub fn id() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The parent's process id; 0 if the parent is in another namespace.
pub fn parent() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// True if the effective user is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Names this process, at most 15 bytes, as ps(1) shows it.
pub fn set_name(name: &CStr) {
    // Without a name the process works as well.
    let _ = rustix::thread::set_name(name);
}

/// Binds this process to one of its allowed CPUs: the one at `index`, modulo their number. Returns the CPU.
///
/// # Errors
/// See sched_setaffinity(2).
pub fn pin_to_cpu(index: usize) -> io::Result<usize> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let Some(&cpu) = cpus.get(index % cpus.len().max(1)) else { return Err(io::ErrorKind::NotFound.into()) };
    let mut chosen = rustix::thread::CpuSet::new();
    chosen.set(cpu);
    rustix::thread::sched_setaffinity(None, &chosen)?;
    Ok(cpu)
}

/// Replaces standard error with /dev/null.
///
/// # Errors
/// See open(2).
pub fn mute_standard_error() -> io::Result<()> {
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stderr(null)?)
}

/// Switches off backtraces of the standard library (`RUST_BACKTRACE`). They need system calls that the
/// sandbox does not allow, so the log would name the wrong cause of death. Call it only while this process
/// has a single thread.
pub fn write_no_backtraces() {
    // SAFETY: no other thread reads or writes the environment.
    unsafe { std::env::set_var("RUST_BACKTRACE", "0") };
}

/// Makes the kernel kill this process when its parent ends. Returns false if the parent has ended already.
///
/// # Errors
/// See prctl(2).
pub fn die_with_parent(parent: i32) -> io::Result<bool> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent))
}

/// Ends the process at once, without destructors: the scheduler's threads still run and use the state.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes any code and does not return.
    unsafe { libc::_exit(code) }
}
