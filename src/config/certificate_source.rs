//! Which source's certificates count: those of the highest that gives any, by tables or by flags.

use super::certificate::{CertificateFiles, KEY};
use super::source::given::{SettingOrigin, SettingSource};
use crate::error::StartupError;

/// The flags that name one certificate: its chain and its key.
const FLAGS: [&str; 2] = ["tls-cert", "tls-key"];

/// Takes the certificates of the highest source that gives any, by tables or by flags. `certificates` are
/// those that the flags have given.
///
/// # Errors
/// [`StartupError::Usage`], or [`StartupError::Line`] in a file, if that source gives both, or only one of
/// the two files.
pub fn take(certificates: &mut Vec<CertificateFiles>, sources: &[SettingSource]) -> Result<(), StartupError> {
    let Some(source) = sources.iter().find(|source| gives_any(source)) else { return Ok(()) };
    let [chain, key] = FLAGS.map(|flag| source.find(flag));
    match (chain, key, &*source.certificates) {
        (None, None, tables) => *certificates = tables.iter().map(|(files, _)| files.clone()).collect(),
        (Some(given), _, [_, ..]) | (_, Some(given), [_, ..]) => {
            return Err(given.origin.fault(format!("can't be combined with [[{KEY}]]")));
        }
        (Some(chain), None, []) => return Err(chain.origin.fault(needs(&chain.origin, FLAGS[1]))),
        (None, Some(key), []) => return Err(key.origin.fault(needs(&key.origin, FLAGS[0]))),
        (Some(_), Some(_), []) => {}
    }
    Ok(())
}

fn gives_any(source: &SettingSource) -> bool {
    !source.certificates.is_empty() || FLAGS.iter().any(|flag| source.find(flag).is_some())
}

/// The words for a file of a certificate without the other one, in the spelling of its source.
fn needs(origin: &SettingOrigin, flag: &str) -> String {
    let key = flag.replace('-', "_");
    let other = match origin {
        SettingOrigin::Flag(_) => format!("--{flag}"),
        SettingOrigin::Variable(_) => format!("MAYHTTPD_{}", key.to_uppercase()),
        SettingOrigin::File { .. } => key,
    };
    format!("needs {other} beside it")
}

/// Where each certificate of the highest source that gives any stands.
pub fn origins(sources: &[SettingSource]) -> Vec<String> {
    let Some(source) = sources.iter().find(|source| gives_any(source)) else { return Vec::new() };
    if !source.certificates.is_empty() {
        return source.certificates.iter().map(|(_, origin)| origin.locate()).collect();
    }
    let places: Vec<String> =
        FLAGS.iter().filter_map(|flag| Some(source.find(flag)?.origin.locate())).collect();
    vec![places.join(", ")]
}
