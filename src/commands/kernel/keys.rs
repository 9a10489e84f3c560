//! The keys of `sysctl.conf`: what the settings need of each, and its row in the table.
//!
//! The recommended value is the one in the file, or what the settings need if that is more. Only a value
//! below what the settings need matters.

use std::io::ErrorKind;

use crate::capacity::connection_limit::{self, WorkerParts};
use crate::capacity::memory;
use crate::capacity::proc::Proc;
use crate::capacity::value::{RaiseRule, Value};
use crate::commands::kernel::recommended::{RecommendedKey, Scope};
use crate::commands::kernel::row::{CheckRow, CheckVerdict};
use crate::config::Settings;
use crate::error::cause;

/// A key, and what the settings need of it.
pub struct RequiredKey {
    /// The key. Its value is raised if the settings need more.
    pub key: RecommendedKey,
    /// The value that the settings need; 0 if they do not depend on it.
    minimum: u64,
    /// The setting that needs it, as a text.
    asked_by: String,
}

/// Computes what the settings need of a key.
pub fn required(mut key: RecommendedKey, settings: &Settings) -> RequiredKey {
    let connections = settings.max_connections;
    let entries = settings.cache_entries.unwrap_or(memory::CACHE_ENTRIES);
    let parts = WorkerParts::of(settings);
    let asked = connections.map_or(String::new(), |n| format!("--max-connections {n} needs "));
    let (least, by) = match key.name {
        "net.core.somaxconn" => {
            (u64::from(settings.backlog), format!("--backlog {} needs ", settings.backlog))
        }
        "vm.max_map_count" => (connections.map_or(0, |n| connection_limit::maps_for(n, parts)), asked),
        "fs.nr_open" => {
            let needed = |n| connection_limit::descriptors_for(n, entries, parts);
            (connections.map_or(0, needed), asked)
        }
        _ => (0, String::new()),
    };
    if let [number] = &mut *key.value.0 {
        *number = least.max(*number);
    }
    RequiredKey { key, minimum: least, asked_by: format!("{by}{least}") }
}

/// The row of a key in the table.
pub fn row(required: &RequiredKey, proc: &Proc) -> CheckRow {
    let RequiredKey { key, .. } = required;
    let row = |running: String, verdict, cost| CheckRow {
        subject: key.name.to_owned(),
        running,
        recommended: key.value.to_string(),
        scope: match key.scope {
            Scope::Namespace => "namespace",
            Scope::Host => "host",
        },
        verdict,
        cost,
    };
    let running = match proc.value(key.name) {
        Ok(running) => running,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let cost = match key.scope {
                Scope::Host => "A key of the host: check and set it there.",
                Scope::Namespace => "",
            };
            return row(String::new(), CheckVerdict::Absent, cost.to_owned());
        }
        Err(error) => return row(String::new(), CheckVerdict::Unknown, sentence(&cause(&error))),
    };
    let Some(raised) = key.rule().raised(&running, &key.value) else {
        return row(
            running.to_string(),
            CheckVerdict::Unknown,
            "The value has an unexpected form.".to_owned(),
        );
    };
    if raised == running {
        return row(running.to_string(), CheckVerdict::Fine, String::new());
    }
    let cost = sentence(&key.cost);
    if key.rule() == RaiseRule::Covers {
        return row(running.to_string(), CheckVerdict::Client, cost);
    }
    match why_it_matters(required, &running, proc) {
        Some(why) => row(running.to_string(), CheckVerdict::Matters, format!("{why} {cost}")),
        None => row(running.to_string(), CheckVerdict::Low, cost),
    }
}

/// Why a value that is too low matters; `None` if it is only low.
fn why_it_matters(required: &RequiredKey, running: &Value, proc: &Proc) -> Option<String> {
    if running.0.first().is_some_and(|running| *running < required.minimum) {
        return Some(format!("{}.", required.asked_by));
    }
    let (count, what) = match required.key.name {
        "net.core.somaxconn" => (proc.listen_overflows()?, "Clients that found an accept queue full"),
        "net.core.netdev_max_backlog" => (proc.backlog_drops()?, "Packets dropped for it"),
        _ => return None,
    };
    (count > 0).then(|| format!("{what} since boot: {count}."))
}

/// Adds a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if words.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
