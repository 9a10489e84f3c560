//! A short text in words of shared memory: its bytes, and zeros up to the end of the words.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// Writes a text in place of another one. What the words have no room for is left out.
pub(super) fn write(words: &[AtomicU64], text: &str) {
    let mut rest = text.as_bytes();
    for word in words {
        let (now, later) = rest.split_at(rest.len().min(WORD));
        let mut whole = [0; WORD];
        whole[..now.len()].copy_from_slice(now);
        word.store(u64::from_le_bytes(whole), Relaxed);
        rest = later;
    }
}

/// The text that was written.
pub(super) fn read(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_read_as_far_as_there_is_room() {
        let words = [const { AtomicU64::new(u64::MAX) }; 2];
        for (text, expected) in [
            ("a name of a host", "a name of a host"),
            ("a name of a host that is longer", "a name of a host"),
            ("short", "short"),
            ("eight-by", "eight-by"),
            ("", ""),
            ("ü", "ü"),
        ] {
            write(&words, text);
            assert_eq!(read(&words), expected);
        }
    }
}
