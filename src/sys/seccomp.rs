//! Filters of system calls (seccomp(2)): a process that makes any other call than those of its list is
//! killed.
//!
//! Owns how a list of [`super::allowed_calls`] becomes a program for the kernel, and its installation. The
//! crate `seccompiler` writes the instructions. It does not install them: it knows no
//! `SECCOMP_FILTER_FLAG_SPEC_ALLOW`.
//!
//! A program of the crate has one action for all calls that match. So each call that is answered with an
//! error has a program of its own, and the allowed calls have the last one. **Invariant:** they are joined to
//! one program, so that the kernel installs all of the filter or nothing.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::allowed_calls::{AllowedCalls, Arguments, Call};

/// The machine whose calls the lists have. A process may also make calls of another kind, such as 32-bit
/// ones, whose numbers mean other things; the program kills it for those.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<TargetArch> = Some(TargetArch::x86_64);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<TargetArch> = Some(TargetArch::aarch64);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<TargetArch> = None;

/// True if the kernel has filters that kill a process (Linux 4.14), and the lists have this machine's calls.
pub fn is_available() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    let at = &raw const action;
    // SAFETY: the operation reads one int from `at`, which outlives the call.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0u32, at) };
    known == 0 && ARCHITECTURE.is_some()
}

/// Limits all threads of this process to these system calls. Any other call kills the process with SIGSYS.
/// Needs `no_new_privs`.
///
/// # Errors
/// See seccomp(2); `Unsupported` on other machines than x86-64 and arm64.
pub fn allow(calls: AllowedCalls) -> io::Result<()> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    install(&program(calls, architecture, std::process::id()).map_err(io::Error::other)?)
}

/// Installs a program for all threads.
fn install(program: &BpfProgram) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    // Both types are the kernel's `struct sock_filter`; the call only reads it.
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SPEC_ALLOW: before Linux 5.16 a filter would otherwise slow all branches of the process, a defence
    // against untrusted code in it. Here there is none.
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let program = &raw const program;
    // SAFETY: `program` points to a program of `len` instructions, and both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, program) };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// The program for the process with this id.
fn program(calls: AllowedCalls, architecture: TargetArch, process: u32) -> Result<BpfProgram, BackendError> {
    let compile =
        |rules, otherwise, matched| SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into();
    let mut program = BpfProgram::new();
    let mut allowed = BTreeMap::new();
    for (call, error) in calls.answered() {
        let mut rules = BTreeMap::new();
        add(&mut rules, *call)?;
        let answer = SeccompAction::Errno(error.unsigned_abs());
        join(&mut program, compile(rules, SeccompAction::Allow, answer)?);
    }
    for call in calls.made() {
        add(&mut allowed, call)?;
    }
    // The process may signal itself, so that an abort is seen as one.
    let own = condition(0, SeccompCmpOp::Eq, process)?;
    allowed.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own])?]);
    let last: BpfProgram = compile(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?;
    program.extend(last);
    Ok(program)
}

/// Appends a part that decides some calls. The instructions after it decide the calls that it allows.
fn join(program: &mut BpfProgram, mut part: BpfProgram) {
    let allow = (libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let jump = libc::BPF_JMP | libc::BPF_JA;
    for (to_end, step) in (0..).zip(part.iter_mut().rev()) {
        if (u32::from(step.code), step.k) == allow {
            *step = sock_filter { code: jump as u16, jt: 0, jf: 0, k: to_end };
        }
    }
    program.append(&mut part);
}

/// Adds the rules for a call. A call without rules matches whatever its arguments are.
fn add(rules: &mut BTreeMap<i64, Vec<SeccompRule>>, (number, arguments): Call) -> Result<(), BackendError> {
    let rules = rules.entry(number).or_default();
    let mut rule = |conditions| {
        rules.push(SeccompRule::new(conditions)?);
        Ok::<(), BackendError>(())
    };
    match arguments {
        Arguments::Any => {}
        Arguments::NoneOf(index, bits) => {
            rule(vec![condition(index, SeccompCmpOp::MaskedEq(bits.into()), 0)?])?;
        }
        Arguments::OneOf(index, values) => {
            for value in values {
                rule(vec![condition(index, SeccompCmpOp::Eq, *value)?])?;
            }
        }
        Arguments::PairOf(first, second, pairs) => {
            for (one, other) in pairs {
                let one = condition(first, SeccompCmpOp::Eq, *one)?;
                rule(vec![one, condition(second, SeccompCmpOp::Eq, *other)?])?;
            }
        }
        Arguments::Null(index) => {
            rule(vec![SeccompCondition::new(index, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?])?;
        }
    }
    Ok(())
}

/// A condition on an argument of 32 bits.
fn condition(index: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value.into())
}

#[cfg(test)]
mod tests {
    use libc::c_long;

    use super::*;

    /// `AUDIT_ARCH_*` of this machine (linux/audit.h).
    #[cfg(target_arch = "x86_64")]
    const NATIVE: u32 = 0xc000_003e;
    #[cfg(not(target_arch = "x86_64"))]
    const NATIVE: u32 = 0xc000_00b7;

    fn program_of(calls: AllowedCalls) -> Option<BpfProgram> {
        ARCHITECTURE.map(|architecture| program(calls, architecture, 77).unwrap())
    }

    /// True if the process lives on.
    fn run(program: &BpfProgram, arch: u32, number: c_long, arguments: [u64; 6]) -> bool {
        action(program, arch, number, arguments) != libc::SECCOMP_RET_KILL_PROCESS
    }

    /// Runs a program as the kernel does, for the instructions that `seccompiler` writes.
    fn action(program: &BpfProgram, arch: u32, number: c_long, arguments: [u64; 6]) -> u32 {
        const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
        const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
        const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
        const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        let mut data = [number as u32, arch, 0, 0].map(u32::to_ne_bytes).concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                LOAD => {
                    let bytes = &data[step.k as usize..][..4];
                    value = u32::from_ne_bytes(bytes.try_into().unwrap());
                }
                AND => value &= step.k,
                JUMP => at += step.k as usize,
                JUMP_IF_EQUAL => at += usize::from(if value == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn a_call_is_allowed_by_its_number_its_arguments_and_its_architecture() {
        let Some(program) = program_of(AllowedCalls::Worker) else { return };
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
            (libc::SYS_ioctl, [3, u64::from(libc::FIONBIO as u32), 0, 0, 0, 0], false),
            (libc::SYS_ioctl, [3, u64::from(libc::TIOCSTI as u32), 0, 0, 0, 0], false),
            (libc::SYS_fcntl, [3, libc::F_GETFL as u64, 0, 0, 0, 0], true),
            (libc::SYS_fcntl, [3, libc::F_DUPFD_CLOEXEC as u64, 0, 0, 0, 0], true),
            (libc::SYS_fcntl, [3, libc::F_SETOWN as u64, 0, 0, 0, 0], false),
            (libc::SYS_pwritev2, [3, 0, 1, u64::MAX, 0, libc::RWF_NOWAIT as u64], true),
            (libc::SYS_pwritev2, [3, 0, 1, 0, 0, 0], false),
            (libc::SYS_pwritev2, [3, 0, 1, 0, 0, libc::RWF_NOWAIT as u64 | 0x20], false),
            (libc::SYS_fcntl, [3, libc::F_SETPIPE_SZ as u64, 0, 0, 0, 0], false),
            (libc::SYS_fcntl, [3, libc::F_SETFL as u64, 0, 0, 0, 0], false),
            (libc::SYS_fcntl, [3, libc::F_SETFL as u64, libc::O_RDWR as u64, 0, 0, 0], false),
            (libc::SYS_fcntl, [3, libc::F_SETFL as u64, libc::O_NONBLOCK as u64, 0, 0, 0], false),
            (libc::SYS_prlimit64, [0, 7, 0, 4096, 0, 0], true),
            (libc::SYS_prlimit64, [0, 7, high, 4096, 0, 0], false),
            (libc::SYS_prlimit64, [0, 7, 4096, 4096, 0, 0], false),
        ] {
            let found = run(&program, NATIVE, number, arguments);
            assert_eq!(found, allowed, "call {number} with {arguments:?}");
            assert!(!run(&program, NATIVE ^ 1, number, arguments), "call {number} of another architecture");
            // x32: the same machine, other structures.
            assert!(!run(&program, NATIVE, number | 0x4000_0000, arguments));
        }
    }

    #[test]
    fn options_are_allowed_by_level_and_name() {
        let Some(program) = program_of(AllowedCalls::Worker) else { return };
        let allowed = |level: i32, name: i32| {
            run(&program, NATIVE, libc::SYS_setsockopt, [3, level as u64, name as u64, 0, 4, 0])
        };
        let options = [
            (libc::IPPROTO_IP, libc::IP_MINTTL),
            (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
            (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
            (libc::SOL_SOCKET, libc::SO_LINGER),
        ];
        for (level, name) in options {
            assert!(allowed(level, name), "{level} {name}");
        }
        let levels = [libc::SOL_SOCKET, libc::IPPROTO_IP, libc::IPPROTO_IPV6, libc::IPPROTO_TCP, -1, 255];
        let all = levels.into_iter().flat_map(|level| (-1..300).map(move |name| (level, name)));
        assert_eq!(all.filter(|(level, name)| allowed(*level, *name)).count(), options.len());
    }

    #[test]
    fn calls_that_are_answered_are_not_made() {
        let Some(program) = program_of(AllowedCalls::Worker) else { return };
        let set = |flags: i32| {
            action(&program, NATIVE, libc::SYS_fcntl, [3, libc::F_SETFL as u64, flags as u64, 0, 0, 0])
        };
        assert_eq!(set(libc::O_RDWR | libc::O_NONBLOCK), libc::SECCOMP_RET_ERRNO, "with no error");
        assert_eq!(set(libc::O_WRONLY | libc::O_NONBLOCK), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(set(libc::O_RDWR | libc::O_NONBLOCK | libc::O_ASYNC), libc::SECCOMP_RET_KILL_PROCESS);
        let enlarge = action(&program, NATIVE, libc::SYS_mremap, [4096, 4096, 8192, 1, 0, 0]);
        assert_eq!(enlarge, libc::SECCOMP_RET_ERRNO | libc::ENOMEM as u32);
        let admin = program_of(AllowedCalls::Admin).unwrap();
        assert!(!run(&admin, NATIVE, libc::SYS_fcntl, [3, libc::F_SETFL as u64, 0x802, 0, 0, 0]));
    }

    #[test]
    fn the_admin_process_may_answer_and_neither_serve_files_nor_listen() {
        let Some(program) = program_of(AllowedCalls::Admin) else { return };
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
            assert_eq!(run(&program, NATIVE, number, arguments), allowed, "call {number} with {arguments:?}");
        }
    }
}
