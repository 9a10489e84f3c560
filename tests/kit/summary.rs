//! Rounds, put together.

use super::run::fixed;
use crate::load::peers::{FLOOR, NGINX};
use crate::load::record::{Idle, Sample};
use crate::load::report::summary::{median, of};

#[test]
fn the_median_is_the_middle() {
    let of = |values: &[f64]| median(values.iter().copied());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[3.0]), Some(3.0));
    assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
}

#[test]
fn ratios_are_taken_within_rounds_and_failures_are_added() {
    let sample = |peer: &str, round, cpu, failed| Sample {
        peer: peer.into(),
        round,
        cpu_us_per_request: Some(cpu),
        failed,
        ..Sample::default()
    };
    // The machine was twice as slow in the second round, for all.
    let samples = vec![
        sample(FLOOR, 1, 5.0, 0),
        sample("x", 1, 6.0, 1),
        sample(NGINX, 1, 8.0, 0),
        sample(FLOOR, 2, 10.0, 0),
        sample("x", 2, 12.0, 2),
        sample(NGINX, 2, 16.0, 0),
    ];
    let mut run = fixed();
    run.samples = samples;
    let all = of(&run);
    assert_eq!(all.len(), 3);
    assert_eq!((all[1].over_floor, all[1].failed, all[1].cpu_us), (Some(1.2), 3, Some(9.0)));
    assert_eq!((all[1].over_nginx, all[2].over_nginx), (Some(0.75), Some(1.0)));
    assert_eq!(all[1].spread, Some(6.0 / 9.0));
}

#[test]
fn an_idle_connection_costs_what_it_did_in_the_first_round() {
    let sample = |round, bytes, lost| Sample {
        peer: "x".into(),
        round,
        idle: Some(Idle { held: 10, early_bytes: bytes, late_bytes: bytes + 1.0, lost }),
        ..Sample::default()
    };
    let mut run = fixed();
    // In the second round the server still had the memory of the first.
    run.samples = vec![sample(1, 500.0, 1), sample(2, 0.0, 2), sample(3, -3.0, 0)];
    assert_eq!(of(&run)[0].idle, Some((500.0, 501.0, 3)));
}
