//! The settings of this process, at its start and at each reload: the command line and the variables stay,
//! the settings files that they name are read each time.

use std::ffi::OsString;
use std::path::Path;

use super::machine::Machine;
use super::resolve::{check_alone, resolve};
use super::source::given::SettingSource;
use super::source::{self, environment, httpd_conf};
use super::{AccessLogTarget, Settings, source_map};
use crate::error::StartupError;

/// Where the error log of a server in the background goes if no file is named for it.
pub const NO_LOG: &str = "/dev/null";

/// The flags that name a settings file, the higher first.
const FILES: [&str; 2] = ["config", "defaults"];

/// What stays the same while this process lives.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The command line, then the variables.
    sources: [SettingSource; 2],
    /// True for a server without standard streams.
    in_background: bool,
}

/// The result of reading everything.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The sources that they come from, the highest first.
    pub sources: Vec<SettingSource>,
}

impl Inputs {
    /// Takes a command line that was parsed, and the variables.
    ///
    /// # Errors
    /// [`StartupError::Config`] for a variable that is not UTF-8 where text is needed.
    pub fn new(
        command_line: SettingSource,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Inputs, StartupError> {
        Ok(Inputs { sources: [command_line, environment::source(variables)?], in_background: false })
    }

    /// The same for a server in the background, whose logs need files.
    pub fn in_background(self) -> Inputs {
        Inputs { in_background: true, ..self }
    }

    /// Reads the settings files and resolves all sources.
    ///
    /// # Errors
    /// [`StartupError::File`] for a file that can't be read, and those of [`resolve`].
    pub fn load(&self) -> Result<Loaded, StartupError> {
        let machine = Machine::this();
        let mut sources = self.sources.to_vec();
        for long in FILES {
            let Some(given) = self.sources.iter().find_map(|source| source.find(long)) else { continue };
            let file = read_file(Path::new(given.bytes()))?;
            // On its own first: a mistake in a file is reported even where a flag or a variable hides it.
            check_alone(&file, machine)?;
            sources.push(file);
        }
        let mut settings = resolve(&sources, machine)?;
        settings.warnings.extend(sources.iter().flat_map(|source| source.warnings.iter().cloned()));
        if self.in_background {
            without_streams(&mut settings)?;
        }
        Ok(Loaded { settings, sources })
    }
}

/// Reads a settings file in the format that its name tells.
fn read_file(path: &Path) -> Result<SettingSource, StartupError> {
    let bytes = source_map::read(path)?;
    if httpd_conf::is_httpd_conf(path) {
        httpd_conf::parse(path, &bytes)
    } else {
        source::toml::parse(path, &bytes)
    }
}

/// Settings for a server in the background, which has no standard streams.
fn without_streams(settings: &mut Settings) -> Result<(), StartupError> {
    if settings.access_log == AccessLogTarget::Stdout {
        let why = "a server in the background has no standard output: --access-log needs a file";
        return Err(StartupError::Usage(why.to_owned()));
    }
    settings.log_file.get_or_insert_with(|| NO_LOG.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_can_not_be_read_is_named() {
        let error = |path: &str| read_file(Path::new(path)).unwrap_err();
        let absent = error("/absent/may.toml");
        assert_eq!(
            absent.to_string(),
            "cannot read the settings in /absent/may.toml: no such file or directory"
        );
        let endless = error("/dev/zero");
        assert_eq!(endless.to_string(), "cannot read the settings in /dev/zero: it is longer than 1 MiB");
        assert_eq!((absent.exit_code(), endless.exit_code()), (2, 2));
    }
}
