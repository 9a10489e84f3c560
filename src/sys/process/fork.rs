//! Starting processes.
//!
//! **Invariant:** a fork is sound only while the process has one thread, so the master never starts a second.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::process::Command;

use nix::unistd::ForkResult;
use rustix::process::{Pid, WaitOptions};

use super::current::exit_now;

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the child's process id.
    Parent(i32),
}

/// Makes a child process. Call it only while this process has a single thread.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`; see fork(2).
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the master has one thread, so no lock can be held by a thread that the child lacks.
    let forked = unsafe { nix::unistd::fork() };
    Ok(match forked? {
        ForkResult::Child => Fork::Child,
        ForkResult::Parent { child } => Fork::Parent(child.as_raw()),
    })
}

/// Which side of [`fork_to_background`] this is.
pub enum BackgroundFork {
    /// The new process.
    Child,
    /// The old one.
    Parent,
}

/// Makes a process in the background: in a session of its own, with /dev/null as its standard streams, and
/// not a child of this process. It does not lead the session, so no terminal that it opens controls it.
///
/// Call it only while this process has a single thread. The parent waits for the process between the two,
/// which ends at once.
///
/// # Errors
/// In the parent alone; see open(2) for /dev/null, setsid(2) and fork(2).
pub fn fork_to_background() -> io::Result<BackgroundFork> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    match fork()? {
        Fork::Parent(between) => {
            let code = exit_code(between)?;
            if code == 0 { Ok(BackgroundFork::Parent) } else { Err(io::Error::from_raw_os_error(code)) }
        }
        Fork::Child => match fork_again(&null) {
            Ok(Fork::Child) => Ok(BackgroundFork::Child),
            Ok(Fork::Parent(_)) => exit_now(0),
            // Error numbers fit into an exit code.
            Err(error) => exit_now(error.raw_os_error().unwrap_or(libc::EIO)),
        },
    }
}

fn fork_again(null: &std::fs::File) -> io::Result<Fork> {
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
            // CHLD is ignored by inheritance, so the kernel discards the exit code.
            Err(rustix::io::Errno::CHILD) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Starts a program with these arguments (the program first), one additional variable, and these descriptors
/// left open. Returns its process id.
///
/// # Errors
/// See fork(2) and execve(2).
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
