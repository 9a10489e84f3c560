//! Redirects, rewrites and header rules, pure: which rule a request matches, and what it makes of it.
//!
//! No files, settings or clocks: `_redirects` and `_headers` come in as bytes, and the rules of the settings
//! as texts.
//!
//! - [`path_pattern`] is the `from` of a rule and [`destination`] its `to`; [`host_condition`] and
//!   [`query_condition`] narrow it; [`route_rule`] is all of it.
//! - [`rule_table`] finds the first rule that matches, by a tree (`pattern_tree.rs`).
//! - [`header_rules`] changes fields of responses, for paths of a [`path_glob`].
//! - [`redirects_file`] and [`headers_file`] read the files of Netlify and Cloudflare Pages.
//!
//! **Invariant:** nothing captured from a request changes the host that a Location leads to.

pub mod headers_file;
pub mod redirects_file;

pub mod text_lines;

mod chain;

pub mod rule_table;

mod candidates;
mod pattern_tree;
mod request_query;
mod routed_path;

pub mod route_rule;
pub mod rule_fault;
pub mod rule_match;

pub mod destination;
pub mod host_condition;
pub mod path_pattern;
pub mod query_condition;

pub mod header_rules;

pub mod field_lines;
pub mod path_glob;

mod escapes;
