//! The keys of `sysctl.conf`, judged one by one, and what the settings make of them.
//!
//! The subtle rule: what a key should be is the file's value or what the settings ask for, whichever is more. Only what
//! the settings ask for matters when it is not there.

use std::io::ErrorKind;

use super::places;
use super::proc::Proc;
use super::row::{Row, Verdict};
use super::value::{Rule, Value};
use super::wanted::{Scope, Wanted};
use crate::config::Settings;
use crate::error::cause;

/// A wanted key, and what the settings make of it.
pub struct Needed {
    /// The key. Its value is raised to what the settings ask for, where that is more.
    pub wanted: Wanted,
    /// The least that does not hold them back; 0 where they ask for nothing.
    least: u64,
    /// Who asks, in words.
    by: String,
}

/// What the settings make of a wanted key.
pub fn needed(mut wanted: Wanted, settings: &Settings) -> Needed {
    let connections = settings.max_connections;
    let asked = connections.map_or(String::new(), |n| format!("--max-connections {n} needs "));
    let (least, by) = match wanted.key {
        "net.core.somaxconn" => {
            (u64::from(settings.backlog), format!("--backlog {} needs ", settings.backlog))
        }
        "vm.max_map_count" => (connections.map_or(0, places::maps_for), asked),
        "fs.nr_open" => {
            (connections.map_or(0, |n| places::descriptors_for(n, settings.cache_entries)), asked)
        }
        _ => (0, String::new()),
    };
    if let [number] = &mut *wanted.value.0 {
        *number = least.max(*number);
    }
    Needed { wanted, least, by: format!("{by}{least}") }
}

/// The row of a key.
pub fn row(needed: &Needed, proc: &Proc) -> Row {
    let Needed { wanted, .. } = needed;
    let row = |running: String, verdict, cost| Row {
        subject: wanted.key.to_owned(),
        running,
        wanted: wanted.value.to_string(),
        scope: match wanted.scope {
            Scope::Namespace => "namespace",
            Scope::Host => "host",
        },
        verdict,
        cost,
    };
    let running = match proc.value(wanted.key) {
        Ok(running) => running,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let cost = match wanted.scope {
                Scope::Host => "It is the host's, and is looked at and set there.",
                Scope::Namespace => "",
            };
            return row(String::new(), Verdict::Absent, cost.to_owned());
        }
        Err(error) => return row(String::new(), Verdict::Unknown, sentence(&cause(&error))),
    };
    let Some(raised) = wanted.rule().raised(&running, &wanted.value) else {
        return row(running.to_string(), Verdict::Unknown, "It has another form than is known.".to_owned());
    };
    if raised == running {
        return row(running.to_string(), Verdict::Fine, String::new());
    }
    let cost = sentence(&wanted.cost);
    if wanted.rule() == Rule::Covers {
        return row(running.to_string(), Verdict::Client, cost);
    }
    match why_it_matters(needed, &running, proc) {
        Some(why) => row(running.to_string(), Verdict::Matters, format!("{why} {cost}")),
        None => row(running.to_string(), Verdict::Low, cost),
    }
}

/// Why a value below the wanted one is more than low.
fn why_it_matters(needed: &Needed, running: &Value, proc: &Proc) -> Option<String> {
    if running.0.first().is_some_and(|running| *running < needed.least) {
        return Some(format!("{}.", needed.by));
    }
    let (count, what) = match needed.wanted.key {
        "net.core.somaxconn" => (proc.listen_overflows()?, "Clients that found an accept queue full"),
        "net.core.netdev_max_backlog" => (proc.backlog_drops()?, "Packets dropped for it"),
        _ => return None,
    };
    (count > 0).then(|| format!("{what} since boot: {count}."))
}

/// Words with a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if words.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
