//! A root whose path has to be opened again, on a disk that takes its time.

use std::time::Duration;

use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::Caching;
use crate::support::{Launch, Tree};

#[test]
fn clients_that_wait_for_the_path_of_the_root_are_all_served() {
    const CLIENTS: usize = 40;
    if !can_be_slow("slow_root::clients_that_wait_for_the_path_of_the_root_are_all_served") {
        return;
    }
    let tree = Tree::empty();
    for number in 0..CLIENTS {
        tree.file(format!("sub/{number}.txt"), format!("this is {number}\n"));
    }
    let disk = SlowDisk::of(tree, Caching::Nothing);
    // Each request opens the path of the root and its file again.
    let root = disk.path().join("sub");
    let server = Launch::of_path(root).flags(["--cache-valid", "0"]).start();
    disk.set_delay(Duration::from_millis(20));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET /{number}.txt HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.response().is(200, format!("this is {number}\n"));
    }
    disk.set_delay(Duration::ZERO);
}
