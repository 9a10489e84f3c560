//! The known name that a misspelt name most likely means.
//!
//! Compares spellings and knows nothing of flags, variables or keys. It prefers no suggestion to a distant
//! one, because a wrong hint misleads.

/// The most edits, of a letter each, that a suggestion may be away.
const MAX_EDITS: usize = 3;

/// The name among `known` that is nearest to `name` (Levenshtein distance), unless all are more than 3 edits
/// away, or more than half of its letters.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (edits, other) = known.map(|other| (strsim::levenshtein(name, other), other)).min()?;
    (edits <= MAX_EDITS.min(name.chars().count() / 2)).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_unless_it_is_far() {
        let known = || ["workers", "port", "root"].into_iter();
        for (name, nearest_known) in [
            ("prot", Some("port")),
            ("wrokrs", Some("workers")),
            ("workers", Some("workers")),
            ("location", None),
            ("rot", Some("root")),
            ("zzzz", None),
            ("", None),
            ("pört", Some("port")),
        ] {
            assert_eq!(nearest(name, known()), nearest_known, "{name}");
        }
    }

    #[test]
    fn of_names_as_near_as_each_other_the_first_in_the_alphabet_is_suggested() {
        assert_eq!(nearest("bat", ["cat", "bar", "hat"].into_iter()), Some("bar"));
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
