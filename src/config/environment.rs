//! The environment as a layer: `MAYHTTPD_<LONG_NAME>` for every flag that takes a value.
//!
//! It owns the names of the variables and the warnings about unknown ones. The values stay unread.
//!
//! The variables are put through the parser of the flags, so that a new flag has its variable without a
//! second list. They come as an argument, because a test can't set the variables of its own process safely.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::cli::{self, Raw};
use super::kubernetes;
use super::layer::{Layer, Origin};
use super::spelling;
use crate::error::StartupError;

/// What every variable of ours begins with.
const PREFIX: &str = "MAYHTTPD_";

/// The layer that `variables` make, and a warning for each of ours that means nothing.
///
/// An empty variable counts as not given: that is what `${PORT:-}` in a compose file leaves.
///
/// # Errors
/// [`StartupError::Config`] for a value that is not UTF-8 where text is needed.
pub fn layer(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Layer, Vec<String>), StartupError> {
    let known: BTreeMap<String, String> = cli::with_value()
        .filter_map(|flag| flag.get_long().map(|long| (variable(long), long.to_owned())))
        .collect();
    let mut given = BTreeMap::new();
    let mut warnings = Vec::new();
    let mut of_services = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let long = known.get(name);
        let of_service = match long {
            Some(_) => kubernetes::is_address(&value),
            None => kubernetes::is_of_service(rest, &value),
        };
        if of_service {
            of_services.push(name.to_owned());
            continue;
        }
        let Some(long) = long else {
            warnings.push(unknown(name, known.keys().map(String::as_str)));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let flag = cli::argument(long, &value);
        // Tried alone, because the parser's error would name the flag and not the variable.
        if Raw::of([flag.clone()]).is_err() {
            let why = "expected text in UTF-8".to_owned();
            return Err(Origin::Environment.refuse(long, 0, &value.to_string_lossy(), why));
        }
        given.insert(long.clone(), flag);
    }
    if !of_services.is_empty() {
        of_services.sort_unstable();
        warnings.push(kubernetes::passed_over(&of_services));
    }
    let raw = Raw::of(given.into_values()).map_err(|error| super::usage(&error))?;
    Ok((Layer { origin: Origin::Environment, raw }, warnings))
}

/// The variable of a flag's long name: `MAYHTTPD_LOG_LEVEL` for `log-level`.
pub fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_uppercase())
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match spelling::nearest(name, known) {
        Some(other) => {
            format!("unknown variable {name} is passed over, the nearest known one is {other}")
        }
        None => format!("unknown variable {name} is passed over"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn of(list: &[(&str, &str)]) -> (Raw, Vec<String>) {
        let (layer, warnings) = layer(list.iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
        assert_eq!(layer.origin, Origin::Environment);
        (layer.raw, warnings)
    }

    #[test]
    fn every_long_flag_has_a_variable() {
        let (raw, warnings) = of(&[
            ("PATH", "/bin"),
            ("MAYHTTPD_ROOT", "/srv"),
            ("MAYHTTPD_LOG_LEVEL", "warn"),
            ("MAYHTTPD_CPU_AFFINITY", "on"),
            ("MAYHTTPD_LISTEN", "80,[::]:80"),
            ("MAYHTTPD_NAME", "-odd-"),
            ("MAYHTTPD_PORT", ""),
        ]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(raw.root, Some("/srv".into()));
        assert_eq!(raw.log_level.as_deref(), Some("warn"));
        assert_eq!(raw.cpu_affinity.as_deref(), Some("on"));
        assert_eq!(raw.listen, Some(vec!["80".to_owned(), "[::]:80".to_owned()]));
        assert_eq!(raw.name.as_deref(), Some("-odd-"));
        assert_eq!(raw.port, None);
    }

    #[test]
    fn an_unknown_variable_is_reported_with_the_nearest_name() {
        let (raw, warnings) = of(&[("MAYHTTPD_WORKRES", "4"), ("MAYHTTPD_LOCATIONS", "x")]);
        assert_eq!(raw, Raw::default());
        assert_eq!(
            warnings,
            [
                "unknown variable MAYHTTPD_WORKRES is passed over, \
                 the nearest known one is MAYHTTPD_WORKERS",
                "unknown variable MAYHTTPD_LOCATIONS is passed over",
            ]
        );
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_our_name_is_passed_over() {
        let (raw, warnings) = of(&[
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
        assert_eq!(raw, Raw::of(["--workers=2".into()]).unwrap());
        assert_eq!(
            warnings,
            ["MAYHTTPD_PORT, MAYHTTPD_PORT_80_TCP, MAYHTTPD_PORT_80_TCP_ADDR, MAYHTTPD_PORT_80_TCP_PORT, \
              MAYHTTPD_PORT_80_TCP_PROTO, MAYHTTPD_SERVICE_HOST, MAYHTTPD_SERVICE_PORT, \
              MAYHTTPD_SERVICE_PORT_HTTP are about a Kubernetes service of this name and passed over \
              (enableServiceLinks: false keeps them away)"]
        );
        let (raw, warnings) = of(&[("MAYHTTPD_PORT", "tcp://10.0.0.1:80")]);
        assert_eq!((raw, warnings.len()), (Raw::default(), 1));
    }

    #[test]
    fn a_path_may_be_any_bytes_and_text_must_be_utf8() {
        let bytes = OsString::from_vec(vec![b'/', 0xff]);
        let (path, _) = layer([("MAYHTTPD_ROOT".into(), bytes.clone())]).unwrap();
        assert_eq!(path.raw.root, Some(bytes.clone().into()));
        let error = layer([("MAYHTTPD_NAME".into(), bytes)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value \"/\u{fffd}\" for MAYHTTPD_NAME: expected text in UTF-8"
        );
    }
}
