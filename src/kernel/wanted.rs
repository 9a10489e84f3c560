//! What a busy server wants of the kernel: `sysctl.conf`, which is part of the program, and read here.
//!
//! The file is the only list. Which part a key stands in is its scope, and the line of its comment that begins with
//! `Left as it is:` is what it costs not to set it. Tests hold the file to this form.

use super::value::{Rule, Value};

/// The file as it is.
pub const FILE: &str = include_str!("../../sysctl.conf");

/// What begins the heading of a part.
const HEADING: &str = "# ---- ";

/// What begins the comment's word on the cost.
const COST: &str = "Left as it is: ";

/// For whom a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For one network namespace, such as a container's.
    Namespace,
    /// For the host with all its containers.
    Host,
}

/// A key and what it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// With dots, as sysctl(8) has it.
    pub key: &'static str,
    /// The value.
    pub value: Value,
    /// Where it can be set.
    pub scope: Scope,
    /// What it costs to leave it, in words that can follow a colon, with a full stop.
    pub cost: String,
}

impl Wanted {
    /// When a running value is as good.
    pub fn rule(&self) -> Rule {
        Rule::of(self.key)
    }
}

/// All of the file, in its order.
pub fn all() -> Vec<Wanted> {
    parse(FILE)
}

/// Reads text as sysctl.conf(5) has it: `key = value`, and `#` or `;` before a comment.
fn parse(text: &'static str) -> Vec<Wanted> {
    let mut found = Vec::new();
    let mut scope = Scope::Namespace;
    let mut comment = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix(HEADING) {
            scope = if heading.starts_with("Host") { Scope::Host } else { Scope::Namespace };
        } else if let Some(words) = line.strip_prefix(['#', ';']) {
            comment.push_str(words);
        } else if let Some((key, value)) = line.split_once('=') {
            let cost = comment.split_once(COST).map(|(_, cost)| cost.to_owned()).unwrap_or_default();
            let Ok(value) = value.parse() else { continue };
            found.push(Wanted { key: key.trim(), value, scope, cost });
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
        let read: Vec<String> =
            all().iter().map(|wanted| format!("{} = {}", wanted.key, wanted.value)).collect();
        assert_eq!(read, lines.collect::<Vec<_>>());
        for wanted in all() {
            assert!(wanted.cost.len() > 20 && wanted.cost.ends_with('.'), "{wanted:?}");
            assert!(wanted.cost.starts_with(char::is_lowercase), "{wanted:?}");
        }
    }

    #[test]
    fn the_part_of_the_file_is_the_scope() {
        let of =
            |scope| all().into_iter().filter(move |wanted| wanted.scope == scope).map(|wanted| wanted.key);
        assert!(of(Scope::Namespace).all(|key| key.starts_with("net.")));
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
        let short: Vec<_> = read.iter().map(|w| (w.key, w.value.to_string(), w.scope, &*w.cost)).collect();
        assert_eq!(
            short,
            [
                ("a.b", "1 2".to_owned(), Scope::Namespace, "it is bad."),
                ("c.d", "3".to_owned(), Scope::Host, "")
            ]
        );
    }
}
