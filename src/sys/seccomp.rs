//! The system calls that a serving worker makes, and those of the admin process, as filters that kill the process at any
//! other (seccomp(2)).
//!
//! Owns the two lists and their translation into classic BPF. Two subtle rules: what a process does before its filter
//! needs no place in the list, so nothing is in it that only a start needs; and what the list forgets is a dead process,
//! so a change that brings a new call brings it here too, with what the other C library uses for it.

use std::io;

use libc::{c_long, sock_filter};

/// `AUDIT_ARCH_*` of this machine's own calls (linux/audit.h). A process may make those of another kind, such as 32-bit
/// ones, whose numbers mean other things.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Offsets in `struct seccomp_data`: the call's number, the architecture, the arguments of 64 bits each.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What is asked of a call's arguments. Those of 32 bits are compared as such, for so the kernel reads them.
enum Arguments<'a> {
    Any,
    /// This one has none of these bits.
    Without(u32, u32),
    /// This one is among these.
    Among(u32, &'a [u32]),
    /// This one, of 64 bits, is null.
    Null(u32),
}

use Arguments::{Among, Any, Null, Without};

/// What a file may not be opened for: writing, and making one.
const NOT_TO_READ: u32 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND) as u32;
const EXECUTABLE: u32 = libc::PROT_EXEC as u32;

/// What a process does, and so what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A worker's: files to clients.
    Serving,
    /// The admin process's: pages made of memory and /proc, from a listener that listens already.
    Administering,
}

impl Work {
    fn calls(self) -> &'static [(c_long, Arguments<'static>)] {
        match self {
            Work::Serving => SERVING,
            Work::Administering => ADMINISTERING,
        }
    }
}

/// A worker's calls. Those of every request come first. The kernel remembers of those without arguments that they are allowed, from
/// Linux 5.11 on, and does not run the filter for them.
const SERVING: &[(c_long, Arguments<'_>)] = &[
    // A request.
    (libc::SYS_recvfrom, Any),
    (libc::SYS_sendto, Any),
    (libc::SYS_epoll_pwait, Any),
    (libc::SYS_sendmsg, Any),
    (libc::SYS_sendfile, Any),
    (libc::SYS_accept4, Any),
    (libc::SYS_close, Any),
    (libc::SYS_read, Any),
    (libc::SYS_write, Any),
    (libc::SYS_epoll_ctl, Any),
    (libc::SYS_futex, Any),
    // A connection's end, and the options of its socket.
    (libc::SYS_shutdown, Any),
    (libc::SYS_setsockopt, Any),
    (libc::SYS_getsockopt, Any),
    (libc::SYS_getsockname, Any),
    (libc::SYS_getpeername, Any),
    (libc::SYS_ioctl, Among(1, &[libc::TIOCOUTQ as u32, libc::FIONBIO as u32])),
    (libc::SYS_fcntl, Among(1, FCNTL)),
    // Files and directories. openat2(2) takes a structure that no filter can look into; Landlock does.
    (libc::SYS_openat2, Any),
    (libc::SYS_openat, Without(2, NOT_TO_READ)),
    (libc::SYS_fstat, Any),
    (libc::SYS_newfstatat, Any),
    (libc::SYS_statx, Any),
    (libc::SYS_pread64, Any),
    (libc::SYS_getdents64, Any),
    (libc::SYS_lseek, Any),
    // Watches on what is cached, and the way there. They report changes and give no access.
    (libc::SYS_inotify_add_watch, Any),
    (libc::SYS_inotify_rm_watch, Any),
    (libc::SYS_fstatfs, Any),
    (libc::SYS_readlinkat, Any),
    // The master's messages, and the descriptors of logs that it opened anew.
    (libc::SYS_recvmsg, Any),
    (libc::SYS_dup3, Any),
    // Logs: the wait for a pipe's reader, and the writes in pieces of other C libraries.
    (libc::SYS_ppoll, Any),
    (libc::SYS_writev, Any),
    // Time, where the vDSO does not tell it.
    (libc::SYS_clock_gettime, Any),
    (libc::SYS_gettimeofday, Any),
    (libc::SYS_clock_nanosleep, Any),
    (libc::SYS_nanosleep, Any),
    (libc::SYS_timerfd_settime, Any),
    // Memory: stacks of coroutines and their guard pages, the heap. None of it becomes code.
    (libc::SYS_mmap, Without(2, EXECUTABLE)),
    (libc::SYS_mprotect, Without(2, EXECUTABLE)),
    (libc::SYS_munmap, Any),
    (libc::SYS_mremap, Any),
    (libc::SYS_madvise, Any),
    (libc::SYS_brk, Any),
    // Threads that are still in their first steps when the filter comes, and what locks do.
    (libc::SYS_set_robust_list, Any),
    (libc::SYS_rseq, Any),
    (libc::SYS_sigaltstack, Any),
    (libc::SYS_sched_getaffinity, Any),
    (libc::SYS_sched_yield, Any),
    (libc::SYS_prctl, Among(0, &[libc::PR_SET_NAME as u32, PR_SET_VMA])),
    (libc::SYS_prlimit64, Null(2)),
    (libc::SYS_getrandom, Any),
    // Signals and the end.
    (libc::SYS_rt_sigreturn, Any),
    (libc::SYS_rt_sigprocmask, Any),
    (libc::SYS_rt_sigaction, Any),
    (libc::SYS_restart_syscall, Any),
    (libc::SYS_getpid, Any),
    (libc::SYS_gettid, Any),
    (libc::SYS_exit, Any),
    (libc::SYS_exit_group, Any),
];

/// The admin process's calls.
const ADMINISTERING: &[(c_long, Arguments<'_>)] = &[
    // A connection.
    (libc::SYS_accept4, Any),
    (libc::SYS_recvfrom, Any),
    (libc::SYS_sendto, Any),
    (libc::SYS_shutdown, Any),
    (libc::SYS_close, Any),
    (libc::SYS_ioctl, Among(1, &[libc::FIONBIO as u32])),
    // The scheduler.
    (libc::SYS_epoll_pwait, Any),
    (libc::SYS_epoll_ctl, Any),
    (libc::SYS_read, Any),
    (libc::SYS_write, Any),
    (libc::SYS_futex, Any),
    // What processes have taken, from /proc.
    (libc::SYS_openat, Without(2, NOT_TO_READ)),
    (libc::SYS_fstat, Any),
    (libc::SYS_newfstatat, Any),
    (libc::SYS_statx, Any),
    (libc::SYS_lseek, Any),
    (libc::SYS_readv, Any),
    // The master's messages, and the error log that it opened anew.
    (libc::SYS_ppoll, Any),
    (libc::SYS_recvmsg, Any),
    (libc::SYS_dup3, Any),
    (libc::SYS_fcntl, Among(1, FCNTL)),
    (libc::SYS_writev, Any),
    // Time, where the vDSO does not tell it.
    (libc::SYS_clock_gettime, Any),
    (libc::SYS_gettimeofday, Any),
    (libc::SYS_clock_nanosleep, Any),
    (libc::SYS_nanosleep, Any),
    // Memory: stacks of coroutines and their guard pages, the heap. None of it becomes code.
    (libc::SYS_mmap, Without(2, EXECUTABLE)),
    (libc::SYS_mprotect, Without(2, EXECUTABLE)),
    (libc::SYS_munmap, Any),
    (libc::SYS_mremap, Any),
    (libc::SYS_madvise, Any),
    (libc::SYS_brk, Any),
    // Threads that are still in their first steps when the filter comes, and what locks do.
    (libc::SYS_set_robust_list, Any),
    (libc::SYS_rseq, Any),
    (libc::SYS_sigaltstack, Any),
    (libc::SYS_sched_getaffinity, Any),
    (libc::SYS_sched_yield, Any),
    (libc::SYS_prctl, Among(0, &[libc::PR_SET_NAME as u32, PR_SET_VMA])),
    (libc::SYS_prlimit64, Null(2)),
    (libc::SYS_getrandom, Any),
    // Signals and the end.
    (libc::SYS_rt_sigreturn, Any),
    (libc::SYS_rt_sigprocmask, Any),
    (libc::SYS_rt_sigaction, Any),
    (libc::SYS_restart_syscall, Any),
    (libc::SYS_getpid, Any),
    (libc::SYS_gettid, Any),
    (libc::SYS_exit, Any),
    (libc::SYS_exit_group, Any),
];

/// Older forms of these calls, which newer machines never had.
#[cfg(target_arch = "x86_64")]
const HERE: &[(c_long, Arguments<'_>)] =
    &[(libc::SYS_epoll_wait, Any), (libc::SYS_poll, Any), (libc::SYS_open, Without(1, NOT_TO_READ))];
#[cfg(not(target_arch = "x86_64"))]
const HERE: &[(c_long, Arguments<'_>)] = &[];

const FCNTL: &[u32] = &[
    libc::F_GETFD as u32,
    libc::F_SETFD as u32,
    libc::F_GETFL as u32,
    libc::F_SETFL as u32,
    libc::F_DUPFD_CLOEXEC as u32,
];

/// Names of memory maps for /proc, which C libraries set where they were built to.
const PR_SET_VMA: u32 = 0x5356_4d41;

/// True when the kernel has filters that kill a process (Linux 4.14), and this machine's calls are known here.
pub fn is_available() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    let at = &raw const action;
    // SAFETY: the operation reads one int from `at`, which outlives the call.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0u32, at) };
    known == 0 && ARCHITECTURE.is_some()
}

/// Allows all threads of this process from now on the system calls of its work, and has any other kill it by SIGSYS.
/// Needs `no_new_privs`.
///
/// # Errors
/// What seccomp(2) says, and `Unsupported` on a machine whose calls are not known here.
pub fn allow(work: Work) -> io::Result<()> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    let mut filter = filter(work, architecture, std::process::id());
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // Kernels before 5.16 would slow all branches of a filtered process for the sake of code that it can't trust;
    // none of ours runs any.
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let program = &raw const program;
    // SAFETY: `program` points to a program of `len` instructions, and both outlive the call.
    let set = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, program) };
    match set {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// The list as a program: the architecture, then for each call a jump over what is to be done with it. The process may
/// signal itself, so that an abort is seen as one.
fn filter(work: Work, architecture: u32, process: u32) -> Vec<sock_filter> {
    let abort = (libc::SYS_tgkill, Among(0, &[process]));
    // A number of 32 bits is compared, so it is killed with the rest when it is no call of this architecture's.
    let mut program = vec![load(ARCH), jump_if_equal(architecture, 1, 0), KILL, load(NUMBER)];
    for (number, arguments) in work.calls().iter().chain(HERE).chain([&abort]) {
        let verdict = verdict(arguments);
        program.push(jump_if_equal(*number as u32, 0, verdict.len() as u8));
        program.extend(verdict);
    }
    program.push(KILL);
    program
}

/// What becomes of a call, once it is known which it is. Every way through it ends.
fn verdict(arguments: &Arguments<'_>) -> Vec<sock_filter> {
    match *arguments {
        Any => vec![ALLOW],
        Without(index, bits) => vec![load(low(index)), jump_if_set(bits, 0, 1), KILL, ALLOW],
        Among(index, values) => {
            let mut program = vec![load(low(index))];
            let jumps = values.iter().zip((1..=values.len() as u8).rev());
            program.extend(jumps.map(|(value, over)| jump_if_equal(*value, over, 0)));
            program.extend([KILL, ALLOW]);
            program
        }
        Null(index) => {
            let (low, high) = (load(low(index)), load(low(index) + 4));
            vec![low, jump_if_equal(0, 0, 2), high, jump_if_equal(0, 1, 0), KILL, ALLOW]
        }
    }
}

/// Where the low half of an argument lies; both machines are little-endian.
const fn low(index: u32) -> u32 {
    ARGUMENTS + 8 * index
}

const ALLOW: sock_filter = instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0);
const KILL: sock_filter = instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS, 0, 0);

const fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

const fn jump_if_equal(value: u32, so: u8, not: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, so, not)
}

const fn jump_if_set(bits: u32, so: u8, not: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, so, not)
}

const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would, for the instructions that it has.
    fn run(program: &[sock_filter], arch: u32, number: c_long, arguments: [u64; 6]) -> bool {
        let mut data = [number as u32, arch, 0, 0].map(u32::to_ne_bytes).concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            let jump = |so: bool| usize::from(if so { step.jt } else { step.jf });
            match step {
                step if step.code == load(0).code => {
                    let bytes = &data[step.k as usize..][..4];
                    value = u32::from_ne_bytes(bytes.try_into().unwrap());
                }
                step if step.code == jump_if_equal(0, 0, 0).code => at += jump(value == step.k),
                step if step.code == jump_if_set(0, 0, 0).code => at += jump(value & step.k != 0),
                step => {
                    assert_eq!(step.code, ALLOW.code);
                    return step.k == libc::SECCOMP_RET_ALLOW;
                }
            }
        }
    }

    #[test]
    fn a_call_is_allowed_by_its_number_its_arguments_and_its_architecture() {
        let Some(native) = ARCHITECTURE else { return };
        let program = filter(Work::Serving, native, 77);
        let high = 1 << 32;
        for (number, arguments, allowed) in [
            (libc::SYS_recvfrom, [9; 6], true),
            (libc::SYS_exit_group, [0; 6], true),
            (libc::SYS_execve, [0; 6], false),
            (libc::SYS_socket, [2, 1, 0, 0, 0, 0], false),
            (libc::SYS_clone, [0; 6], false),
            (libc::SYS_clone3, [0; 6], false),
            (libc::SYS_ptrace, [0; 6], false),
            (libc::SYS_kill, [0; 6], false),
            (libc::SYS_tgkill, [77, 78, 6, 0, 0, 0], true),
            (libc::SYS_tgkill, [76, 76, 6, 0, 0, 0], false),
            (libc::SYS_mmap, [0, 4096, 3, 0x22, 0, 0], true),
            (libc::SYS_mmap, [0, 4096, 7, 0x22, 0, 0], false),
            (libc::SYS_mprotect, [0, 4096, 0, 0, 0, 0], true),
            (libc::SYS_mprotect, [0, 4096, 5, 0, 0, 0], false),
            (libc::SYS_openat, [3, 0, libc::O_PATH as u64, 0, 0, 0], true),
            (libc::SYS_openat, [3, 0, libc::O_RDWR as u64, 0, 0, 0], false),
            (libc::SYS_openat, [3, 0, libc::O_CREAT as u64, 0, 0, 0], false),
            (libc::SYS_ioctl, [3, u64::from(libc::TIOCOUTQ as u32), 0, 0, 0, 0], true),
            (libc::SYS_ioctl, [3, u64::from(libc::FIONBIO as u32), 0, 0, 0, 0], true),
            (libc::SYS_ioctl, [3, u64::from(libc::TIOCSTI as u32), 0, 0, 0, 0], false),
            (libc::SYS_fcntl, [3, libc::F_GETFL as u64, 0, 0, 0, 0], true),
            (libc::SYS_fcntl, [3, libc::F_DUPFD_CLOEXEC as u64, 0, 0, 0, 0], true),
            (libc::SYS_fcntl, [3, libc::F_SETOWN as u64, 0, 0, 0, 0], false),
            (libc::SYS_prlimit64, [0, 7, 0, 4096, 0, 0], true),
            (libc::SYS_prlimit64, [0, 7, high, 4096, 0, 0], false),
            (libc::SYS_prlimit64, [0, 7, 4096, 4096, 0, 0], false),
        ] {
            let found = run(&program, native, number, arguments);
            assert_eq!(found, allowed, "call {number} with {arguments:?}");
            assert!(!run(&program, native ^ 1, number, arguments), "call {number} of another architecture");
            // x32: the same machine, other structures.
            assert!(!run(&program, native, number | 0x4000_0000, arguments));
        }
    }

    #[test]
    fn the_admin_process_may_answer_and_neither_serve_files_nor_listen_anew() {
        let Some(native) = ARCHITECTURE else { return };
        let program = filter(Work::Administering, native, 77);
        for (number, arguments, allowed) in [
            (libc::SYS_accept4, [3, 0, 0, 0, 0, 0], true),
            (libc::SYS_openat, [3, 0, 0, 0, 0, 0], true),
            (libc::SYS_openat, [3, 0, libc::O_WRONLY as u64, 0, 0, 0], false),
            (libc::SYS_openat2, [0; 6], false),
            (libc::SYS_getdents64, [0; 6], false),
            (libc::SYS_sendfile, [0; 6], false),
            (libc::SYS_sendmsg, [0; 6], false),
            (libc::SYS_socket, [2, 1, 0, 0, 0, 0], false),
            (libc::SYS_bind, [0; 6], false),
            (libc::SYS_listen, [0; 6], false),
            (libc::SYS_connect, [0; 6], false),
            (libc::SYS_setsockopt, [0; 6], false),
            (libc::SYS_clone, [0; 6], false),
            (libc::SYS_execve, [0; 6], false),
            (libc::SYS_kill, [0; 6], false),
            (libc::SYS_capset, [0; 6], false),
        ] {
            assert_eq!(run(&program, native, number, arguments), allowed, "call {number} with {arguments:?}");
        }
    }

    #[test]
    fn every_call_is_listed_once() {
        for work in [Work::Serving, Work::Administering] {
            let mut numbers: Vec<_> = work.calls().iter().chain(HERE).map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            let all = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{work:?}");
        }
    }
}
