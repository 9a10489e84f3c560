//! How the bytes of files reach the socket, and how many at once.

/// Bytes asked of one sendfile(2), unless a setting says otherwise: few calls, and other connections are
/// still served in between.
const FILE_CHUNK: u32 = 512 << 10;

/// Bytes of one read where sendfile(2) is switched off or not supported, unless a setting says otherwise.
const COPY_CHUNK: u32 = 16 << 10;

/// The most bytes of one read, whatever a setting says.
const MAX_COPY_CHUNK: u32 = 256 << 10;

/// How the bytes of files are sent.
#[derive(Clone, Copy, Debug)]
pub struct FileSending {
    /// True for sendfile(2), false for reading and writing.
    pub sendfile: bool,
    /// Bytes of one call, if a setting says so.
    pub chunk: Option<u32>,
}

impl FileSending {
    /// Where the part of a file that begins at `offset` ends, in a range that ends at `end`. The disk is
    /// asked for a part at once: what one sendfile(2) sends, and at least 512 KiB. A part ends at a multiple
    /// of that, so that the parts of all answers are the same.
    pub fn end_of_part(self, offset: u64, end: u64) -> u64 {
        let part = u64::from(self.chunk.unwrap_or(0).max(FILE_CHUNK));
        end.min((offset / part + 1) * part)
    }

    /// Bytes for one sendfile(2), when `left` bytes are left.
    pub fn to_send(self, left: u64) -> usize {
        usize::try_from(left.min(self.chunk.unwrap_or(FILE_CHUNK).into())).unwrap_or(usize::MAX)
    }

    /// Bytes for one read, when `left` bytes are left.
    pub fn to_copy(self, left: u64) -> usize {
        let chunk = self.chunk.unwrap_or(COPY_CHUNK).min(MAX_COPY_CHUNK);
        usize::try_from(left.min(chunk.into())).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_at_a_multiple_of_its_size_and_is_no_shorter_than_what_is_sent_at_once() {
        const KB: u64 = 1024;
        let end_of_part =
            |chunk, offset| FileSending { sendfile: true, chunk }.end_of_part(offset, 3000 * KB);
        assert_eq!(end_of_part(None, 0), 512 * KB);
        assert_eq!(end_of_part(None, 511 * KB), 512 * KB);
        assert_eq!(end_of_part(None, 512 * KB), 1024 * KB);
        assert_eq!(end_of_part(None, 2900 * KB), 3000 * KB);
        assert_eq!(end_of_part(Some(16 << 10), 0), 512 * KB);
        assert_eq!(end_of_part(Some(2 << 20), 0), 2048 * KB);
    }

    #[test]
    fn a_copy_takes_no_more_than_256_kib_whatever_a_setting_says() {
        let to_copy = |chunk, left| FileSending { sendfile: false, chunk }.to_copy(left);
        assert_eq!(to_copy(Some(16 << 20), 16 << 20), 256 << 10);
        assert_eq!((to_copy(Some(1000), 5000), to_copy(Some(1000), 500)), (1000, 500));
        assert_eq!(to_copy(None, 1 << 20), 16 << 10);
    }
}
