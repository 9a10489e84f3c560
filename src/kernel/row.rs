//! A row of the check: a key or a limit, how it is and should be, and what is thought of that.
//!
//! Plain data, between those who judge and the one who draws.

/// What is thought of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As wanted, or better.
    Fine,
    /// Less than wanted, which shows under much load only.
    Low,
    /// Less than these settings ask for, or it has cost something already.
    Matters,
    /// Of use to whoever opens the connections, and not to the server.
    Client,
    /// There is no such key here.
    Absent,
    /// It can't be found out.
    Unknown,
}

impl Verdict {
    /// In one word.
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

    /// What the word means; nothing for one that says it all.
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Self::Fine | Self::Unknown => None,
            Self::Low => Some("not what a busy server wants; it shows under much load only"),
            Self::Matters => Some("holds back what these settings ask for, or has cost something already"),
            Self::Client => Some("for the machine that opens the connections, such as a load generator"),
            Self::Absent => Some("this namespace or this kernel has no such key"),
        }
    }
}

/// One subject of the check.
#[derive(Clone, Debug)]
pub struct Row {
    /// A key, or a limit in words.
    pub subject: String,
    /// How it is.
    pub running: String,
    /// How it should be, at least.
    pub wanted: String,
    /// For whom it holds.
    pub scope: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What it costs to leave it; nothing where it is fine.
    pub cost: String,
}
