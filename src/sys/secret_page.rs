//! A page of memory for secrets, which masters write and workers read (memfd_create(2), mmap(2)).
//!
//! It is a file in memory, so that a master can hand it to the program that replaces it. Core dumps leave it
//! out, and it is not swapped out where the limit of locked memory allows that. Knows nothing of its content.
//!
//! **Invariants:**
//! - The page consists of atomic words, for which every bit pattern is a value.
//! - A worker gives up the right to write, and can't get it back: its map is of a descriptor that is open to
//!   be read, and it closes all descriptors. Other children give up the page.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

/// The words that are used.
pub const WORDS: usize = 64;

/// The bytes that are mapped: what the smallest page has.
const LENGTH: usize = 4096;

/// The page, in a process that may write it.
#[derive(Debug)]
pub struct SecretPage {
    start: usize,
    words: &'static [AtomicU64; WORDS],
    file: OwnedFd,
    /// The same file, open to be read; `None` without /proc.
    reader: Option<OwnedFd>,
}

impl SecretPage {
    /// A page of zeros.
    ///
    /// # Errors
    /// See memfd_create(2) and mmap(2), such as `ENOMEM`.
    pub fn new() -> io::Result<SecretPage> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Before Linux 6.3 this flag does not exist and is not needed.
        let file = rustix::fs::memfd_create(c"mayhttpd-secrets", flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| rustix::fs::memfd_create(c"mayhttpd-secrets", flags))?;
        rustix::fs::ftruncate(&file, LENGTH as u64)?;
        // Without its pages, a map would end the process at the next access.
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
        SecretPage::map(file)
    }

    /// Takes ownership of the page of another process, by the number of a descriptor that this process was
    /// started with.
    ///
    /// # Errors
    /// `EINVAL` if it is not such a page, and those of [`SecretPage::new`].
    pub fn adopt(number: RawFd) -> io::Result<SecretPage> {
        if number <= 2 {
            return Err(Errno::INVAL.into());
        }
        // SAFETY: the descriptor was left open for this process, no other owner exists, and it is checked
        // before its use.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        let has_seals =
            rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        let has_length = || rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_size == LENGTH as i64);
        if !has_seals || !has_length() {
            // A descriptor of something else is not closed.
            let _ = file.into_raw_fd();
            return Err(Errno::INVAL.into());
        }
        rustix::io::fcntl_setfd(&file, FdFlags::CLOEXEC)?;
        SecretPage::map(file)
    }

    fn map(file: OwnedFd) -> io::Result<SecretPage> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a mapping at an address of the kernel's choice touches no memory that is in use.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), LENGTH, access, flags, &file, 0) }?;
        // Whether this is allowed is for the administrator to say.
        // SAFETY: this changes no content, of this mapping alone.
        let _ = unsafe { rustix::mm::mlock(start, LENGTH) };
        leave_out_of_core_dumps(start.expose_provenance());
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let reader = rustix::fs::open(own, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
        // SAFETY: the mapping is long enough and aligned to a page, every bit pattern is a value of its
        // words, it is never unmapped, and every access to it is atomic.
        let words = unsafe { &*start.cast::<[AtomicU64; WORDS]>() };
        Ok(SecretPage { start: start.expose_provenance(), words, file, reader })
    }

    /// The words. They stay valid in every child, though not for writing, and are zero in one that has given
    /// up the page.
    pub fn words(&self) -> &'static [AtomicU64; WORDS] {
        self.words
    }

    /// In a child: gives up the right to write. A write ends the process.
    ///
    /// # Errors
    /// See mmap(2) and mprotect(2).
    pub fn only_read(self) -> io::Result<()> {
        let at = std::ptr::with_exposed_provenance_mut(self.start);
        let Some(reader) = &self.reader else {
            // SAFETY: the references stay valid, and writes by them are refused, as is asked for.
            unsafe { rustix::mm::mprotect(at, LENGTH, MprotectFlags::READ) }?;
            return Ok(());
        };
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the same file takes the place of itself, so that all references to it stay valid; that
        // writes by them are refused is what is asked for.
        unsafe { rustix::mm::mmap(at, LENGTH, ProtFlags::READ, flags, reader, 0) }?;
        leave_out_of_core_dumps(self.start);
        Ok(())
    }

    /// In a child: gives up the page, which reads as zero from now on. A write ends the process.
    ///
    /// # Errors
    /// See mmap(2).
    pub fn give_up(self) -> io::Result<()> {
        let at = std::ptr::with_exposed_provenance_mut(self.start);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: this page is what `map` made, of which there are shared references to atomic words alone.
        // They stay valid: the words are zero from now on, as another process could have made them.
        unsafe { rustix::mm::mmap_anonymous(at, LENGTH, ProtFlags::READ, flags) }?;
        Ok(())
    }
}

/// An error is ignored: a kernel without this has all memory in its core dumps.
fn leave_out_of_core_dumps(start: usize) {
    let at = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: this changes no content, and the mapping is at least so long.
    let _ = unsafe { rustix::mm::madvise(at, LENGTH, Advice::LinuxDontDump) };
}

/// The file, to be handed to another program.
impl AsFd for SecretPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    /// As another program has it.
    fn adopted(page: &SecretPage) -> SecretPage {
        SecretPage::adopt(page.file.try_clone().unwrap().into_raw_fd()).unwrap()
    }

    #[test]
    fn what_one_process_writes_another_reads() {
        let page = SecretPage::new().unwrap();
        let other = adopted(&page);
        assert!(page.words().iter().all(|word| word.load(Relaxed) == 0));
        page.words()[63].store(7, Relaxed);
        other.words()[0].store(9, Relaxed);
        assert_eq!((other.words()[63].load(Relaxed), page.words()[0].load(Relaxed)), (7, 9));
    }

    #[test]
    fn a_page_that_is_only_read_follows_the_writer_and_one_that_is_given_up_does_not() {
        let page = SecretPage::new().unwrap();
        let (reading, without_proc, given_up) = (adopted(&page), adopted(&page), adopted(&page));
        let without_proc = SecretPage { reader: None, ..without_proc };
        let words = [reading.words(), without_proc.words(), given_up.words()];
        reading.only_read().unwrap();
        without_proc.only_read().unwrap();
        given_up.give_up().unwrap();
        page.words()[5].store(3, Relaxed);
        assert_eq!(words.map(|words| words[5].load(Relaxed)), [3, 3, 0]);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let flags = |words: &'static [AtomicU64; WORDS]| {
            let start = format!("{:x}-", std::ptr::from_ref(words).addr());
            let own = maps.split_once(&start).map(|(_, rest)| rest).unwrap_or_default();
            let flags = own.lines().find_map(|line| line.strip_prefix("VmFlags: ")).unwrap_or_default();
            flags.split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        // "mw": the right to write could be had back.
        let may_write = |words| flags(words).contains(&"mw".to_owned());
        assert!(may_write(page.words()) && !may_write(words[0]), "{maps}");
        assert!(flags(page.words()).contains(&"dd".to_owned()) && flags(words[0]).contains(&"dd".to_owned()));
    }

    #[test]
    fn what_is_no_such_page_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let short = rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::fcntl_add_seals(&short, SealFlags::GROW | SealFlags::SHRINK).unwrap();
        for number in [-1, 0, 2, file.as_raw_fd(), short.as_raw_fd()] {
            assert!(SecretPage::adopt(number).is_err(), "{number}");
        }
        assert!(file.metadata().is_ok(), "it is still open");
    }
}
