//! What is asked of the servers. A workload says which abilities it takes, and applies to the servers that
//! have them.

use super::content::Files;
use super::disk::Disk;
use super::generator::Generator;
use super::http_client::Answer;
use super::peers::{Ability, Peer};
use super::protocol::Protocol;
use super::site::Site;

/// One kind of load.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub files: Files,
    pub target: &'static str,
    pub protocol: Protocol,
    /// What a server has to be set up for, beyond files.
    pub site: Site,
    /// The status and the rest of a good answer.
    pub status: u16,
    pub good: Good,
    /// The further fields of each request.
    pub fields: Fields,
    pub generator: Generator,
    /// Whether each connection has one request.
    pub close: bool,
    /// The fewest seconds that tell something.
    pub least: u64,
    /// What the disk is beneath the files. A server then has a fresh one for each measurement.
    pub disk: Option<Disk>,
    /// Connections that are held idle meanwhile.
    pub idle: usize,
    pub workers: u16,
    pub needs: &'static [Ability],
    /// Whether bytes tell more than requests.
    pub by_bytes: bool,
    /// Whether it is among the few of a quick run.
    pub quick: bool,
    /// Whether it is measured in the namespaces too.
    pub tuned: bool,
}

/// What makes an answer good, beyond its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    /// A body of so many bytes.
    Length(u64),
    /// A body of at least so many bytes, where servers word it as they like.
    AtLeast(u64),
    /// A body in a content coding; its length is the server's choice.
    Coded,
    /// A Location that is this path, or a URL that ends in it.
    Location(&'static str),
}

/// Fields of a request beyond those that every client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    None,
    /// This name and value.
    Always(&'static str, &'static str),
    /// A range, which the script varies.
    Range,
    /// The validator of an earlier answer.
    Validator,
}

impl Good {
    /// The length of the body, where it is told.
    pub fn length(self) -> u64 {
        match self {
            Good::Length(length) => length,
            _ => 0,
        }
    }

    /// What is wrong with the answer; None where it is good.
    pub fn fault(self, answer: &Answer) -> Option<String> {
        let (length, location) = (answer.length, answer.location.as_deref());
        match self {
            Good::Length(wanted) => {
                (length != wanted).then(|| format!("its length is {length} and not {wanted}"))
            }
            Good::AtLeast(least) => {
                (length < least).then(|| format!("its length is {length}, below {least}"))
            }
            Good::Coded => answer.coding.is_none().then(|| format!("{length} bytes come without a coding")),
            Good::Location(path) => {
                let leads = location.is_some_and(|location| location.ends_with(path));
                (!leads).then(|| format!("it leads to {location:?} and not to {path}"))
            }
        }
    }
}

impl Workload {
    /// The seconds of a measurement, where `asked` are asked for.
    pub fn seconds(&self, asked: u64, quick: bool) -> u64 {
        // A quick run has no time for percentiles of many answers.
        let least = if quick && self.disk.is_some() { 2 } else { self.least };
        asked.max(least)
    }

    /// Whether it makes sense for this server, with this number of workers.
    pub fn applies(&self, peer: &Peer, workers: u16) -> bool {
        let many = workers > 1 && !peer.can.contains(&Ability::Workers);
        !many && self.needs.iter().all(|ability| peer.can.contains(ability))
    }
}
