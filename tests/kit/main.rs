//! The parts of the load kit: what it makes of the generators' output, of the system's files and of a
//! recorded run. The kit itself is a benchmark without the standard harness, so its tests are here.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

// The kit is a program; what only its `main` uses is unused here.
#[allow(dead_code)]
#[path = "../../benches/load/main.rs"]
mod load;

mod bundle;
mod cold;
mod content;
mod disk;
mod floor;
mod generators;
mod handshakes;
mod http_client;
mod network;
mod page;
mod peers;
mod placement;
mod plot;
mod run;
mod summary;
mod table;
mod tree;
mod unit;
mod workload;
