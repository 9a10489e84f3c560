//! The server from outside: real processes, real sockets, raw bytes. A file is one noun; a test's name states
//! the behaviour and its body is the bytes sent and received. Tests that are `ignore`d say why, and run in
//! .ci/run.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod support;

mod background_threads;
mod basics;
mod errors;
mod families;
mod flat;
mod python_servers;
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

mod clients_over_tls;
mod h2_abuse;
mod h2_connection;
mod h2_flow_control;
mod h2_frames;
mod h2_headers;
mod h2_hpack;
mod h2_load;
mod h2_mutations;
mod h2_operation;
mod h2_priority;
mod h2_progress;
mod h2_requests;
mod h2_streams;
mod h2_waits;
mod own_clients;
mod tls;
mod tls_requests;

mod auth;
mod cache;
mod certificates;
mod cors;
mod files;
mod find_by_name;
mod freshness;
mod hosts;
mod listing;
mod locations;
mod pages;
mod paths;
mod redirects;
mod rewriting;
mod scopes;
mod site_files;
mod traversal;
mod types;
mod variants;

mod coded_digests;
mod compress;
mod conditional;
mod ranges;

mod abuse;
mod eviction;
mod fairness;
mod idle_set;
mod limits;
mod mutations;
mod sending;
mod symlinks;
mod timeouts;

mod access_formats;
mod access_log;
mod activation;
mod admin;
mod admin_port;
mod admin_reload;
mod cold_stress;
mod confined_admin;
mod deploy;
mod deployments;
mod dist;
mod docker;
mod error_log;
mod examples;
mod exposition;
mod forwarded;
mod generate;
mod healthcheck;
mod host_logs;
mod host_metrics;
mod in_browser;
mod init;
mod kernel;
mod large;
mod log_lengths;
mod log_readers;
mod memory;
mod notification;
mod password;
mod precompress;
mod precompress_threads;
mod processes;
mod proxy_protocol;
mod races;
mod reload;
mod sandbox;
mod signals;
mod slow_disk;
mod slow_files;
mod slow_root;
mod stuck;
mod tls_counts;
mod tls_floods;
mod tls_fragments;
mod tls_listeners;
mod tls_operation;
mod upgrade;
mod validators;
mod without_tls;
