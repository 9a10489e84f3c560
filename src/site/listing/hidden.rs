//! The names that a listing leaves out, because they are not served.

/// The names that a listing leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HiddenNames {
    /// True if names that begin with a dot are shown. `.well-known` (RFC 8615) always is.
    pub shows_dotfiles: bool,
    /// Further names.
    pub others: &'static [&'static str],
}

impl HiddenNames {
    /// True if the listing leaves out `name`.
    pub fn contains(&self, name: &[u8]) -> bool {
        let is_dotfile = name.starts_with(b".") && name != b".well-known";
        (is_dotfile && !self.shows_dotfiles) || self.others.iter().any(|other| other.as_bytes() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_as_they_are_not_served() {
        for (name, by_default, with_dotfiles) in [
            ("a", false, false),
            (".env", true, false),
            (".well-known", false, false),
            (".well-known2", true, false),
            ("_redirects", true, true),
            ("_redirects2", false, false),
            ("a.b", false, false),
        ] {
            let hidden = |shows_dotfiles| HiddenNames { shows_dotfiles, others: &["_headers", "_redirects"] };
            assert_eq!(hidden(false).contains(name.as_bytes()), by_default, "{name}");
            assert_eq!(hidden(true).contains(name.as_bytes()), with_dotfiles, "{name}");
        }
        assert!(!HiddenNames::default().contains(b"_redirects"));
    }
}
