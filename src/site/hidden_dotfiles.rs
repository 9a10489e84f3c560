//! Which names that begin with a dot are not served.

use crate::config::scope::file_choice::HiddenSetting;
use crate::http::target::SitePath;

/// The names that begin with a dot and are not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HiddenDotfiles {
    /// All.
    All,
    /// All but `.well-known` (RFC 8615).
    #[default]
    ButWellKnown,
    /// None.
    None,
}

impl HiddenDotfiles {
    /// What the settings say.
    pub fn new(setting: HiddenSetting) -> HiddenDotfiles {
        match setting {
            HiddenSetting::Deny => HiddenDotfiles::All,
            HiddenSetting::WellKnown => HiddenDotfiles::ButWellKnown,
            HiddenSetting::Serve => HiddenDotfiles::None,
        }
    }

    /// True if `name` is one of them.
    pub fn contains(self, name: &[u8]) -> bool {
        match self {
            HiddenDotfiles::All => name.starts_with(b"."),
            HiddenDotfiles::ButWellKnown => name.starts_with(b".") && name != b".well-known",
            HiddenDotfiles::None => false,
        }
    }

    /// True if a path has such a name behind its first `shown` bytes.
    pub fn hides(self, path: &SitePath<'_>, shown: usize) -> bool {
        match self {
            HiddenDotfiles::All => path.has_dot_segment_from(shown),
            HiddenDotfiles::ButWellKnown => path.has_hidden_segment_from(shown),
            HiddenDotfiles::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_hidden_if_one_of_its_names_is() {
        for (path, all, but_well_known) in [
            ("/a/b.c", false, false),
            ("/.env", true, true),
            ("/a/.git/config", true, true),
            ("/.well-known/x", true, false),
            ("/.well-known/.x", true, true),
            ("/.well-known2", true, true),
            ("/a..b", false, false),
            ("/", false, false),
        ] {
            let parsed = SitePath::parse(path.as_bytes()).unwrap();
            assert_eq!(HiddenDotfiles::All.hides(&parsed, 0), all, "{path}");
            assert_eq!(HiddenDotfiles::ButWellKnown.hides(&parsed, 0), but_well_known, "{path}");
            assert!(!HiddenDotfiles::None.hides(&parsed, 0), "{path}");
        }
        let parsed = SitePath::parse(b"/.site/.well-known").unwrap();
        assert!(HiddenDotfiles::All.hides(&parsed, 5) && !HiddenDotfiles::ButWellKnown.hides(&parsed, 5));
    }
}
