//! What rules are compared with, and what comes of the one that matches.

use crate::http::target::SitePath;

/// What a rule is compared with.
#[derive(Clone, Copy, Debug)]
pub struct RouteRequest<'a> {
    /// The path.
    pub path: &'a SitePath<'a>,
    /// The query as the client wrote it.
    pub query: Option<&'a [u8]>,
    /// The authority that the request is for, with or without a port.
    pub host: &'a [u8],
}

/// The rule that a request matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// Its number, from 0.
    pub rule: usize,
    /// True if it applies only where there is no file.
    pub if_missing: bool,
    /// What comes of it.
    pub outcome: RuleOutcome,
}

/// What comes of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// A redirect.
    Redirect {
        /// Its status.
        status: u16,
        /// The value of the Location field: printable ASCII.
        location: Vec<u8>,
    },
    /// Another path of the site.
    Rewrite {
        /// The status of the response if there is a file.
        status: u16,
        /// The path, percent-encoded; [`SitePath::parse`] takes it.
        path: Vec<u8>,
        /// The query that goes with it.
        query: Option<Vec<u8>>,
    },
}
