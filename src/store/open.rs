//! Opens a file beneath a root, or says why there is no file to serve.
//!
//! Keeps nothing. **Invariant:** every open goes through [`Beneath`], so no name leads outside the root, and
//! no link unless the settings allow it; only regular files and directories are opened.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::http::content_coding::ContentCoding;
use crate::store::directory::FilePath;
use crate::store::open_file::OpenFile;
use crate::store::open_forms::{OpenForms, OpenVariant, VariantNames};
use crate::store::variant_names::{ListedVariants, VariantDirectories};
use crate::sys::file::{self, Beneath, Kind, OpenError, Root, Stamp};
use crate::sys::filesystem::{self, FileSystemClass};

/// Why there is no file to serve.
#[derive(Clone, Debug)]
pub enum Miss {
    /// Nothing has that name.
    NotFound,
    /// It exists but must not be read: permissions, a link that leads outside the root, no regular file.
    Forbidden,
    /// Descriptors or memory have run out for now.
    Exhausted,
    /// Too many jobs wait for background threads, or this one took too long.
    Overloaded,
    /// The disk or the file system failed, or the job that should have read the file did.
    Failed,
    /// A directory, requested without the slash at the end.
    DirectoryWithoutSlash,
    /// A directory without an index file.
    DirectoryWithoutIndex(UnindexedDirectory),
}

impl Miss {
    /// The reason, for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Miss::NotFound => "there is no such file",
            Miss::Forbidden => "it must not be read",
            Miss::Exhausted => "descriptors or memory have run out",
            Miss::Overloaded => "too many jobs wait for background threads",
            Miss::Failed => "the file system failed",
            Miss::DirectoryWithoutSlash | Miss::DirectoryWithoutIndex(_) => "it is a directory",
        }
    }
}

/// A directory, open.
#[derive(Clone, Debug)]
pub struct UnindexedDirectory {
    /// The directory.
    pub directory: Arc<OwnedFd>,
    /// The class of its file system.
    pub class: FileSystemClass,
}

/// Why nothing was opened.
enum Failure {
    /// It would have to wait.
    Cold,
    Miss(Miss),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        match error {
            OpenError::Cold => Failure::Cold,
            error => Failure::Miss(error.into()),
        }
    }
}

/// How the variants of a file are looked up.
enum VariantLookup<'a> {
    /// Not at all.
    None,
    /// Name by name.
    Names,
    /// Name by name, but for those that the directory is known not to have.
    Directories(&'a mut VariantDirectories),
}

/// How files are opened.
#[derive(Clone, Copy)]
enum Opener<'a> {
    /// With a wait for a disk.
    MayWait(Beneath<'a>),
    /// On the root's own mount, whose class this is; without a wait for a disk if that is true.
    OnMount(Beneath<'a>, FileSystemClass, bool),
}

impl Opener<'_> {
    fn open(self, path: &[u8]) -> Result<OwnedFd, OpenError> {
        let opened = match self {
            Opener::MayWait(beneath) => beneath.open(path),
            Opener::OnMount(beneath, _, cached) => beneath.open_on_mount(path, cached),
        };
        opened.inspect_err(|error| log_refusal(path, error))
    }

    fn kind(self, path: &[u8]) -> Result<Kind, OpenError> {
        match self {
            Opener::MayWait(beneath) => beneath.kind(path),
            Opener::OnMount(beneath, _, cached) => beneath.kind_on_mount(path, cached),
        }
    }

    /// The stamp of a directory, if lookups must not wait and it is known without a wait.
    fn stat_of_cached(self, path: &[u8]) -> Option<Stamp> {
        match self {
            Opener::OnMount(beneath, _, true) => {
                let (kind, stamp) = beneath.stat_on_mount(path, true).ok()?;
                (kind == Kind::Directory).then_some(stamp)
            }
            Opener::OnMount(..) | Opener::MayWait(_) => None,
        }
    }

    fn class_of(self, file: &OwnedFd) -> FileSystemClass {
        match self {
            Opener::MayWait(_) => filesystem::class_of(file.as_fd()).unwrap_or(FileSystemClass::Remote),
            Opener::OnMount(_, class, _) => class,
        }
    }
}

impl From<OpenError> for Miss {
    fn from(error: OpenError) -> Miss {
        match error {
            OpenError::Missing => Miss::NotFound,
            OpenError::Denied | OpenError::Link(_) => Miss::Forbidden,
            OpenError::Exhausted => Miss::Exhausted,
            OpenError::Other(_) | OpenError::Cold => Miss::Failed,
        }
    }
}

/// Says in the log why the file at `path` beneath a root is refused.
fn log_refusal(path: &[u8], error: &OpenError) {
    if matches!(error, OpenError::Denied | OpenError::Link(_)) {
        ::log::debug!("refused {:?}: {error}", path.escape_ascii().to_string());
    }
}

/// Opens the file at `path` beneath `root`, and its variants if they are asked for. May wait for a disk.
///
/// # Errors
/// See [`Miss`].
pub fn open(root: &Root, path: &FilePath<'_>, with_variants: bool) -> Result<OpenForms, Miss> {
    let opener = Opener::MayWait(root.beneath(path.links));
    let variants = if with_variants { VariantLookup::Names } else { VariantLookup::None };
    open_forms(opener, path, variants).map_err(|failure| match failure {
        Failure::Miss(miss) => miss,
        Failure::Cold => Miss::Failed,
    })
}

/// [`open`] on the root's own mount, which is of this class; without a wait for a disk if `cached` is true.
/// `None` if it would have to leave the mount, or to wait. Variants are looked up if there are `variants`.
///
/// # Errors
/// See [`Miss`].
pub fn open_on_mount(
    root: &Root,
    (class, cached): (FileSystemClass, bool),
    path: &FilePath<'_>,
    variants: Option<&mut VariantDirectories>,
) -> Option<Result<OpenForms, Miss>> {
    let opener = Opener::OnMount(root.beneath(path.links), class, cached);
    match open_forms(opener, path, variants.map_or(VariantLookup::None, VariantLookup::Directories)) {
        Ok(file) => Some(Ok(file)),
        Err(Failure::Miss(miss)) => Some(Err(miss)),
        Err(Failure::Cold) => None,
    }
}

fn open_forms(
    opener: Opener<'_>,
    path: &FilePath<'_>,
    variants: VariantLookup<'_>,
) -> Result<OpenForms, Failure> {
    let mut forms = OpenForms::alone(open_file(opener, path)?);
    match variants {
        VariantLookup::None => {}
        VariantLookup::Names => open_variants(opener, &path.full(), None, &mut forms)?,
        VariantLookup::Directories(directories) => {
            let path = path.full();
            let parent = opener.stat_of_cached(parent_of(&path));
            let listed = parent.and_then(|stamp| directories.of(&stamp));
            open_variants(opener, &path, listed.as_ref(), &mut forms)?;
        }
    }
    Ok(forms)
}

/// The path of the directory that a file is in; empty for the root.
pub fn parent_of(path: &[u8]) -> &[u8] {
    &path[..memchr::memrchr(b'/', path).unwrap_or(0)]
}

/// Opens the variants of the file at `path`: all that are there, or of those that `listed` has. What can't
/// be served counts as absent.
fn open_variants(
    opener: Opener<'_>,
    path: &[u8],
    listed: Option<&ListedVariants<'_>>,
    forms: &mut OpenForms,
) -> Result<(), Failure> {
    forms.names = VariantNames::Known;
    let name = &path[memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1)..];
    for coding in ContentCoding::ALL {
        let is_absent = |names: &ListedVariants<'_>| {
            let variant = [name, coding.suffix().as_bytes()].concat();
            !names.may_have(&variant)
        };
        if listed.is_some_and(is_absent) {
            continue;
        }
        match opener.open(&[path, coding.suffix().as_bytes()].concat()) {
            Ok(file) => match stat(&file)? {
                (Kind::Regular, stamp) => {
                    let file = OpenFile { class: opener.class_of(&file), file, stamp };
                    forms.variants.push(OpenVariant { coding, file });
                }
                _ => forms.names = VariantNames::Obstructed,
            },
            Err(OpenError::Missing) => {}
            // Nothing is known of it.
            Err(error @ (OpenError::Exhausted | OpenError::Cold)) => return Err(error.into()),
            Err(OpenError::Denied | OpenError::Link(_) | OpenError::Other(_)) => {
                forms.names = VariantNames::Obstructed;
            }
        }
    }
    Ok(())
}

fn open_file(opener: Opener<'_>, path: &FilePath<'_>) -> Result<OpenFile, Failure> {
    if path.index.is_some() { open_index(opener, path) } else { open_plain(opener, path.path) }
}

fn open_plain(opener: Opener<'_>, path: &[u8]) -> Result<OpenFile, Failure> {
    let file = match opener.open(path) {
        // A directory that may be searched but not read still has its files.
        Err(OpenError::Denied) if matches!(opener.kind(path), Ok(Kind::Directory)) => {
            return Err(Failure::Miss(Miss::DirectoryWithoutSlash));
        }
        opened => opened?,
    };
    match stat(&file)? {
        (Kind::Regular, stamp) => Ok(OpenFile { class: opener.class_of(&file), file, stamp }),
        (Kind::Directory, _) => Err(Failure::Miss(Miss::DirectoryWithoutSlash)),
        (Kind::Special | Kind::Link, _) => Err(Failure::Miss(Miss::Forbidden)),
    }
}

fn open_index(opener: Opener<'_>, path: &FilePath<'_>) -> Result<OpenFile, Failure> {
    let miss = match opener.open(&path.full()) {
        Ok(file) => match stat(&file)? {
            (Kind::Regular, stamp) => {
                return Ok(OpenFile { class: opener.class_of(&file), file, stamp });
            }
            _ => Miss::Forbidden,
        },
        // Only an existing directory lacks an index; anything else is simply not there.
        Err(OpenError::Missing) => match opener.kind(path.path)? {
            Kind::Directory => {
                let directory = opener.open(path.path)?;
                let class = opener.class_of(&directory);
                Miss::DirectoryWithoutIndex(UnindexedDirectory { directory: Arc::new(directory), class })
            }
            _ => Miss::NotFound,
        },
        Err(error) => return Err(error.into()),
    };
    Err(Failure::Miss(miss))
}

fn stat(file: &OwnedFd) -> Result<(Kind, Stamp), Failure> {
    file::stat(file.as_fd()).map_err(|_| Failure::Miss(Miss::Failed))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::file::LinkPolicy;

    #[test]
    fn a_file_whose_directory_is_known_to_have_no_variant_is_opened_without_a_wait() {
        if !file::kernel_has_cached_lookups() {
            eprintln!("SKIPPED: the kernel has no lookups that never wait");
            return;
        }
        let place = std::env::temp_dir().join(format!("mayhttpd-open-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let names = ["a", "b", "c", "d"].map(|name| format!("{name}.txt"));
        names.iter().for_each(|name| fs::write(place.join(name), name).unwrap());
        fs::write(place.join("d.txt.gz"), "coded").unwrap();
        let root = Root::open(&place).unwrap();
        let class = (FileSystemClass::Probed, true);
        let open = |name: &str, directories: &mut VariantDirectories| {
            let path = FilePath { path: name.as_bytes(), index: None, links: LinkPolicy::Inside };
            open_on_mount(&root, class, &path, Some(directories)).map(Result::unwrap)
        };
        let mut directories = VariantDirectories::default();
        // The kernel has never looked for its variants.
        assert!(open("a.txt", &mut directories).is_none());
        let stamp = root.stat_beneath(b"").unwrap().1;
        directories.know(stamp, &["d.txt.gz"]);
        for (name, variants) in [("b.txt", 0), ("c.txt", 0), ("d.txt", 1)] {
            let forms = open(name, &mut directories).unwrap_or_else(|| panic!("{name} takes a wait"));
            assert_eq!((forms.variants.len(), forms.names), (variants, VariantNames::Known), "{name}");
        }
        fs::remove_dir_all(place).unwrap();
    }
}
