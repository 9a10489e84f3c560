//! Settings that are one of a few words or things: what is served, where logs go, and in which format.
//!
//! It owns the words of each. Which setting has which of them is in [`table`](super::table).

use std::path::{Path, PathBuf};

use super::value;

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteRoot {
    /// The files beneath this directory, which may be missing.
    Directory(PathBuf),
    /// A built-in page that says how to serve a directory.
    Welcome,
}

/// Where a line for each request goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLogTarget {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

impl AccessLogTarget {
    /// `-` is standard output and `off` in any case is no log; any other path is a file.
    pub fn read(path: &Path) -> AccessLogTarget {
        match path.to_str() {
            Some("-") => AccessLogTarget::Stdout,
            Some(word) if word.eq_ignore_ascii_case("off") => AccessLogTarget::Off,
            _ => AccessLogTarget::File(path.to_owned()),
        }
    }
}

/// A path; `None` for `off` in any case.
pub fn path_or_off(path: &Path) -> Option<PathBuf> {
    let is_off = path.to_str().is_some_and(|word| word.eq_ignore_ascii_case("off"));
    (!is_off).then(|| path.to_owned())
}

/// The format of a line in the error log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text to read.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

impl LogFormat {
    /// The words for it.
    pub const WORDS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}

/// The format of a line in the access log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum AccessFormat {
    /// The combined log format, the default of Apache and nginx.
    #[default]
    Combined,
    /// Combined without Referer and User-Agent.
    Common,
    /// A JSON object, with more fields than the two others.
    Json,
}

impl AccessFormat {
    /// The words for it.
    pub const WORDS: &[(&str, AccessFormat)] = &[
        ("combined", AccessFormat::Combined),
        ("common", AccessFormat::Common),
        ("json", AccessFormat::Json),
    ];
}

/// The response for a directory without an index file, where listings are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingIndex {
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
}

impl MissingIndex {
    /// The statuses for it.
    pub const WORDS: &[(&str, MissingIndex)] =
        &[("403", MissingIndex::Forbidden), ("404", MissingIndex::NotFound)];
}

/// What happens to requests that name no host of the settings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHosts {
    /// What the top level of the settings says is served.
    #[default]
    Serve,
    /// 421.
    Reject,
}

impl UnknownHosts {
    /// The words for it.
    pub const WORDS: &[(&str, UnknownHosts)] =
        &[("serve", UnknownHosts::Serve), ("reject", UnknownHosts::Reject)];
}

/// How far workers and the admin process are confined, beyond giving up their capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxMode {
    /// As far as the kernel can.
    On,
    /// Not at all.
    Off,
    /// Completely, or the start fails.
    Require,
}

impl SandboxMode {
    /// The words for it.
    pub const WORDS: &[(&str, SandboxMode)] =
        &[("on", SandboxMode::On), ("off", SandboxMode::Off), ("require", SandboxMode::Require)];

    /// `require`, or any word of a switch.
    ///
    /// # Errors
    /// The allowed words.
    pub fn read(text: &str) -> Result<SandboxMode, String> {
        match text {
            "require" => Ok(SandboxMode::Require),
            _ => value::switch(text)
                .map(|on| if on { SandboxMode::On } else { SandboxMode::Off })
                .map_err(|why| format!("{why}, or require")),
        }
    }
}

/// The field in which a trusted proxy names its client.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum RealIpHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// `X-Real-IP`.
    XRealIp,
}

impl RealIpHeader {
    /// The names of the fields.
    pub const WORDS: &[(&str, RealIpHeader)] = &[
        ("x-forwarded-for", RealIpHeader::XForwardedFor),
        ("forwarded", RealIpHeader::Forwarded),
        ("x-real-ip", RealIpHeader::XRealIp),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_a_switch_or_required() {
        for (text, expected) in [
            ("on", Some(SandboxMode::On)),
            ("NO", Some(SandboxMode::Off)),
            ("require", Some(SandboxMode::Require)),
            ("x", None),
        ] {
            assert_eq!(SandboxMode::read(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn an_access_log_is_off_a_stream_or_a_file() {
        for (path, expected) in [
            ("-", AccessLogTarget::Stdout),
            ("OFF", AccessLogTarget::Off),
            ("./off", AccessLogTarget::File("./off".into())),
        ] {
            assert_eq!(AccessLogTarget::read(Path::new(path)), expected);
        }
    }
}
