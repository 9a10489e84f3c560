//! The layers that settings come from, highest first, and how a value in one of them is named.
//!
//! It picks the text that counts and hands it to a reader of values. It knows no unit and no default.
//!
//! The first layer that gives a value decides, even where a lower one holds nonsense: a flag must be able to
//! repair what the environment has wrong.

use std::path::PathBuf;

use super::cli::Raw;
use crate::error::StartupError;

/// Where a layer's values were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the environment.
    Environment,
}

impl Origin {
    /// A setting's name as its user wrote it there: `--log-level` or `MAYHTTPD_LOG_LEVEL`.
    pub fn key(self, long: &str) -> String {
        match self {
            Self::Flag => format!("--{long}"),
            Self::Environment => super::environment::variable(long),
        }
    }
}

/// One source of settings.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where it was written, for the words of an error.
    pub origin: Origin,
    /// What it says.
    pub raw: Raw,
}

/// All layers, the one that wins first.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a>(pub &'a [Layer]);

impl<'a> Layers<'a> {
    /// The highest value of the setting called `long`, read by `read`; `None` where no layer gives it.
    ///
    /// # Errors
    /// [`StartupError::Config`] with what `read` says is allowed.
    pub fn read<T>(
        &self,
        long: &str,
        field: fn(&Raw) -> &Option<String>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, StartupError> {
        let given = self.0.iter().find_map(|layer| Some((layer.origin, field(&layer.raw).as_ref()?)));
        let Some((origin, text)) = given else { return Ok(None) };
        read(text).map(Some).map_err(|why| bad(origin, long, text, why))
    }

    /// The highest path, taken as it stands.
    pub fn path(&self, field: fn(&Raw) -> &Option<PathBuf>) -> Option<&'a PathBuf> {
        self.0.iter().find_map(|layer| field(&layer.raw).as_ref())
    }
}

/// The error for a value that is not allowed.
pub fn bad(origin: Origin, long: &str, value: &str, why: String) -> StartupError {
    StartupError::Config { key: origin.key(long), value: value.to_owned(), why }
}
