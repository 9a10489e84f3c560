//! Settings of how files are served that are one of a few words. It owns the words of each.

use crate::config::value;

/// What entity-tags are made of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum EtagSetting {
    /// The content, of files up to a limit.
    #[default]
    Content,
    /// What the file system says of a file.
    Stamp,
}

impl EtagSetting {
    /// The words for it.
    pub const WORDS: &[(&str, EtagSetting)] =
        &[("content", EtagSetting::Content), ("stamp", EtagSetting::Stamp)];
}

/// The charset of text files.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum CharsetSetting {
    /// None is said.
    #[default]
    Off,
    /// UTF-8.
    Utf8,
}

impl CharsetSetting {
    /// The words for it.
    pub const WORDS: &[(&str, CharsetSetting)] =
        &[("off", CharsetSetting::Off), ("utf-8", CharsetSetting::Utf8)];
}

/// Which symbolic links are followed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum LinkSetting {
    /// None.
    Deny,
    /// Those that lead beneath the root.
    #[default]
    Inside,
    /// Of those, the ones whose owner also owns what they lead to.
    SameOwner,
    /// All.
    Follow,
}

impl LinkSetting {
    /// The words for it.
    pub const WORDS: &[(&str, LinkSetting)] = &[
        ("deny", LinkSetting::Deny),
        ("inside", LinkSetting::Inside),
        ("same-owner", LinkSetting::SameOwner),
        ("follow", LinkSetting::Follow),
    ];
}

/// Which names that begin with a dot are served.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum HiddenSetting {
    /// None.
    Deny,
    /// `.well-known` (RFC 8615) alone.
    #[default]
    WellKnown,
    /// All.
    Serve,
}

impl HiddenSetting {
    /// The words for it.
    pub const WORDS: &[(&str, HiddenSetting)] = &[
        ("deny", HiddenSetting::Deny),
        ("well-known", HiddenSetting::WellKnown),
        ("serve", HiddenSetting::Serve),
    ];

    /// One of the words, or `hide`, which `dotfiles` had for `well-known`.
    ///
    /// # Errors
    /// The words.
    pub fn read(text: &str) -> Result<HiddenSetting, String> {
        if text.eq_ignore_ascii_case("hide") {
            return Ok(HiddenSetting::WellKnown);
        }
        value::word(text, HiddenSetting::WORDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_word_for_hidden_names_is_still_read() {
        for (text, expected) in [
            ("hide", Some(HiddenSetting::WellKnown)),
            ("well-known", Some(HiddenSetting::WellKnown)),
            ("serve", Some(HiddenSetting::Serve)),
            ("deny", Some(HiddenSetting::Deny)),
            ("on", None),
        ] {
            assert_eq!(HiddenSetting::read(text).ok(), expected, "{text}");
        }
    }
}
