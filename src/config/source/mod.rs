//! Where settings come from: the command line, variables, and the two kinds of settings file. Each gives
//! texts for rows of the table, with the position of each text, and reads no value.

pub mod given;

pub mod cli;

pub mod environment;
pub mod kubernetes;

pub mod httpd_conf;
pub mod toml;
