//! The slow disk under a server: what of it is in memory before the load.

use std::fs;

use crate::load::content::Directory;
use crate::load::disk::Disk;
use crate::load::slow_files::Operation::{Lookup, Open, Read};

#[test]
fn a_cold_disk_has_nothing_in_memory_and_one_of_known_names_no_data() {
    if let Some(why) = Disk::unavailable() {
        eprintln!("skipped: a_cold_disk_has_nothing_in_memory…: {why}");
        return;
    }
    for (disk, wanted) in [(Disk::Cold, [2, 1, 1]), (Disk::NamesKnown, [0, 0, 1])] {
        let directory = Directory::make().unwrap();
        let (root, at) = (directory.sub("root/sub").unwrap(), directory.sub("at").unwrap());
        fs::write(root.join("file"), b"content").unwrap();
        let files = disk.mount(&directory.path().join("root"), &at).unwrap();
        let counts = || [Lookup, Open, Read].map(|operation| files.count(operation));
        let before = counts();
        assert_eq!(fs::read(at.join("sub/file")).unwrap(), b"content");
        let asked: Vec<usize> = counts().iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(asked, wanted, "{disk:?}");
    }
}
