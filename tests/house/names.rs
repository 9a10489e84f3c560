//! One thing, one name: no two public types share one.

use std::collections::BTreeMap;

use crate::none;
use crate::source::SourceFile;

/// Names that several public types have, each with the reason.
const SHARED: &[(&str, &str)] = &[];

#[test]
fn each_public_type_has_a_name_of_its_own() {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in SourceFile::all() {
        for name in file.public_types() {
            by_name.entry(name).or_default().push(file.name());
        }
    }
    let shared = by_name.iter().filter(|(_, files)| files.len() > 1);
    let faults = shared.clone().filter(|(name, _)| !SHARED.iter().any(|(known, _)| known == name));
    let mut faults: Vec<String> =
        faults.map(|(name, files)| format!("{name} is in {}", files.join(" and "))).collect();
    for (known, _) in SHARED {
        if !shared.clone().any(|(name, _)| name == known) {
            faults.push(format!("{known} is one type alone by now and needs no exception"));
        }
    }
    none(faults);
}
