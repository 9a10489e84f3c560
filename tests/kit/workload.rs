//! The list of workloads.

use crate::load::peers;
use crate::load::workloads::ALL;

#[test]
fn names_are_unique_and_every_one_applies_to_a_server() {
    for (index, workload) in ALL.iter().enumerate() {
        assert!(ALL[..index].iter().all(|other| other.name != workload.name), "{}", workload.name);
        assert!(peers::ALL.iter().any(|peer| workload.applies(peer, workload.workers)));
    }
}
