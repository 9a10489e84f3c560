//! Which sockets of a SO_REUSEPORT group new connections come to (socket(7) `SO_ATTACH_REUSEPORT_CBPF`).
//!
//! The kernel keeps the listeners of an address in the order in which they began to listen, and asks a program of classic
//! BPF for the index of the one that a new connection is for. The subtle rule: when one of them is closed, the last one
//! takes its index (net/core/sock_reuseport.c), so that an index is worth only what is known of the closing order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::socket::set_option;

/// A random number of 32 bits into the accumulator: an ancillary load (linux/filter.h `SKF_AD_RANDOM`).
const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const MODULO: u16 = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
const ADD: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K) as u16;
const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_A) as u16;

/// Instructions that a program may have (linux/bpf_common.h `BPF_MAXINSNS`).
const MOST_INSTRUCTIONS: usize = 4096;

/// Has new connections come to the first `count` listeners of the group of `listener`, each as likely as the other, but to
/// none of `avoided`, which are indices in ascending order. It takes the place of an earlier choice.
///
/// # Errors
/// `EINVAL` where nobody is left or the listener is in no group (it stands alone), and what else setsockopt(2) says.
pub fn choose(listener: BorrowedFd<'_>, count: usize, avoided: &[usize]) -> io::Result<()> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let left = count.saturating_sub(avoided.len());
    let instructions = 3 + 2 * avoided.len();
    if left == 0 || instructions > MOST_INSTRUCTIONS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let instruction = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut program = Vec::with_capacity(instructions);
    program.push(instruction(LOAD, 0, RANDOM));
    program.push(instruction(MODULO, 0, number(left)));
    for &index in avoided {
        // What would fall on an avoided index, or behind it, moves up by one.
        program.push(instruction(JUMP_IF_AT_LEAST, 1, number(index)));
        program.push(instruction(ADD, 0, 1));
    }
    program.push(instruction(RETURN, 0, 0));
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    set_option(listener, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Leaves the choice to the kernel again, which spreads new connections over all listeners of the group.
///
/// # Errors
/// What setsockopt(2) says. That there was no other choice is no error.
pub fn choose_any(listener: impl AsFd) -> io::Result<()> {
    match set_option(listener.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, &0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        // A listener that stands alone has nothing to choose from.
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
        let first = listen_alone("127.0.0.1:0".parse().unwrap(), 64).unwrap();
        let address = local_address(&first).unwrap();
        let mut group = vec![first];
        while group.len() < count {
            group.push(listen_beside(address, 64).unwrap());
        }
        (address, group)
    }

    /// How many of 40 new connections come to each listener.
    fn spread(address: SocketAddr, group: &[OwnedFd]) -> Vec<usize> {
        let mut counts = vec![0; group.len()];
        for _ in 0..40 {
            let mut client = TcpStream::connect(address).unwrap();
            io::Write::write_all(&mut client, b"x").unwrap();
            let start = Instant::now();
            // Data that has been sent brings the connection in within moments.
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
    fn new_connections_come_to_the_chosen_listeners_alone() {
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
    fn the_last_listener_takes_the_index_of_a_closed_one() {
        let (address, mut group) = group(4);
        drop(group.remove(1));
        choose(group[0].as_fd(), 3, &[0, 2]).unwrap();
        assert_eq!(spread(address, &group), [0, 0, 40], "it was the last of four");
    }

    #[test]
    fn a_choice_of_nobody_and_one_beside_nobody_are_refused() {
        let (_, group) = group(2);
        assert!(choose(group[0].as_fd(), 2, &[0, 1]).is_err());
        let (_, alone) = self::group(1);
        assert!(choose(alone[0].as_fd(), 1, &[]).is_err());
        choose_any(&alone[0]).unwrap();
    }
}
