//! The layers that settings come from, highest first, and how a value in one of them is named.
//!
//! It picks the text that counts and hands it to a reader of values. It knows no unit and no default.
//!
//! The first layer that gives a value decides, even where a lower one holds nonsense: a flag must be able to
//! repair what the environment or the file has wrong.

use std::path::PathBuf;

use clap::CommandFactory;

use super::cli::Raw;
use super::document::Document;
use super::environment;
use crate::error::StartupError;

/// Where a layer's values were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the environment.
    Environment,
    /// In a settings file.
    File(Document),
}

impl Origin {
    /// Where the setting called `long` is given there: `--log-level`, `MAYHTTPD_LOG_LEVEL` or
    /// `mayhttpd.toml:12`.
    pub fn locate(&self, long: &str) -> String {
        match self {
            Self::Flag => format!("--{long}"),
            Self::Environment => environment::variable(long),
            Self::File(document) => document.line(long, 0),
        }
    }

    /// Where the `nth` value of a list is given there.
    pub fn locate_nth(&self, long: &str, nth: usize) -> String {
        match self {
            Self::File(document) => document.line(long, nth),
            _ => self.locate(long),
        }
    }

    /// The error for a value that is not allowed: the `nth` one given for the setting called `long`.
    pub fn refuse(&self, long: &str, nth: usize, value: &str, why: String) -> StartupError {
        let why = match self {
            // The flag may have taken the root that follows it for its value.
            Self::Flag if stands_alone(long) => format!("{why} (put ROOT before a flag that stands alone)"),
            Self::File(document) => {
                return document.fault(long, nth, format!("invalid value {value:?} ({why})"));
            }
            _ => why,
        };
        StartupError::Config { key: self.locate(long), value: value.to_owned(), why }
    }

    /// The error for two settings of one layer of which only one can be meant.
    pub fn contradiction(&self, long: &str, other: &str) -> StartupError {
        match self {
            Self::File(document) => {
                let other = document.key(other);
                document.fault(long, 0, format!("contradicts {other} (one of the two is allowed)"))
            }
            _ => StartupError::Usage(format!(
                "{} and {} contradict each other",
                self.locate(long),
                self.locate(other)
            )),
        }
    }
}

/// Whether this flag needs no value.
fn stands_alone(long: &str) -> bool {
    let command = Raw::command();
    let mut flags = command.get_arguments();
    let values = flags.find(|flag| flag.get_long() == Some(long)).and_then(|flag| flag.get_num_args());
    values.is_some_and(|values| values.min_values() == 0)
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
    /// [`StartupError::Config`] or [`StartupError::Line`], with what `read` says is allowed.
    pub fn read<T>(
        &self,
        long: &str,
        field: fn(&Raw) -> &Option<String>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, StartupError> {
        let given = self.0.iter().find_map(|layer| Some((&layer.origin, field(&layer.raw).as_ref()?)));
        let Some((origin, text)) = given else { return Ok(None) };
        read(text).map(Some).map_err(|why| origin.refuse(long, 0, text, why))
    }

    /// The highest list of the setting called `long`, each value read by `read`; `None` where no layer gives it. `off` alone
    /// is a list without values.
    ///
    /// # Errors
    /// As [`Layers::read`], for the first value that is not allowed.
    pub fn read_list<T>(
        &self,
        long: &str,
        field: fn(&Raw) -> &Option<Vec<String>>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, StartupError> {
        let given = self.0.iter().find_map(|layer| Some((&layer.origin, field(&layer.raw).as_ref()?)));
        let Some((origin, texts)) = given else { return Ok(None) };
        if let [text] = &texts[..]
            && text.eq_ignore_ascii_case("off")
        {
            return Ok(Some(Vec::new()));
        }
        let refuse = |nth, text: &str, why| origin.refuse(long, nth, text, why);
        let values =
            texts.iter().enumerate().map(|(nth, text)| read(text).map_err(|why| refuse(nth, text, why)));
        values.collect::<Result<_, _>>().map(Some)
    }

    /// The highest path, taken as it stands.
    pub fn path(&self, field: fn(&Raw) -> &Option<PathBuf>) -> Option<&'a PathBuf> {
        self.0.iter().find_map(|layer| field(&layer.raw).as_ref())
    }
}
