//! The files that are served, and their end.

use std::fs;

use crate::load::content::{Directory, Files};

#[test]
fn files_are_as_long_as_they_say_and_vanish() {
    let directory = Directory::make().unwrap();
    let path = directory.path().to_owned();
    Files::Small.make(&path).unwrap();
    Files::Ten.make(&path).unwrap();
    assert_eq!(fs::metadata(path.join("small.html")).unwrap().len(), 38);
    assert_eq!(fs::metadata(path.join("10k.bin")).unwrap().len(), 10_240);
    drop(directory);
    assert!(!path.exists());
}

#[test]
fn hosts_have_directories_of_their_own_and_a_listing_ten_thousand_files() {
    let directory = Directory::make().unwrap();
    let path = directory.path();
    Files::Hosts.make(path).unwrap();
    Files::Listed.make(path).unwrap();
    assert_eq!(fs::metadata(path.join("hosts/999/host.html")).unwrap().len(), 38);
    assert_eq!(fs::read_dir(path.join("listed")).unwrap().count(), 10_000);
}
