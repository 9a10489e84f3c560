//! The known name that a misspelt one most likely means.
//!
//! It compares bytes and knows nothing of flags, variables or keys. It would rather name none than a far one,
//! because a wrong hint misleads.

/// How many slips make another word of it.
const FAR: usize = 3;

/// The one of `known` that is nearest to `name`, unless all are far.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (slips, other) = known.map(|other| (distance(name, other), other)).min()?;
    (slips <= FAR).then_some(other)
}

/// How many letters must be put in, taken out or changed to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (a, b, slips) in [("", "", 0), ("abc", "", 3), ("workres", "workers", 2), ("prot", "port", 2)] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
            assert_eq!(distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_is_named_unless_it_is_far() {
        let known = || ["workers", "port", "root"].into_iter();
        for (name, nearest_known) in
            [("prot", Some("port")), ("wrokrs", Some("workers")), ("location", None), ("rot", Some("root"))]
        {
            assert_eq!(nearest(name, known()), nearest_known, "{name}");
        }
    }
}
