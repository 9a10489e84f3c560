//! Checks across the settings of TLS: what one of them needs of another one.
//!
//! What all sources have to say together can't be checked in a file alone: a flag may give the rest.

use super::address::ListenAddress;
use super::certificate_source;
use super::precedence::effective;
use super::source::given::{Given, SettingSource};
use super::{Settings, table};
use crate::error::StartupError;

/// The settings of listeners without TLS.
const PLAIN: [&str; 3] = ["listen", "host", "port"];

/// Leaves only TLS listeners if no source gives an address of another one, and checks that none overlaps.
///
/// # Errors
/// [`StartupError::Config`], or [`StartupError::Line`] in a file, for an address that both kinds have.
pub fn place_listeners(settings: &mut Settings, sources: &[SettingSource]) -> Result<(), StartupError> {
    let is_given = sources.iter().any(|source| PLAIN.iter().any(|long| source.find(long).is_some()));
    if !settings.tls_listen.is_empty() && !is_given {
        settings.listen.clear();
    }
    for (nth, address) in settings.tls_listen.iter().enumerate() {
        let other = settings.listen.iter().find(|other| other.overlaps(*address));
        if let Some((other, given)) = other.zip(given(sources, "tls-listen").get(nth)) {
            return Err(given.refuse(overlap(*address, *other)));
        }
    }
    Ok(())
}

fn overlap(address: ListenAddress, plain: ListenAddress) -> String {
    match address == plain {
        true => format!("{address} is an address without TLS already"),
        false => format!("{address} overlaps {plain}, an address without TLS"),
    }
}

/// Checks what all sources say together, and warns of certificates without use.
///
/// # Errors
/// [`StartupError::Usage`], or [`StartupError::Line`] in a file, for a setting that needs another one.
pub fn check(settings: &mut Settings, sources: &[SettingSource]) -> Result<(), StartupError> {
    let has_tls = !settings.tls_listen.is_empty();
    if settings.listen.is_empty() {
        if !has_tls {
            return Err(fault(sources, "listen", "leaves no listener"));
        }
        if settings.acme_challenges.is_some() {
            let why = "needs a listener without TLS: --listen, --host or --port";
            return Err(fault(sources, "acme-challenges", why));
        }
    }
    if !has_tls && settings.https_redirect {
        return Err(fault(sources, "https-redirect", "needs --tls-listen"));
    }
    if has_tls && settings.certificates.is_empty() {
        let why = "needs a certificate: --tls-cert and --tls-key, or [[certificate]]";
        return Err(fault(sources, "tls-listen", why));
    }
    if !has_tls {
        let unused = certificate_source::origins(sources).into_iter();
        settings
            .warnings
            .extend(unused.map(|place| format!("{place}: this certificate has no use without --tls-listen")));
    }
    Ok(())
}

/// The error for a setting that some source gives.
fn fault(sources: &[SettingSource], long: &str, why: &str) -> StartupError {
    match given(sources, long).first() {
        Some(given) => given.origin.fault(why.to_owned()),
        None => StartupError::Usage(format!("--{long}: {why}")),
    }
}

/// The texts of a setting that count.
fn given<'a>(sources: &'a [SettingSource], long: &str) -> Vec<&'a Given> {
    table::row(long).map(|row| effective(sources, row)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::certificate::CertificateFiles;
    use crate::config::machine::Machine;
    use crate::config::resolve::{check_alone, resolve};
    use crate::config::source::{cli, environment, toml};

    const HERE: Machine = Machine { cpus: 1, has_document_root: false };

    const PAIR: &str = "[[certificate]]\nchain = 'c'\nkey = 'k'\n";

    /// The settings of these flags, variables and files, the higher first.
    fn settings(flags: &[&str], variables: &[(&str, &str)], files: &[&str]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let mut sources = vec![cli::of_flags(flags), environment::source(variables).unwrap()];
        for text in files {
            let file = toml::parse(Path::new("may.toml"), text.as_bytes());
            let file = file.and_then(|file| check_alone(&file, HERE).map(|()| file));
            sources.push(file.map_err(|error| error.to_string())?);
        }
        resolve(&sources, HERE).map_err(|error| error.to_string())
    }

    fn shown(addresses: &[ListenAddress]) -> String {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tls_listeners_stand_alone_unless_an_address_without_tls_is_given() {
        let tls = format!("tls_listen = ['*:443']\n{PAIR}");
        for (flags, files, plain) in [
            (&[][..], &[&tls[..]][..], ""),
            (&["-p", "80"], &[&tls], "*:80"),
            (&["--listen", "off"], &[&tls], ""),
            (&[], &[&tls, "port = 81"], "*:81"),
            (&[], &[&tls, "listen = ['[::1]:80', '82']"], "[::1]:80 *:82"),
            (&["--tls-listen", "off"], &[&tls], "*:8080"),
            (&["--tls-listen", "off"], &[&tls, "host = '::1'"], "[::1]:8080"),
        ] {
            let settings = settings(flags, &[], files).unwrap();
            assert_eq!(shown(&settings.listen), plain, "{flags:?} {files:?}");
            assert_eq!(settings.tls_listen.is_empty(), flags.contains(&"--tls-listen"));
        }
    }

    #[test]
    fn the_highest_source_that_names_a_certificate_counts() {
        let files = |chain: &str, key: &str| CertificateFiles { chain: chain.into(), key: key.into() };
        let listen = ("MAYHTTPD_TLS_LISTEN", "443");
        let of = |flags: &[&str], variables: &[(&str, &str)], file: &str| {
            settings(flags, &[&[listen], variables].concat(), &[file]).map(|settings| settings.certificates)
        };
        let two = format!("{PAIR}[[certificate]]\nkey = 'l'\nchain = 'd'\n");
        let variables = [("MAYHTTPD_TLS_CERT", "e"), ("MAYHTTPD_TLS_KEY", "f")];
        assert_eq!(of(&[], &[], &two), Ok(vec![files("c", "k"), files("d", "l")]));
        assert_eq!(of(&[], &variables, &two), Ok(vec![files("e", "f")]));
        assert_eq!(of(&["--tls-cert=g", "--tls-key=h"], &variables, &two), Ok(vec![files("g", "h")]));
        assert_eq!(of(&[], &[], "tls_cert = 'a'\ntls_key = 'b'"), Ok(vec![files("a", "b")]));
        let under_table =
            settings(&[], &[], &[&format!("tls_listen = '443'\n{PAIR}"), "tls_cert = 'a'\ntls_key = 'b'"]);
        assert_eq!(under_table.unwrap().certificates, [files("c", "k")]);
    }

    #[test]
    fn what_needs_something_else_is_refused_with_its_place() {
        let needs_certificate = "needs a certificate: --tls-cert and --tls-key, or [[certificate]]";
        let flags: &[(&[&str], String)] = &[
            (&["--tls-listen", "443"], format!("--tls-listen: {needs_certificate}")),
            (&["--https-redirect"], "--https-redirect: needs --tls-listen".to_owned()),
            (&["--listen", "off"], "--listen: leaves no listener".to_owned()),
            (&["--tls-cert", "c"], "--tls-cert: needs --tls-key beside it".to_owned()),
            (&["--tls-key", "k", "-p80"], "--tls-key: needs --tls-cert beside it".to_owned()),
            (
                &["--tls-listen", "443", "--tls-cert=c", "--tls-key=k", "--acme-challenges", "d"],
                "--acme-challenges: needs a listener without TLS: --listen, --host or --port".to_owned(),
            ),
            (
                &["--tls-listen", "444,443", "-p", "443", "--tls-cert=c", "--tls-key=k"],
                "invalid value \"443\" for --tls-listen: *:443 is an address without TLS already".to_owned(),
            ),
            (
                &["--tls-listen", "[::1]:443", "--listen", "443"],
                "invalid value \"[::1]:443\" for --tls-listen: [::1]:443 overlaps *:443, an address without TLS"
                    .to_owned(),
            ),
            (
                &["--tls-listen", "443,*:443"],
                "invalid value \"*:443\" for --tls-listen: *:443 is given twice".to_owned(),
            ),
        ];
        for (flags, error) in flags {
            assert_eq!(settings(flags, &[], &[]), Err(error.clone()), "{flags:?}");
        }
        for (file, error) in [
            (
                format!("https_redirect = true\n{PAIR}"),
                "may.toml:1:18: https_redirect: needs --tls-listen".to_owned(),
            ),
            ("\ntls_listen = ['443']".to_owned(), format!("may.toml:2:15: tls_listen: {needs_certificate}")),
            ("tls_key = 'k'".to_owned(), "may.toml:1:11: tls_key: needs tls_cert beside it".to_owned()),
            (
                format!("tls_cert = 'c'\ntls_key = 'k'\n{PAIR}"),
                "may.toml:1:12: tls_cert: can't be combined with [[certificate]]".to_owned(),
            ),
            (
                "listen = ['80']\ntls_listen = ['81',\n':80']".to_owned(),
                "may.toml:3:1: tls_listen: invalid value \":80\" (*:80 is an address without TLS already)"
                    .to_owned(),
            ),
        ] {
            assert_eq!(settings(&[], &[], &[&file]), Err(error), "{file}");
        }
        assert_eq!(
            settings(&[], &[("MAYHTTPD_TLS_CERT", "c")], &[]),
            Err("MAYHTTPD_TLS_CERT: needs MAYHTTPD_TLS_KEY beside it".to_owned())
        );
    }

    #[test]
    fn a_flag_may_give_the_rest_of_a_file_and_a_certificate_without_use_is_a_warning() {
        let flags = ["--tls-cert=c", "--tls-key=k"];
        assert!(settings(&flags, &[], &["tls_listen = '443'\nhttps_redirect = true"]).is_ok());
        let warnings = |flags: &[&str], file: &str| settings(flags, &[], &[file]).unwrap().warnings;
        assert_eq!(
            warnings(&[], &format!("port = 80\n{PAIR}{PAIR}")),
            [2, 5].map(|line| format!("may.toml:{line}: this certificate has no use without --tls-listen"))
        );
        assert_eq!(
            warnings(&flags, ""),
            ["--tls-cert, --tls-key: this certificate has no use without --tls-listen"]
        );
    }
}
