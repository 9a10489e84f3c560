//! The names that a listing leaves out, because they are not served.

use crate::site::hidden_dotfiles::HiddenDotfiles;

/// The names that a listing leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HiddenNames {
    /// Which names that begin with a dot are left out.
    pub dotfiles: HiddenDotfiles,
    /// Further names.
    pub others: &'static [&'static str],
}

impl HiddenNames {
    /// True if the listing leaves out `name`.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.dotfiles.contains(name) || self.others.iter().any(|other| other.as_bytes() == name)
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
            let hidden = |dotfiles| HiddenNames { dotfiles, others: &["_headers", "_redirects"] };
            let contains = |dotfiles| hidden(dotfiles).contains(name.as_bytes());
            assert_eq!(contains(HiddenDotfiles::ButWellKnown), by_default, "{name}");
            assert_eq!(contains(HiddenDotfiles::None), with_dotfiles, "{name}");
            assert_eq!(contains(HiddenDotfiles::All), by_default || name == ".well-known", "{name}");
        }
        assert!(!HiddenNames::default().contains(b"_redirects"));
    }
}
