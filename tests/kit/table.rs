//! The tables of a fixed run.

use super::run::fixed;
use crate::load::peers::OURS;
use crate::load::record::{Beside, Coded};
use crate::load::report::table::{faults, text, what_for};

#[test]
fn a_fixed_run_gives_this_table() {
    assert_eq!(text(&fixed()).trim(), include_str!("recorded/table.txt").trim());
}

#[test]
fn what_fails_at_ours_is_told_and_at_others_is_not() {
    let mut run = fixed();
    assert_eq!(faults(&run), Vec::<String>::new());
    let other = run.samples.iter_mut().find(|sample| sample.peer != OURS).unwrap();
    other.failed = 3;
    assert_eq!(faults(&run), Vec::<String>::new());
    let ours = run.samples.iter_mut().find(|sample| sample.peer == OURS).unwrap();
    (ours.failed, ours.non_2xx) = (2, 1);
    let fault = format!("{} ({}): 2 failed, 1 not 2xx", ours.workload, ours.network);
    assert_eq!(faults(&run), [fault]);
    assert!(text(&run).contains("2 failed, 1 not 2xx"));
}

#[test]
fn one_client_beside_the_others_has_a_line_of_its_own() {
    let mut run = fixed();
    assert!(!text(&run).contains("the one client"));
    let beside = Beside { answers_per_second: 998.0, max_us: 2500.0, alone_p99_us: 300.0 };
    run.samples
        .iter_mut()
        .filter(|sample| sample.peer == OURS)
        .for_each(|it| it.beside = Some(beside.clone()));
    let line =
        "  mayhttpd: the one client had 998 answers/s, 2.50 ms at most; p99 300 µs when it was alone\n";
    assert!(text(&run).contains(line), "{}", text(&run));
}

#[test]
fn the_coding_of_answers_has_a_line_of_its_own() {
    let mut run = fixed();
    let coded = Coded { coding: "br".into(), length: 51_234 };
    run.samples.iter_mut().filter(|sample| sample.peer == OURS).for_each(|it| it.coded = Some(coded.clone()));
    assert!(text(&run).contains("  mayhttpd: a body has 51.2 kB in br\n"), "{}", text(&run));
}

#[test]
fn a_program_says_what_it_is_for() {
    assert_eq!(what_for("nginx"), "nginx nginx-threads nginx-gzip nginx-default");
    assert_eq!(what_for("ab"), "ab-100 ab-2000");
    assert_eq!(what_for("taskset"), "every measurement");
}
