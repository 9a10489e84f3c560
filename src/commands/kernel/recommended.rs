//! The recommended keys: `sysctl.conf`, which is compiled into the program and parsed here.
//!
//! The file is the only list of keys. Its part is the scope of a key. The line of the comment that begins
//! with `Left as it is:` is the cost. Tests check this form.

use crate::capacity::value::{RaiseRule, Value};

/// The text of the file.
pub const FILE: &str = include_str!("../../../sysctl.conf");

/// The start of a part's heading.
const HEADING: &str = "# ---- ";

/// The start of the cost in a comment.
const COST: &str = "Left as it is: ";

/// Where a key applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In one network namespace, such as that of a container.
    Namespace,
    /// On the host with all its containers.
    Host,
}

/// A key with its recommended value.
#[derive(Clone, Debug)]
pub struct RecommendedKey {
    /// The name with dots, as in sysctl(8).
    pub name: &'static str,
    /// The recommended value.
    pub value: Value,
    /// Where it applies.
    pub scope: Scope,
    /// What it costs not to set it, as a text that can follow a colon, with a full stop.
    pub cost: String,
}

impl RecommendedKey {
    /// The rule for raising a running value.
    pub fn rule(&self) -> RaiseRule {
        RaiseRule::of(self.name)
    }
}

/// All keys of the file, in its order.
pub fn all() -> Vec<RecommendedKey> {
    parse(FILE)
}

/// Parses the format of sysctl.conf(5): `key = value`, and `#` or `;` before a comment.
fn parse(text: &'static str) -> Vec<RecommendedKey> {
    let mut found = Vec::new();
    let mut scope = Scope::Namespace;
    let mut comment = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix(HEADING) {
            scope = if heading.starts_with("Host") { Scope::Host } else { Scope::Namespace };
        } else if let Some(words) = line.strip_prefix(['#', ';']) {
            comment.push_str(words);
        } else if let Some((name, value)) = line.split_once('=') {
            let cost = comment.split_once(COST).map(|(_, cost)| cost.to_owned()).unwrap_or_default();
            let Ok(value) = value.parse() else { continue };
            found.push(RecommendedKey { name: name.trim(), value, scope, cost });
        } else {
            comment.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_is_understood() {
        let lines = FILE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read: Vec<String> = all().iter().map(|key| format!("{} = {}", key.name, key.value)).collect();
        assert_eq!(read, lines.collect::<Vec<_>>());
        for key in all() {
            assert!(key.cost.len() > 20 && key.cost.ends_with('.'), "{key:?}");
            assert!(key.cost.starts_with(char::is_lowercase), "{key:?}");
        }
    }

    #[test]
    fn the_part_of_the_file_is_the_scope() {
        let of = |scope| all().into_iter().filter(move |key| key.scope == scope).map(|key| key.name);
        assert!(of(Scope::Namespace).all(|name| name.starts_with("net.")));
        assert_eq!(
            of(Scope::Host).collect::<Vec<_>>(),
            ["vm.max_map_count", "fs.nr_open", "net.core.netdev_max_backlog"]
        );
    }

    #[test]
    fn comments_belong_to_the_key_below_them() {
        let text = "# ---- Per namespace ----\n# Why.\n# Left as it is: it is\n# bad.\na.b=1 2\n\n; Of nothing.\n\n\
                    # ---- Host only ----\n\nc.d = 3\n";
        let read = parse(text);
        let short: Vec<_> = read.iter().map(|w| (w.name, w.value.to_string(), w.scope, &*w.cost)).collect();
        assert_eq!(
            short,
            [
                ("a.b", "1 2".to_owned(), Scope::Namespace, "it is bad."),
                ("c.d", "3".to_owned(), Scope::Host, "")
            ]
        );
    }
}
