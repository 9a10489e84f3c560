//! Safe wrappers of the system calls that the rest needs: one family a file, and the only place with `unsafe`.
//!
//! Nothing here waits (but the few calls that say so), logs, or decides: callers get `io::Result` and choose.
#![allow(unsafe_code)] // The one layer that may; one operation a block, each with its reason.

pub mod activation;
pub mod epoll;
pub mod file;
pub mod inotify;
pub mod landlock;
pub mod limits;
pub mod link;
pub mod lock;
pub mod notify;
pub mod pidfd;
pub mod privileges;
pub mod process;
pub mod reuseport;
pub mod seccomp;
pub mod sendfile;
pub mod shm;
pub mod signal;
pub mod socket;
pub mod timer;
