//! The server from outside: real processes, real sockets, raw bytes. A file is one noun; a test's name states
//! the behaviour and its body is the exchange. Tests that are `ignore`d say why, and run in .ci/run.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod support;

mod basics;
mod coming_from;
mod errors;
mod flat;
mod settings;
mod startup;

mod expect;
mod fields;
mod framing;
mod methods;
mod request_line;
mod versions;
mod watchdog;

mod persistence;
mod pipelining;

mod files;
mod find_by_name;
mod freshness;
mod locations;
mod paths;
mod redirects;
mod traversal;
mod types;

mod conditional;
mod ranges;

mod abuse;
mod limits;
mod mutations;
mod parking;
mod timeouts;

mod access_formats;
mod access_log;
mod activation;
mod admin;
mod admin_reload;
mod confined_admin;
mod deploy;
mod dist;
mod docker;
mod error_log;
mod exposition;
mod forwarded;
mod generate;
mod healthcheck;
mod init;
mod kernel;
mod large;
mod notification;
mod processes;
mod proxy_protocol;
mod races;
mod reload;
mod sandbox;
mod signals;
mod upgrade;

mod layers;
