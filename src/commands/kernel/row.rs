//! A row of `kernel check`: a key or a limit with its running value, its recommended value and the verdict.
//!
//! Plain data between the checks and the table.

/// The verdict on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// At least as recommended.
    Fine,
    /// Below the recommended value. It matters under high load only.
    Low,
    /// Below what these settings need, or it has cost something already.
    Matters,
    /// Matters for the machine that opens connections, not for the server.
    Client,
    /// This namespace or this kernel has no such key.
    Absent,
    /// It can't be read.
    Unknown,
}

impl CheckVerdict {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Low => "low",
            Self::Matters => "matters",
            Self::Client => "client",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }

    /// The meaning of the word; `None` if the word says it all.
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Fine | Self::Unknown => None,
            Self::Low => Some("below the recommended value; it matters under high load only"),
            Self::Matters => Some("too low for these settings, or it has cost something already"),
            Self::Client => Some("for the machine that opens the connections, such as a load generator"),
            Self::Absent => Some("this namespace or this kernel has no such key"),
        }
    }
}

/// One row: a key or a limit.
#[derive(Clone, Debug)]
pub struct CheckRow {
    /// The key, or the name of the limit.
    pub subject: String,
    /// The running value.
    pub running: String,
    /// The recommended value.
    pub recommended: String,
    /// Where it applies.
    pub scope: &'static str,
    /// The verdict.
    pub verdict: CheckVerdict,
    /// What it costs not to change it; empty if it is fine.
    pub cost: String,
}
