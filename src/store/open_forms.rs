//! A file that was just opened, together with its variants: the files beside it that have its content in a
//! content coding.

use std::os::fd::AsFd;

use crate::http::content_coding::ContentCoding;
use crate::store::open_file::OpenFile;
use crate::sys::file;

/// A file and its variants, open.
pub struct OpenForms {
    /// The file itself.
    pub identity: OpenFile,
    /// The variants that could be opened, in the order of [`ContentCoding::ALL`].
    pub variants: Vec<OpenVariant>,
    /// What became of the names of variants.
    pub names: VariantNames,
}

/// A file in a content coding, open.
pub struct OpenVariant {
    /// The coding.
    pub coding: ContentCoding,
    /// The file.
    pub file: OpenFile,
}

/// What became of the names that variants would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantNames {
    /// They were not looked up.
    NotLookedUp,
    /// Each leads to a file that was opened, or to nothing.
    Known,
    /// One leads to what can't be served: a directory, a file without permission, a link that leads outside.
    /// It counts as absent. The kernel does not report when it can be served.
    Obstructed,
}

impl OpenForms {
    /// A file whose variants are not looked up.
    pub fn alone(identity: OpenFile) -> OpenForms {
        OpenForms { identity, variants: Vec::new(), names: VariantNames::NotLookedUp }
    }

    /// The variants that may be served: none that is older than the file.
    pub fn current(&self) -> impl Iterator<Item = &OpenVariant> {
        self.variants.iter().filter(|variant| variant.file.stamp.mtime >= self.identity.stamp.mtime)
    }

    /// The variant in this coding, whether it may be served or not.
    pub fn variant(&self, coding: ContentCoding) -> Option<&OpenVariant> {
        self.variants.iter().find(|variant| variant.coding == coding)
    }

    /// True if no file has changed since it was opened.
    pub fn is_unchanged(&self) -> bool {
        let files = std::iter::once(&self.identity).chain(self.variants.iter().map(|variant| &variant.file));
        let is_same = |open: &OpenFile| file::stat(open.file.as_fd()).is_ok_and(|(_, now)| now == open.stamp);
        files.into_iter().all(is_same)
    }
}
