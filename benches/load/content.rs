//! The files that servers serve: a directory in the system's place for temporary ones, made as workloads need
//! it.

use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{bundle, site};

/// How many files the Zipf law is over; `zipf.lua` has the same number.
const MANY: u32 = 20_000;

/// How many cold files there are; no load asks for so many.
pub const COLD: u64 = 8000;

/// How many files the listed directory has.
const LISTED: u32 = 10_000;

/// How long a directory must be unchanged before its listing is kept.
const SETTLED: Duration = Duration::from_millis(2500);

/// Files of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// `small.html`, of 38 bytes.
    Small,
    /// `10k.bin`, of 10 KiB.
    Ten,
    /// `page.html`, of 955,000 bytes.
    Page,
    /// `big.bin`, of 100,000,000 bytes.
    Big,
    /// `many/0/0.html` to `many/199/19999.html`, each of 512 to 8191 bytes.
    Many,
    /// `bundle/app.js` and its variants.
    Bundle,
    /// `hosts/0/host.html` to `hosts/999/host.html`, each of 38 bytes.
    Hosts,
    /// `listed/report-00000.txt` to `listed/report-09999.txt`, each empty.
    Listed,
    /// `small.html`, and `cold/0.bin` to `cold/7999.bin`, each of 600 to 4095 bytes.
    Cold,
    /// `small.html`, and `large/0.bin` to `large/7999.bin`, each of 1 MiB without a block on the disk.
    ColdLarge,
}

/// A directory that is gone when this is.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one that everybody may enter, for servers that give up root's rights.
    ///
    /// # Errors
    /// What mkdir(2) says.
    pub fn make() -> Result<Self, String> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("mayhttpd-load-{}-{}", std::process::id(), time.as_nanos());
        let path = std::env::temp_dir().join(name);
        let made =
            fs::create_dir(&path).and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)));
        made.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it, made where it is not there.
    ///
    /// # Errors
    /// What mkdir(2) says.
    pub fn sub(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Files {
    /// Makes these under `root` where they are not there.
    ///
    /// # Errors
    /// What writing says; a full disk above all.
    pub fn make(self, root: &Path) -> Result<(), String> {
        let made = match self {
            Files::Small => page(root, "small.html", 38),
            Files::Ten => page(root, "10k.bin", 10 * 1024),
            Files::Page => page(root, "page.html", 955_000),
            Files::Big => page(root, "big.bin", 100_000_000),
            Files::Cold => page(root, "small.html", 38).and_then(|()| {
                fs::create_dir_all(root.join("cold"))?;
                let length = |number: u64| 600 + (number as usize * 7919) % 3496;
                (0..COLD).try_for_each(|number| page(root, &format!("cold/{number}.bin"), length(number)))
            }),
            Files::ColdLarge => page(root, "small.html", 38).and_then(|()| {
                fs::create_dir_all(root.join("large"))?;
                let make = |number| File::create(root.join(format!("large/{number}.bin")));
                (0..COLD).try_for_each(|number| make(number)?.set_len(1 << 20))
            }),
            Files::Bundle => bundle::make(&root.join("bundle")),
            Files::Hosts => (0..site::HOSTS).try_for_each(|number| {
                let (_, directory) = site::host(number);
                fs::create_dir_all(root.join(&directory))?;
                page(root, &format!("{directory}/host.html"), 38)
            }),
            Files::Listed if root.join("listed").exists() => Ok(()),
            Files::Listed => listed(&root.join("listed")),
            Files::Many if root.join("many").exists() => Ok(()),
            Files::Many => (0..MANY).try_for_each(|number| {
                let folder = format!("many/{}", number / 100);
                fs::create_dir_all(root.join(&folder))?;
                page(root, &format!("{folder}/{number}.html"), length_of(number))
            }),
        };
        made.map_err(|error| format!("{}: {error}", root.display()))
    }
}

/// The length of one of many, spread without a pattern that a cache could like.
fn length_of(number: u32) -> usize {
    512 + (number as usize * 7919) % 7680
}

/// Makes the files of a listing, and waits until the directory's time is past: a listing of one that has just
/// changed is kept by no server.
fn listed(directory: &Path) -> std::io::Result<()> {
    fs::create_dir(directory)?;
    (0..LISTED)
        .try_for_each(|number| File::create(directory.join(format!("report-{number:05}.txt"))).map(drop))?;
    std::thread::sleep(SETTLED);
    Ok(())
}

fn page(root: &Path, name: &str, length: usize) -> std::io::Result<()> {
    let path = root.join(name);
    if path.exists() {
        return Ok(());
    }
    let line = b"<p>A line of a page for nothing but load.\n";
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut left = length;
    while left > 0 {
        let part = left.min(line.len());
        out.write_all(&line[..part])?;
        left -= part;
    }
    out.flush()
}
