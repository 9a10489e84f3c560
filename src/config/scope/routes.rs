//! `[[redirect]]` and `[[rewrite]]` in the settings file: their keys, and the tables of one list.
//!
//! What a rule means, and what is allowed in its texts, is in [`routing`](crate::routing).

use std::sync::Arc;

use crate::config::file_value::{FileEntry, FileValue, invalid};
use crate::config::host::name::HostName;
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::value::put;
use crate::routing::route_rule::{RouteRule, RuleKind, RuleText};
use crate::routing::rule_fault::RuleFault;
use crate::routing::rule_table::RuleTable;

/// The rules of one list, in the order of the file. They are shared by all that inherit them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(pub Arc<Vec<RouteSetting>>);

/// The key of a rule's list, and where its table stands.
pub type RulePlace = (&'static str, usize);

/// One rule.
#[derive(Debug, Clone)]
pub struct RouteSetting {
    /// The rule.
    pub rule: RouteRule,
    /// Where its table stands in the file: rules of both lists apply in this order.
    pub at: usize,
    texts: RouteTexts,
}

/// A rule is the same wherever it stands.
impl PartialEq for RouteSetting {
    fn eq(&self, other: &RouteSetting) -> bool {
        self.rule == other.rule
    }
}

impl Eq for RouteSetting {}

/// The values of a table.
#[derive(Debug, Clone, Default)]
pub struct RouteTexts {
    from: String,
    to: String,
    status: Option<u16>,
    host: Option<String>,
    query: Vec<(String, String)>,
    if_missing: bool,
}

/// The keys of a rule.
const KEYS: &[TableKey<RouteTexts>] = &[
    TableKey {
        name: "from",
        takes: "a string: /PATH",
        read: ReadKey::Text(|r, text| put(&mut r.from, Ok(text.to_owned()))),
        show: |r| Some(string(&r.from)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "to",
        takes: "a string: /PATH or a URL",
        read: ReadKey::Text(|r, text| put(&mut r.to, Ok(text.to_owned()))),
        show: |r| Some(string(&r.to)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "status",
        takes: "a number",
        read: ReadKey::Number(|r, text| put(&mut r.status, status(text).map(Some))),
        show: |r| r.status.map(|status| status.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "host",
        takes: "a string: NAME",
        read: ReadKey::Text(|r, text| {
            put(&mut r.host, HostName::read(text).map(|name| Some(name.to_string())))
        }),
        show: |r| r.host.as_deref().map(string),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "query",
        takes: "a table of strings: { name = \"value\" }",
        read: ReadKey::Value(|r, _, full, value| put(&mut r.query, query(full, value))),
        show: |r| show_query(&r.query),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "if_missing",
        takes: "true or false",
        read: ReadKey::Switch(|r, on| r.if_missing = on),
        show: |r| r.if_missing.then(|| "true".to_owned()),
        ..TableKey::EMPTY
    },
];

/// The key of the lists of a kind.
const fn key(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Redirect => "redirect",
        RuleKind::Rewrite => "rewrite",
    }
}

impl Routes {
    /// Reads the tables of a list.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(kind: RuleKind, value: &FileValue) -> Result<Routes, Fault> {
        let takes = format!("[[{}]] above the keys of each", key(kind));
        let tables =
            value.tables().ok_or_else(|| Fault::of(key(kind), value.at, value.wrong_type(&takes)))?;
        let rules: Result<_, Fault> =
            tables.into_iter().map(|(at, table)| RouteSetting::read(kind, table, at)).collect();
        Ok(Routes(Arc::new(rules?)))
    }

    /// An empty list, which takes away what is inherited.
    pub fn show_empty(&self) -> Option<String> {
        self.0.is_empty().then(|| "[]".to_owned())
    }
}

impl RouteSetting {
    fn read(kind: RuleKind, table: &[FileEntry], at: usize) -> Result<RouteSetting, Fault> {
        let (mut texts, mut places) = (RouteTexts::default(), KeyPlaces::default());
        table_key::read(KEYS, &mut texts, &mut places, table)?;
        for name in ["from", "to"] {
            if !places.has(name) {
                let why = format!("has no {name} (each {} needs one)", key(kind));
                return Err(Fault::of(key(kind), at, why));
            }
        }
        let text = RuleText {
            kind,
            from: &texts.from,
            to: &texts.to,
            status: texts.status,
            host: texts.host.as_deref(),
            query: &texts.query,
            if_missing: texts.if_missing,
        };
        let rule = RouteRule::parse(&text).map_err(|fault| {
            let at = table.iter().find(|entry| entry.name == fault.key).map_or(at, |entry| entry.value.at);
            let status = texts.status.map(|status| status.to_string());
            let why = match fault.key {
                "from" => invalid(&texts.from, &fault.why),
                "to" => invalid(&texts.to, &fault.why),
                "status" => invalid(&status.unwrap_or_default(), &fault.why),
                _ => fault.why,
            };
            Fault::of(fault.key, at, why)
        })?;
        Ok(RouteSetting { rule, at, texts })
    }

    /// The rule as messages name it: `redirect /a`.
    pub fn name(&self) -> String {
        format!("{} {}", key(self.rule.kind), self.texts.from)
    }

    /// The name of its list, and its keys with their values.
    pub fn entries(&self) -> (&'static str, Vec<(&'static str, String)>) {
        (key(self.rule.kind), table_key::entries(KEYS, &self.texts))
    }
}

/// The rules of both lists, in the order of the file.
pub fn in_order<'a>(redirects: &'a Routes, rewrites: &'a Routes) -> Vec<&'a RouteSetting> {
    let mut rules: Vec<&RouteSetting> = redirects.0.iter().chain(rewrites.0.iter()).collect();
    rules.sort_by_key(|setting| setting.at);
    rules
}

/// The rules of both lists as a table.
///
/// # Errors
/// Why they can't be served, and the list and place of the rule where that shows, if it is one.
pub fn table(redirects: &Routes, rewrites: &Routes) -> Result<RuleTable, (Option<RulePlace>, String)> {
    let rules = in_order(redirects, rewrites);
    RuleTable::new(rules.iter().map(|setting| setting.rule.clone()).collect()).map_err(|fault| {
        let at = match fault {
            RuleFault::Loop { back: last, .. } | RuleFault::TooLong { last, .. } => Some(last),
            RuleFault::TooManyWays | RuleFault::TooMany => None,
        };
        let at = at.map(|number| (key(rules[number].rule.kind), rules[number].at));
        (at, fault.describe(&|number| rules[number].name()))
    })
}

/// Checks that the rules of one table lead nowhere in a circle.
///
/// # Errors
/// The fault of the rule that leads back.
pub fn check(redirects: Option<&Routes>, rewrites: Option<&Routes>, places: &KeyPlaces) -> Result<(), Fault> {
    if redirects.is_none() && rewrites.is_none() {
        return Ok(());
    }
    let first = if redirects.is_some() { RuleKind::Redirect } else { RuleKind::Rewrite };
    let none = Routes::default();
    let checked = table(redirects.unwrap_or(&none), rewrites.unwrap_or(&none));
    checked.map(drop).map_err(|(at, why)| match at {
        Some((key, at)) => Fault::of(key, at, why),
        None => places.fault(key(first), why),
    })
}

fn status(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a status such as 301".to_owned())
}

fn query(full: &str, value: &FileValue) -> Result<Vec<(String, String)>, Fault> {
    let takes = "a table of strings: { name = \"value\" }";
    let table = value.table().ok_or_else(|| Fault::of(full, value.at, value.wrong_type(takes)))?;
    let pair = |entry: &FileEntry| {
        let full = format!("{full}.{}", entry.name);
        let text = entry.value.text();
        let wrong = || Fault::of(&full, entry.value.at, entry.value.wrong_type("a string"));
        Ok((entry.name.clone(), text.ok_or_else(wrong)?.to_owned()))
    };
    table.iter().map(pair).collect()
}

fn show_query(query: &[(String, String)]) -> Option<String> {
    let pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{} = {}", string(name), string(value))).collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}
