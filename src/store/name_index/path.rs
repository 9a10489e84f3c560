//! Paths of the name index: relative to a root, without a slash at either end. The root's own is empty.

/// The path of a name in a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// The directory of a path, and the name in it.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_as_it_was_joined() {
        for (directory, name) in [("", "x"), ("a", "x"), ("a/b", "x")] {
            let path = join(directory.as_bytes(), name.as_bytes());
            assert_eq!(split(&path), (directory.as_bytes(), name.as_bytes()));
        }
    }
}
