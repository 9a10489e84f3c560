//! Safe wrappers of system calls: one family a file, and the only place with `unsafe`.
//!
//! Nothing here logs or decides: callers get an `io::Result`. Calls on sockets do not wait. Calls on files
//! may wait for a disk. A few calls wait for a time, a child or a descriptor, and say so.
#![allow(
    unsafe_code,
    reason = "the only layer with unsafe code; one operation a block, each with its reason"
)]

pub mod activation;
pub mod allowed_calls;
pub mod epoll;
pub mod file;
pub mod filesystem;
pub mod inotify;
pub mod landlock;
pub mod limits;
pub mod link;
pub mod lock;
pub mod memory_file;
pub mod notify;
pub mod pidfd;
pub mod privileges;
pub mod process;
pub mod random;
pub mod reuseport;
pub mod seccomp;
pub mod secret_page;
pub mod sendfile;
pub mod shm;
pub mod signal;
pub mod socket;
pub mod stream;
pub mod terminal;
pub mod thread;
pub mod timer;
