//! Which listeners of a `SO_REUSEPORT` group get new connections (socket(7) `SO_ATTACH_REUSEPORT_CBPF`).
//!
//! The kernel keeps the listeners of an address in the order of their listen(2), and asks a classic BPF
//! program for the index of the listener that gets a new connection.
//!
//! **Invariant:** when a listener is closed, the last one takes its index (net/core/sock_reuseport.c). The
//! caller must know in which order listeners were closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::socket::set_option;

/// Loads 32 random bits: an ancillary load (linux/filter.h `SKF_AD_RANDOM`).
const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const MODULO: u16 = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
const ADD: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K) as u16;
const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_A) as u16;

/// The longest program, in instructions (linux/bpf_common.h `BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// Spreads new connections evenly over the first `count` listeners of the group of `listener`, without those
/// at the indexes in `avoided`, which are in ascending order. Replaces an earlier choice.
///
/// # Errors
/// `EINVAL` if no listener remains, or if the listener is the only one at its address; see setsockopt(2).
pub fn choose(listener: BorrowedFd<'_>, count: usize, avoided: &[usize]) -> io::Result<()> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let left = count.saturating_sub(avoided.len());
    let instructions = 3 + 2 * avoided.len();
    if left == 0 || instructions > MAX_INSTRUCTIONS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let instruction = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut program = Vec::with_capacity(instructions);
    program.push(instruction(LOAD, 0, RANDOM));
    program.push(instruction(MODULO, 0, number(left)));
    for &index in avoided {
        // An index at or above an avoided one moves up by one.
        program.push(instruction(JUMP_IF_AT_LEAST, 1, number(index)));
        program.push(instruction(ADD, 0, 1));
    }
    program.push(instruction(RETURN, 0, 0));
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    set_option(listener, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Leaves the choice to the kernel again: it spreads new connections over all listeners of the group.
///
/// # Errors
/// See setsockopt(2). Without an earlier choice the call succeeds.
pub fn choose_any(listener: impl AsFd) -> io::Result<()> {
    match set_option(listener.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, &0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        // A listener that is the only one at its address is in no group.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use super::super::socket::{accept, listen_alone, listen_beside, local_address};
    use super::*;

    fn group(count: usize) -> (SocketAddr, Vec<OwnedFd>) {
        group_at("127.0.0.1:0", count)
    }

    fn group_at(address: &str, count: usize) -> (SocketAddr, Vec<OwnedFd>) {
        let first = listen_alone(address.parse().unwrap(), true, 64).unwrap();
        let address = local_address(&first).unwrap();
        let mut group = vec![first];
        while group.len() < count {
            group.push(listen_beside(address, true, 64).unwrap());
        }
        (address, group)
    }

    /// The number of 40 new connections that each listener gets.
    fn spread(address: SocketAddr, group: &[OwnedFd]) -> Vec<usize> {
        let mut counts = vec![0; group.len()];
        for _ in 0..40 {
            let mut client = TcpStream::connect(address).unwrap();
            io::Write::write_all(&mut client, b"x").unwrap();
            let start = Instant::now();
            // The listener reports a connection soon after its first data.
            'found: while start.elapsed() < Duration::from_secs(10) {
                for (index, listener) in group.iter().enumerate() {
                    if accept(listener.as_fd()).is_ok() {
                        counts[index] += 1;
                        break 'found;
                    }
                }
                std::thread::yield_now();
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), 40);
        counts
    }

    #[test]
    fn only_the_chosen_listeners_get_new_connections() {
        let (address, group) = group(4);
        choose(group[2].as_fd(), 4, &[0, 2]).unwrap();
        let counts = spread(address, &group);
        assert!(counts[0] == 0 && counts[2] == 0 && counts[1] > 0 && counts[3] > 0, "{counts:?}");
        choose(group[0].as_fd(), 2, &[0]).unwrap();
        assert_eq!(spread(address, &group), [0, 40, 0, 0]);
        choose_any(&group[0]).unwrap();
        choose_any(&group[0]).unwrap();
        assert!(spread(address, &group).iter().all(|count| *count > 0));
    }

    #[test]
    fn a_choice_among_listeners_of_both_families_is_for_clients_of_both() {
        let (address, group) = group_at("[::]:0", 3);
        choose(group[0].as_fd(), 3, &[0, 2]).unwrap();
        for host in ["127.0.0.1", "::1"] {
            let address = SocketAddr::new(host.parse().unwrap(), address.port());
            assert_eq!(spread(address, &group), [0, 40, 0], "{host}");
        }
    }

    #[test]
    fn the_last_listener_takes_the_index_of_a_closed_one() {
        let (address, mut group) = group(4);
        drop(group.remove(1));
        choose(group[0].as_fd(), 3, &[0, 2]).unwrap();
        assert_eq!(spread(address, &group), [0, 0, 40], "it was the last of four");
    }

    #[test]
    fn a_choice_of_no_listener_and_one_without_a_group_are_refused() {
        let (_, group) = group(2);
        assert!(choose(group[0].as_fd(), 2, &[0, 1]).is_err());
        let (_, alone) = self::group(1);
        assert!(choose(alone[0].as_fd(), 1, &[]).is_err());
        choose_any(&alone[0]).unwrap();
    }
}
