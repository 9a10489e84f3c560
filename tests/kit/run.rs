//! A run that was recorded, cut to a few servers and workloads in each network.

use crate::load::record::Run;

/// That run.
pub fn fixed() -> Run {
    serde_json::from_str(include_str!("recorded/run.json")).unwrap()
}
