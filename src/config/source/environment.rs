//! The variables: `MAYHTTPD_<LONG_NAME>` for each row of the table that may have one.
//!
//! It owns which variables are known, and the warnings about others. It reads no value. The variables are an
//! argument, because a test can't set those of its own process safely.

use std::ffi::OsString;

use super::given::{Given, SettingOrigin, SettingSource};
use super::kubernetes;
use crate::config::row::{SettingRow, VARIABLE_PREFIX};
use crate::config::{suggest, table};
use crate::error::StartupError;

/// What these variables give. An empty variable gives nothing: `${PORT:-}` in a compose file leaves one.
///
/// # Errors
/// [`StartupError::Config`] for a value that is not UTF-8 and not a path.
pub fn source(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<SettingSource, StartupError> {
    let names = |row: &'static SettingRow| {
        std::iter::once(row.variable()).chain(row.former_variable()).map(move |name| (name, row))
    };
    let known: Vec<(String, &'static SettingRow)> = table::with_variable().flat_map(names).collect();
    let mut source = SettingSource::default();
    let mut of_services = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
        let row = known.iter().find(|(known, _)| known == name).map(|(_, row)| *row);
        let of_service = match row {
            Some(_) => kubernetes::is_address(&value),
            None => kubernetes::is_of_service(rest, &value),
        };
        match row {
            _ if of_service => of_services.push(name.to_owned()),
            None => source.warnings.push(unknown(name, known.iter().map(|(known, _)| known.as_str()))),
            Some(_) if value.is_empty() => {}
            Some(row) => {
                // Of a variable that is there twice the last counts.
                source.given.retain(|given| given.row != row);
                source.given.extend(Given::of_bytes(row, &value, &SettingOrigin::Variable(row.variable()))?);
            }
        }
    }
    if !of_services.is_empty() {
        of_services.sort_unstable();
        source.warnings.push(kubernetes::ignored(&of_services));
    }
    Ok(source)
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match suggest::nearest(name, known) {
        Some(other) => {
            format!("unknown variable {name} is ignored (did you mean {other}?)")
        }
        None => format!("unknown variable {name} is ignored"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    /// The flags that these variables stand for, and the warnings.
    fn of(list: &[(&str, &str)]) -> (String, Vec<String>) {
        let source = source(list.iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
        let flags: Vec<String> =
            source.given.iter().map(|given| format!("{}={}", given.row.long, given.text())).collect();
        (flags.join(" "), source.warnings)
    }

    #[test]
    fn every_long_flag_has_a_variable() {
        let (flags, warnings) = of(&[
            ("PATH", "/bin"),
            ("MAYHTTPD_ROOT", "/srv"),
            ("MAYHTTPD_LOG_LEVEL", "warn"),
            ("MAYHTTPD_CPU_AFFINITY", "on"),
            ("MAYHTTPD_DOTFILES", "serve"),
            ("MAYHTTPD_LISTEN", "80,[::]:80"),
            ("MAYHTTPD_NAME", "-odd-"),
            ("MAYHTTPD_PORT", ""),
        ]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            flags,
            "root=/srv log-level=warn cpu-affinity=on hidden=serve listen=80 listen=[::]:80 name=-odd-"
        );
    }

    #[test]
    fn an_unknown_variable_is_reported_with_the_nearest_name() {
        let (flags, warnings) = of(&[("MAYHTTPD_WORKRES", "4"), ("MAYHTTPD_LOCATIONS", "x")]);
        assert_eq!(flags, "");
        assert_eq!(
            warnings,
            [
                "unknown variable MAYHTTPD_WORKRES is ignored \
                 (did you mean MAYHTTPD_WORKERS?)",
                "unknown variable MAYHTTPD_LOCATIONS is ignored",
            ]
        );
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_ignored() {
        let (flags, warnings) = of(&[
            ("MAYHTTPD_SERVICE_HOST", "10.0.0.1"),
            ("MAYHTTPD_SERVICE_PORT", "80"),
            ("MAYHTTPD_SERVICE_PORT_HTTP", "80"),
            ("MAYHTTPD_PORT", "tcp://10.0.0.1:80"),
            ("MAYHTTPD_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("MAYHTTPD_PORT_80_TCP_PROTO", "tcp"),
            ("MAYHTTPD_PORT_80_TCP_PORT", "80"),
            ("MAYHTTPD_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("MAYHTTPD_WORKERS", "2"),
        ]);
        assert_eq!(flags, "workers=2");
        assert_eq!(
            warnings,
            ["MAYHTTPD_PORT, MAYHTTPD_PORT_80_TCP, MAYHTTPD_PORT_80_TCP_ADDR, MAYHTTPD_PORT_80_TCP_PORT, \
              MAYHTTPD_PORT_80_TCP_PROTO, MAYHTTPD_SERVICE_HOST, MAYHTTPD_SERVICE_PORT, \
              MAYHTTPD_SERVICE_PORT_HTTP belong to a Kubernetes service of this name and are ignored \
              (enableServiceLinks: false removes them)"]
        );
        let (flags, warnings) = of(&[("MAYHTTPD_PORT", "tcp://10.0.0.1:80")]);
        assert_eq!((flags.as_str(), warnings.len()), ("", 1));
    }

    #[test]
    fn a_path_may_be_any_bytes_and_text_must_be_utf8() {
        let bytes = OsString::from_vec(vec![b'/', 0xff]);
        let path = source([("MAYHTTPD_ROOT".into(), bytes.clone())]).unwrap();
        assert_eq!(path.given[0].bytes(), bytes);
        let error = source([("MAYHTTPD_NAME".into(), bytes)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value \"/\u{fffd}\" for MAYHTTPD_NAME: expected text in UTF-8"
        );
    }
}
