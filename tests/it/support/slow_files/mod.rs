//! A slow disk: a file system of this process's own (FUSE) that shows a directory read-only, and whose every
//! operation can be delayed, held and counted.
//!
//! A fresh mount has nothing in memory. What was asked once the kernel keeps for an hour, unless told
//! otherwise.
//!
//! Threads of this process serve it, so this process itself must not touch the mount while it is held: it
//! would wait for itself. When the value is dropped, all that still waits fails, and the mount is gone.

mod mirror;
mod waiting;
mod wire;

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::pipe::{PipeFlags, pipe_with};

use mirror::Mirror;
use waiting::Waiting;
pub use wire::Operation;
use wire::{LONGEST_REQUEST, MAX_READ, Request, reply};

/// Where the kernel is asked for a file system's requests.
const DEVICE: &str = "/dev/fuse";

/// What the kernel may keep in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Names, attributes and data, for an hour; each open of a file asks once more.
    #[default]
    All,
    /// The same, and no open of a file asks: what is known can be opened without the disk.
    AllButOpens,
    /// The same as `All`, and each close of a file asks as well.
    AllButCloses,
    /// Nothing.
    Nothing,
}

/// A mounted slow disk.
pub struct SlowFiles {
    path: PathBuf,
    waiting: Arc<Waiting>,
    /// The thread that reads requests ends when this is closed.
    stop: Option<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
}

/// Why a slow disk can't be had here; None where it can.
pub fn unavailable() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a file system of its own needs root".into());
    }
    // Root of a container may be without the right to mount, or have no use of the device.
    static TRIED: OnceLock<Option<String>> = OnceLock::new();
    TRIED
        .get_or_init(|| {
            let path = std::env::temp_dir().join(format!("slow-files-{}", std::process::id()));
            fs::create_dir_all(&path).ok()?;
            let why = SlowFiles::mount(&path, &path, Caching::All, Duration::ZERO).err();
            let _ = fs::remove_dir(path);
            why
        })
        .clone()
}

impl SlowFiles {
    /// Mounts what is below `directory` at `path`, an empty directory, for all users.
    ///
    /// # Errors
    /// Where the device can't be opened, or mount(2) fails.
    pub fn mount(directory: &Path, path: &Path, caching: Caching, delay: Duration) -> Result<Self, String> {
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        let directory = fs::canonicalize(directory).map_err(failed(directory))?;
        let flags = OFlags::NONBLOCK.bits() as i32;
        let device = File::options().read(true).write(true).custom_flags(flags).open(DEVICE);
        let device = device.map_err(failed(DEVICE.as_ref()))?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read={MAX_READ}",
            device.as_raw_fd()
        );
        let options = CString::new(options).map_err(|error| error.to_string())?;
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount("slow", path, "fuse.slow", flags, options.as_c_str())
            .map_err(|error| failed(path)(error.into()))?;
        // From here on the value unmounts it, whatever fails.
        let waiting = Arc::new(Waiting::to(device, delay));
        let mut files = Self { path: path.to_owned(), waiting, stop: None, threads: Vec::new() };
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(path)(error.into()))?;
        files.stop = Some(stop);
        let mirror = Mirror::of(directory, caching);
        let (reader, deliverer) = (Arc::clone(&files.waiting), Arc::clone(&files.waiting));
        files.threads.push(std::thread::spawn(move || serve(&reader, mirror, &stopped)));
        files.threads.push(std::thread::spawn(move || deliverer.deliver()));
        Ok(files)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has each operation take so long from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.waiting.set_delay(delay);
    }

    /// Has all operations wait until they are released.
    pub fn hold(&self) {
        self.waiting.hold(None);
    }

    /// Has the operations of one kind wait until they are released.
    pub fn hold_only(&self, operation: Operation) {
        self.waiting.hold(Some(operation));
    }

    /// Lets all go on that waits.
    pub fn release(&self) {
        self.waiting.release();
    }

    /// How many operations wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// The most operations that have waited at once.
    pub fn most_waiting(&self) -> usize {
        self.waiting.most()
    }

    /// How often an operation was asked for since the mount.
    pub fn count(&self, operation: Operation) -> usize {
        self.waiting.asked(operation, None)
    }

    /// How often an operation was asked for of one file, by its path below the mount.
    pub fn count_of(&self, operation: Operation, path: impl AsRef<Path>) -> usize {
        self.waiting.asked(operation, Some(path.as_ref()))
    }
}

impl Drop for SlowFiles {
    fn drop(&mut self) {
        self.waiting.end();
        // Lazily: open files of others must not keep it.
        let _ = unmount(&self.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        self.stop = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // The device is closed behind this, by which the kernel fails all that is still asked.
    }
}

/// Answers requests until the other end of `stopped` is closed, or the file system is gone.
fn serve(waiting: &Waiting, mut mirror: Mirror, stopped: &OwnedFd) {
    let mut buffer = vec![0; LONGEST_REQUEST];
    loop {
        let device = waiting.device();
        let mut both =
            [PollFd::new(device, PollFlags::IN), PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) if !both[1].revents().is_empty() => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let count = match { device }.read(&mut buffer) {
            Ok(count) => count,
            // ENOENT: the one who asked has gone meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => return,
        };
        let Some(request) = Request::parse(&buffer[..count]) else { continue };
        let path = mirror.subject(&request);
        let Some(result) = mirror.answer(&request) else { continue };
        // An open or close that is not implemented is none: the kernel asks once and never again.
        let quick = request.number == wire::number::INIT || matches!(result, Err(number) if number == NOSYS);
        let reply = reply(request.unique, result);
        match Operation::of(request.number) {
            Some(operation) if !quick => waiting.take(operation, path, reply),
            _ => waiting.send(&reply),
        }
    }
}

const NOSYS: i32 = rustix::io::Errno::NOSYS.raw_os_error();
