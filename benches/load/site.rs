//! What the site of a workload has beyond its files: hosts, redirects, a user. Servers are set up by it, and
//! the scripts in `generator/` ask by the same names.

/// The kinds of sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Files alone, which is what most sites are.
    Plain,
    /// A fixed response at /info.
    Fixed,
    /// Variants of files beside them.
    Precompressed,
    /// Files that the server compresses, or sends as variants if it keeps no results.
    Compressed,
    /// So many redirects, by [`redirect`].
    Redirects(u32),
    /// [`HOSTS`] hosts, each with a root of its own.
    Hosts,
    /// Directories are listed.
    Listing,
    /// All is behind the password of [`USER`].
    Authenticated,
}

/// How many hosts there are; `hosts.lua` has the same number.
pub const HOSTS: u32 = 1000;

/// A line of a users file, as `htpasswd -B` writes it with its default cost of 5.
pub const USER: &str = "anna:$2y$05$D4svqEfPatSH65jWJebvjezdtiVuv9YfxZx7Jl0LWasLrqcluZzou";

/// That user's name and password in an Authorization field (RFC 7617).
pub const AUTHORIZATION: &str = "Basic YW5uYTpsb2FkIGtpdA==";

/// The name of a host, and its directory beneath the root.
pub fn host(number: u32) -> (String, String) {
    (format!("host-{number}.example"), format!("hosts/{number}"))
}

/// The paths that a redirect leads from and to.
pub fn redirect(number: u32) -> (String, String) {
    (format!("/old/{number}/page.html"), format!("/new/{number}/page.html"))
}
