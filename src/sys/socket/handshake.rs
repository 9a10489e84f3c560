//! Refusing new TCP handshakes, for a listener that drains.
//!
//! A client whose SYN is dropped retries after a second, at the next owner of the address. A close of the
//! listener would reset the connections in its queue instead.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::{AddressFamily, sockopt};

use super::option::set_option;

/// Instructions of classic BPF (linux/filter.h): load a byte, jump if bits are set, return.
const BPF_LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;

const BPF_JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;

const BPF_RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The largest value of a packet's TTL or hop limit (RFC 791 §3.1, RFC 8200 §3).
const ALL_HOPS: libc::c_int = 255;

/// Drops the SYN of new clients. Handshakes under way are completed, and their connections are reported
/// without waiting for data. After that a close of the listener resets no established connection.
///
/// # Errors
/// `EPERM` on newer kernels without CAP_NET_ADMIN; see setsockopt(2).
pub fn refuse_handshakes(listener: BorrowedFd<'_>) -> io::Result<()> {
    // A classic BPF program (socket(7) SO_ATTACH_FILTER) over the TCP header: drop a packet with the SYN
    // flag.
    let load_flags = libc::sock_filter { code: BPF_LOAD_BYTE, jt: 0, jf: 0, k: 13 };
    let if_syn = libc::sock_filter { code: BPF_JUMP_IF_SET, jt: 0, jf: 1, k: 0x02 };
    let drop = libc::sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: 0 };
    let pass = libc::sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: u32::MAX };
    let mut filter = [load_flags, if_syn, drop, pass];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    set_option(listener, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &0)
}

/// Does the same as [`refuse_handshakes`] without a capability: sets `IP_MINTTL` to 255, which drops
/// practically every SYN. The kernel does not check the packet that completes a handshake. Sockets that are
/// accepted later inherit the option and need [`let_in`].
///
/// # Errors
/// See setsockopt(2).
pub fn hold_off(listener: BorrowedFd<'_>) -> io::Result<()> {
    need_hops_left(listener, ALL_HOPS)?;
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &0)
}

/// Removes the option of [`hold_off`] from an accepted socket. Packets that arrived before are lost, and the
/// client's kernel sends them again.
pub fn let_in(client: BorrowedFd<'_>) {
    // It cannot fail for a socket that was accepted from such a listener.
    let _ = need_hops_left(client, 0);
}

/// Makes a socket drop packets with a lower TTL or hop limit (RFC 5082 §3).
fn need_hops_left(socket: BorrowedFd<'_>, hops: libc::c_int) -> io::Result<()> {
    if sockopt::socket_domain(socket)? == AddressFamily::INET6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &hops)?;
    }
    // An IPv6 socket may have IPv4 clients, to whose packets this option applies.
    set_option(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &hops)
}
