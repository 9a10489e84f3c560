//! `[[header]]` in the settings file: fields by path and status.
//!
//! What a rule means is in [`header_rules`].

use std::sync::Arc;

use super::headers::{field_name, field_value};
use crate::config::file_value::{FileEntry, FileValue, invalid};
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::value::put;
use crate::routing::header_rules::{
    self, FieldChange, HeaderRule, MAX_HEADER_RULES, MAX_SLOW_RULES, StatusSet,
};
use crate::routing::path_glob::PathGlob;

/// The key of the list.
pub const KEY: &str = "header";

/// The rules, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderTables(pub Arc<Vec<HeaderSetting>>);

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSetting {
    /// The rule.
    pub rule: HeaderRule,
    texts: HeaderTexts,
}

/// Names of fields, each with its lines.
type FieldTexts = Vec<(String, Vec<String>)>;

/// The values of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderTexts {
    path: String,
    status: Vec<String>,
    https: Option<bool>,
    set: FieldTexts,
    add: FieldTexts,
    remove: Vec<String>,
}

/// The keys of a rule.
const KEYS: &[TableKey<HeaderTexts>] = &[
    TableKey {
        name: "path",
        takes: "a string: a path with * or **",
        read: ReadKey::Text(|h, text| PathGlob::parse(text).map(|_| h.path = text.to_owned())),
        show: |h| Some(string(&h.path)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "status",
        takes: "a status, a class such as \"5xx\", or a list of them",
        read: ReadKey::Value(|h, _, full, value| put(&mut h.status, statuses(full, value))),
        show: |h| show_list(&h.status),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "https",
        takes: "true or false",
        read: ReadKey::Switch(|h, on| h.https = Some(on)),
        show: |h| h.https.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "set",
        takes: "a table of strings: { Field = \"value\" }",
        read: ReadKey::Value(|h, _, full, value| put(&mut h.set, fields(full, value, false))),
        show: |h| show_fields(&h.set),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "add",
        takes: "a table of strings: { Field = \"value\" }",
        read: ReadKey::Value(|h, _, full, value| put(&mut h.add, fields(full, value, true))),
        show: |h| show_fields(&h.add),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "remove",
        takes: "a list of strings: FIELD",
        read: ReadKey::List(|h, text| {
            field_name(text)?;
            h.remove.push(text.to_owned());
            Ok(())
        }),
        show: |h| show_list(&h.remove),
        ..TableKey::EMPTY
    },
];

impl HeaderTables {
    /// Reads the tables of the list.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(value: &FileValue) -> Result<HeaderTables, Fault> {
        let takes = format!("[[{KEY}]] above the keys of each");
        let tables = value.tables().ok_or_else(|| Fault::of(KEY, value.at, value.wrong_type(&takes)))?;
        if let Some((at, _)) = tables.get(MAX_HEADER_RULES) {
            let why =
                format!("is one more than {MAX_HEADER_RULES} tables, which each response is compared with");
            return Err(Fault::of(KEY, *at, why));
        }
        let places: Vec<usize> = tables.iter().map(|(at, _)| *at).collect();
        let rules: Result<_, Fault> =
            tables.into_iter().map(|(at, table)| HeaderSetting::read(table, at)).collect();
        let rules: Vec<HeaderSetting> = rules?;
        if let Some(nth) = header_rules::first_too_slow(rules.iter().map(|setting| &setting.rule)) {
            let why = format!("is one more than {MAX_SLOW_RULES} with a wildcard before the end of its path");
            return Err(Fault::of(KEY, places[nth], why));
        }
        Ok(HeaderTables(Arc::new(rules)))
    }

    /// An empty list, which takes away what is inherited.
    pub fn show_empty(&self) -> Option<String> {
        self.0.is_empty().then(|| "[]".to_owned())
    }
}

impl HeaderSetting {
    fn read(table: &[FileEntry], at: usize) -> Result<HeaderSetting, Fault> {
        let (mut texts, mut places) = (HeaderTexts::default(), KeyPlaces::default());
        table_key::read(KEYS, &mut texts, &mut places, table)?;
        if !places.has("path") {
            return Err(Fault::of(KEY, at, "has no path (each header needs one)"));
        }
        if !["set", "add", "remove"].iter().any(|key| places.has(key)) {
            return Err(Fault::of(KEY, at, "changes nothing (expected set, add or remove)"));
        }
        let path = PathGlob::parse(&texts.path).map_err(|why| places.fault("path", why))?;
        let ranges: Result<Vec<_>, String> = texts.status.iter().map(|text| StatusSet::parse(text)).collect();
        let ranges = ranges.map_err(|why| places.fault("status", why))?;
        let statuses = if ranges.is_empty() { StatusSet::Default } else { StatusSet::Listed(ranges) };
        let rule = HeaderRule { path, host: None, https: texts.https, statuses, changes: texts.changes() };
        Ok(HeaderSetting { rule, texts })
    }

    /// Its keys with their values.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        table_key::entries(KEYS, &self.texts)
    }
}

impl HeaderTexts {
    /// What the rule does: first it removes, then it sets, then it adds.
    fn changes(&self) -> Vec<FieldChange> {
        let removed = self.remove.iter().cloned().map(FieldChange::Remove);
        let set = self
            .set
            .iter()
            .flat_map(|(name, lines)| lines.iter().map(|line| FieldChange::Set(name.clone(), line.clone())));
        let added = self
            .add
            .iter()
            .flat_map(|(name, lines)| lines.iter().map(|line| FieldChange::Add(name.clone(), line.clone())));
        removed.chain(set).chain(added).collect()
    }
}

/// Reads a status, or a list of them.
fn statuses(full: &str, value: &FileValue) -> Result<Vec<String>, Fault> {
    let takes = "a status, a class such as \"5xx\", or a list of them";
    let items = value.list().unwrap_or(std::slice::from_ref(value));
    if items.is_empty() {
        return Err(Fault::of(full, value.at, format!("is empty (expected {takes})")));
    }
    let read = |item: &FileValue| {
        let text = item.text().or(item.number());
        let text = text.ok_or_else(|| Fault::of(full, item.at, item.wrong_type(takes)))?;
        StatusSet::parse(text).map_err(|why| Fault::of(full, item.at, invalid(text, &why)))?;
        Ok(text.to_owned())
    };
    items.iter().map(read).collect()
}

/// Reads a table of fields, each with a string, or with `lists` also a list of strings.
fn fields(full: &str, value: &FileValue, lists: bool) -> Result<FieldTexts, Fault> {
    let takes = "a table of strings: { Field = \"value\" }";
    let table = value.table().ok_or_else(|| Fault::of(full, value.at, value.wrong_type(takes)))?;
    if table.is_empty() {
        return Err(Fault::of(full, value.at, format!("is empty (expected {takes})")));
    }
    let mut fields: FieldTexts = Vec::new();
    for entry in table {
        let full = format!("{full}.{}", entry.name);
        let fault = |at: usize, why: String| Fault::of(&full, at, why);
        field_name(&entry.name).map_err(|why| fault(entry.at, why))?;
        if fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(&entry.name)) {
            return Err(fault(entry.at, "duplicate field".to_owned()));
        }
        let single = std::slice::from_ref(&entry.value);
        let items = entry.value.list().filter(|_| lists).unwrap_or(single);
        let read = |item: &FileValue| {
            let text = item.text().ok_or_else(|| fault(item.at, item.wrong_type("a string")))?;
            field_value(text).map_err(|why| fault(item.at, invalid(text, &why)))
        };
        let lines: Result<_, Fault> = items.iter().map(read).collect();
        fields.push((entry.name.clone(), lines?));
    }
    Ok(fields)
}

fn show_list(texts: &[String]) -> Option<String> {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
}

fn show_fields(fields: &FieldTexts) -> Option<String> {
    let shown = fields.iter().map(|(name, lines)| {
        let value = match &lines[..] {
            [line] => string(line),
            lines => show_list(lines).unwrap_or_else(|| "[]".to_owned()),
        };
        format!("{} = {value}", string(name))
    });
    let shown: Vec<String> = shown.collect();
    (!shown.is_empty()).then(|| format!("{{ {} }}", shown.join(", ")))
}
