//! Which symbolic links are followed, and why one is not.

use std::fmt;

/// Which symbolic links on the way to a file are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkPolicy {
    /// None.
    Deny,
    /// Those that lead beneath the root, absolute ones too.
    #[default]
    Inside,
    /// Of those, the ones whose owner also owns what they lead to.
    SameOwner,
    /// All, wherever they lead.
    Follow,
}

/// Why a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// No link is.
    IsLink,
    /// It leads outside the root.
    Outside,
    /// It leads above the root, to what is not there or may not be searched.
    Unseen,
    /// There are more than 40 on the way, or they lead in a circle.
    TooMany,
    /// What it leads to has another owner.
    OtherOwner,
}

impl fmt::Display for LinkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkRefusal::IsLink => "a symbolic link is on the way",
            LinkRefusal::Outside => "a symbolic link leads outside the root",
            LinkRefusal::Unseen => {
                "a symbolic link leads above the root, to what is not there or may not be searched"
            }
            LinkRefusal::TooMany => "more than 40 symbolic links are on the way, or they lead in a circle",
            LinkRefusal::OtherOwner => "a symbolic link has another owner than what it leads to",
        })
    }
}
