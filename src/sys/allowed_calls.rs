//! The system calls that a worker makes and those of the admin process: what the sandbox allows.
//!
//! Owns the lists alone; [`super::seccomp`] makes filters of them. A list holds what a process calls after
//! its filter is installed, so a call that only the start needs is in neither.
//!
//! **Invariant:** a call that a list lacks kills the process. A change that brings a new call adds it here,
//! with the call that the other C library (glibc or musl) makes in its place.

use libc::c_long;

/// What the arguments of a call must be. Arguments of 32 bits are compared as such, because the kernel reads
/// no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arguments {
    Any,
    /// The argument at this index has none of these bits.
    NoneOf(u8, u32),
    /// The argument at this index is one of these.
    OneOf(u8, &'static [u32]),
    /// The arguments at these indexes are one of these pairs.
    PairOf(u8, u8, &'static [(u32, u32)]),
    /// The argument at this index, of 64 bits, is null.
    Null(u8),
}

use Arguments::{Any, NoneOf, Null, OneOf, PairOf};

/// A call's number and the arguments that are allowed.
pub(super) type Call = (c_long, Arguments);

/// A call that is not made: the caller gets this error, or success for 0.
pub(super) type AnsweredCall = (Call, i32);

/// A kind of process, by the system calls that it may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedCalls {
    /// A worker sends files to clients.
    Worker,
    /// The admin process renders pages from memory and /proc, for clients of a listener that it already has.
    Admin,
}

impl AllowedCalls {
    /// The calls that are made.
    pub(super) fn made(self) -> impl Iterator<Item = Call> {
        let calls = match self {
            AllowedCalls::Worker => WORKER,
            AllowedCalls::Admin => ADMIN,
        };
        calls.iter().chain(OLDER).copied()
    }

    /// The calls that are answered without being made.
    pub(super) fn answered(self) -> &'static [AnsweredCall] {
        match self {
            AllowedCalls::Worker => WORKER_ANSWERED,
            AllowedCalls::Admin => &[],
        }
    }
}

/// Open flags that write to a file or create it.
const NOT_TO_READ: u32 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND) as u32;
const EXECUTABLE: u32 = libc::PROT_EXEC as u32;

/// A worker's calls. From Linux 5.11 on the kernel caches which calls are allowed whatever their arguments
/// are, and does not run the filter for them.
const WORKER: &[Call] = &[
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
    // The end of a connection, and the options of its socket.
    (libc::SYS_shutdown, Any),
    (libc::SYS_setsockopt, PairOf(1, 2, OPTIONS)),
    (libc::SYS_getsockopt, Any),
    (libc::SYS_getsockname, Any),
    (libc::SYS_getpeername, Any),
    (libc::SYS_ioctl, OneOf(1, &[libc::TIOCOUTQ as u32])),
    (libc::SYS_fcntl, OneOf(1, FCNTL)),
    // Files and directories. openat2(2) takes a structure, which a filter cannot read; Landlock checks the
    // open.
    (libc::SYS_openat2, Any),
    (libc::SYS_openat, NoneOf(2, NOT_TO_READ)),
    (libc::SYS_fstat, Any),
    (libc::SYS_newfstatat, Any),
    (libc::SYS_statx, Any),
    (libc::SYS_pread64, Any),
    (libc::SYS_preadv2, Any),
    (libc::SYS_fadvise64, Any),
    (libc::SYS_getdents64, Any),
    (libc::SYS_lseek, Any),
    // Watches on cached files and on the directories above them. They report changes and give no access.
    (libc::SYS_inotify_add_watch, Any),
    (libc::SYS_inotify_rm_watch, Any),
    (libc::SYS_fstatfs, Any),
    (libc::SYS_readlinkat, Any),
    // The master's messages, and the descriptors of reopened logs.
    (libc::SYS_recvmsg, Any),
    (libc::SYS_dup3, Any),
    // Logs: the wait for a pipe's reader, the write that does not wait, and the writev(2) of musl.
    (libc::SYS_ppoll, Any),
    (libc::SYS_pwritev2, OneOf(5, NOWAIT)),
    (libc::SYS_writev, Any),
    // Time, on machines whose vDSO lacks it.
    (libc::SYS_clock_gettime, Any),
    (libc::SYS_gettimeofday, Any),
    (libc::SYS_clock_nanosleep, Any),
    (libc::SYS_nanosleep, Any),
    (libc::SYS_timerfd_settime, Any),
    // Memory: coroutine stacks, their guard pages, the heap. None of it may become code.
    (libc::SYS_mmap, NoneOf(2, EXECUTABLE)),
    (libc::SYS_mprotect, NoneOf(2, EXECUTABLE)),
    (libc::SYS_munmap, Any),
    (libc::SYS_madvise, Any),
    (libc::SYS_brk, Any),
    // Threads that are still starting when the filter is installed, and locks.
    (libc::SYS_set_robust_list, Any),
    (libc::SYS_rseq, Any),
    (libc::SYS_sigaltstack, Any),
    (libc::SYS_sched_getaffinity, Any),
    (libc::SYS_sched_yield, Any),
    (libc::SYS_prctl, OneOf(0, &[libc::PR_SET_NAME as u32, PR_SET_VMA])),
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
const ADMIN: &[Call] = &[
    // A connection.
    (libc::SYS_accept4, Any),
    (libc::SYS_recvfrom, Any),
    (libc::SYS_sendto, Any),
    (libc::SYS_getsockname, Any),
    (libc::SYS_shutdown, Any),
    (libc::SYS_close, Any),
    (libc::SYS_ioctl, OneOf(1, &[libc::FIONBIO as u32])),
    // The scheduler.
    (libc::SYS_epoll_pwait, Any),
    (libc::SYS_epoll_ctl, Any),
    (libc::SYS_read, Any),
    (libc::SYS_write, Any),
    (libc::SYS_futex, Any),
    // CPU time and memory of processes, from /proc.
    (libc::SYS_openat, NoneOf(2, NOT_TO_READ)),
    (libc::SYS_fstat, Any),
    (libc::SYS_newfstatat, Any),
    (libc::SYS_statx, Any),
    (libc::SYS_lseek, Any),
    (libc::SYS_readv, Any),
    // The master's messages, and the descriptor of a reopened error log.
    (libc::SYS_ppoll, Any),
    (libc::SYS_recvmsg, Any),
    (libc::SYS_dup3, Any),
    (libc::SYS_fcntl, OneOf(1, FCNTL)),
    (libc::SYS_pwritev2, OneOf(5, NOWAIT)),
    (libc::SYS_writev, Any),
    // Time, on machines whose vDSO lacks it.
    (libc::SYS_clock_gettime, Any),
    (libc::SYS_gettimeofday, Any),
    (libc::SYS_clock_nanosleep, Any),
    (libc::SYS_nanosleep, Any),
    // Memory: coroutine stacks, their guard pages, the heap. None of it may become code.
    (libc::SYS_mmap, NoneOf(2, EXECUTABLE)),
    (libc::SYS_mprotect, NoneOf(2, EXECUTABLE)),
    (libc::SYS_munmap, Any),
    (libc::SYS_mremap, Any),
    (libc::SYS_madvise, Any),
    (libc::SYS_brk, Any),
    // Threads that are still starting when the filter is installed, and locks.
    (libc::SYS_set_robust_list, Any),
    (libc::SYS_rseq, Any),
    (libc::SYS_sigaltstack, Any),
    (libc::SYS_sched_getaffinity, Any),
    (libc::SYS_sched_yield, Any),
    (libc::SYS_prctl, OneOf(0, &[libc::PR_SET_NAME as u32, PR_SET_VMA])),
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

/// Older forms of these calls, which exist on x86-64 alone.
#[cfg(target_arch = "x86_64")]
const OLDER: &[Call] =
    &[(libc::SYS_epoll_wait, Any), (libc::SYS_poll, Any), (libc::SYS_open, NoneOf(1, NOT_TO_READ))];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[Call] = &[];

/// A worker's calls that are answered without being made.
const WORKER_ANSWERED: &[AnsweredCall] = &[
    // It could make a shared map longer, over the counts of other workers. Allocators copy where it fails.
    ((libc::SYS_mremap, Any), libc::ENOMEM),
    // may sets these flags on each socket that it comes to watch. Accepted sockets have them already.
    ((libc::SYS_fcntl, PairOf(1, 2, &[(libc::F_SETFL as u32, CLIENT_FLAGS)])), 0),
];

/// The flags of an accepted socket.
const CLIENT_FLAGS: u32 = (libc::O_RDWR | libc::O_NONBLOCK) as u32;

/// The only flag of pwritev2(2) that logs need. `RWF_NOAPPEND`, for example, would write into the middle of a
/// log.
const NOWAIT: &[u32] = &[libc::RWF_NOWAIT as u32];

/// Commands of fcntl(2) that change nothing but this process's table of descriptors. `F_SETFL` changes a
/// description that other processes share: without `O_APPEND` a worker could write into the middle of a log,
/// and without `O_NONBLOCK` an accept by another process would block.
const FCNTL: &[u32] =
    &[libc::F_GETFD as u32, libc::F_SETFD as u32, libc::F_GETFL as u32, libc::F_DUPFD_CLOEXEC as u32];

/// Socket options that a worker sets, by level and name: for a drain, and to reset a connection.
const OPTIONS: &[(u32, u32)] = &[
    (libc::IPPROTO_IP as u32, libc::IP_MINTTL as u32),
    (libc::IPPROTO_IPV6 as u32, libc::IPV6_MINHOPCOUNT as u32),
    (libc::IPPROTO_TCP as u32, libc::TCP_DEFER_ACCEPT as u32),
    (libc::SOL_SOCKET as u32, libc::SO_LINGER as u32),
];

/// The option of prctl(2) that names a memory map for /proc. Some C libraries set it.
const PR_SET_VMA: u32 = 0x5356_4d41;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_listed_once() {
        for allowed in [AllowedCalls::Worker, AllowedCalls::Admin] {
            let mut numbers: Vec<_> = allowed.made().map(|(number, _)| number).collect();
            numbers.sort_unstable();
            let all = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{allowed:?}");
        }
    }

    #[test]
    fn a_limited_argument_has_a_value() {
        // A call without rules is allowed with any arguments.
        let is_empty = |arguments: Arguments| match arguments {
            OneOf(_, values) => values.is_empty(),
            PairOf(_, _, pairs) => pairs.is_empty(),
            Any | NoneOf(..) | Null(_) => false,
        };
        for allowed in [AllowedCalls::Worker, AllowedCalls::Admin] {
            let answered = allowed.answered().iter().map(|(call, _)| *call);
            let mut calls = allowed.made().chain(answered);
            assert!(calls.all(|(_, arguments)| !is_empty(arguments)), "{allowed:?}");
        }
    }

    #[test]
    fn a_call_that_is_also_answered_is_made_with_other_arguments_alone() {
        let fixed = |arguments: &Arguments| !matches!(arguments, Any);
        for ((number, answered), _) in AllowedCalls::Worker.answered() {
            if let Some((_, made)) = AllowedCalls::Worker.made().find(|(made, _)| made == number) {
                assert!(fixed(&made) && fixed(answered), "call {number}");
            }
        }
    }
}
