//! Processes, their time and their memory.

use std::time::Duration;

use crate::load::tree::{Tree, own_time};

#[test]
fn this_process_has_memory_and_spends_time() {
    let tree = Tree(std::process::id().try_into().unwrap());
    assert_eq!(tree.processes()[0], tree.0);
    assert!(tree.memory() > 100_000, "{}", tree.memory());
    let before = tree.cpu();
    // The time of a thread that has ended must not be lost.
    let spend = move || while own_time(tree.0) < before + Duration::from_millis(30) {};
    std::thread::spawn(spend).join().unwrap();
    assert!(tree.cpu() >= before + Duration::from_millis(30));
}

#[test]
fn a_child_is_in_the_tree_and_not_its_neighbours() {
    let spawn = |seconds| std::process::Command::new("sleep").arg(seconds).spawn().unwrap();
    let (mut one, mut other) = (spawn("60"), spawn("61"));
    let id = |child: &std::process::Child| i32::try_from(child.id()).unwrap();
    assert!(Tree(id(&one)).processes() == [id(&one)]);
    let all = Tree(std::process::id().try_into().unwrap()).processes();
    assert!(all.contains(&id(&one)) && all.contains(&id(&other)));
    for child in [&mut one, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
