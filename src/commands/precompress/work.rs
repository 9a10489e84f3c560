//! A piece of work: one variant of one file that is to be made.

use crate::compression;
use crate::http::content_coding::ContentCoding;

/// The most bytes that Linux takes for a name (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// A variant that is missing or outdated.
#[derive(Debug)]
pub struct Work {
    /// The path of the directory below the one of the command.
    pub directory: Vec<u8>,
    /// The name of the file.
    pub name: Vec<u8>,
    /// Its size, in bytes.
    pub size: u64,
    /// The coding.
    pub coding: ContentCoding,
}

impl Work {
    /// The name of the variant.
    pub fn variant(&self) -> Vec<u8> {
        [self.name.as_slice(), self.coding.suffix().as_bytes()].concat()
    }

    /// False if no content of this size would be worth it, or if the variant can't have its name.
    pub fn may_be_worth(&self) -> bool {
        let length = self.name.len() + self.coding.suffix().len();
        length <= LONGEST_NAME && compression::may_be_worth(self.coding, self.size)
    }
}
