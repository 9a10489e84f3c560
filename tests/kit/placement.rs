//! Who gets which CPU.

use crate::load::placement::Split;

#[test]
fn servers_and_clients_share_no_cpu_where_there_are_enough() {
    let split = |cpus: &[usize], workers| {
        let split = Split::of(cpus, workers);
        (split.servers, split.clients)
    };
    assert_eq!(split(&[0, 1], 1), (vec![0], vec![1]));
    assert_eq!(split(&[0, 1], 2), (vec![0, 1], vec![0, 1]));
    assert_eq!(split(&[2, 3, 4, 5], 2), (vec![2, 3], vec![4, 5]));
    assert_eq!(split(&[0], 1), (vec![0], vec![0]));
}
