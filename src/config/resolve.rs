//! From the texts of all sources to checked settings: which text counts, and what two settings exclude.
//!
//! It reads no file and asks no machine. The first source that gives a value decides, and the values of lower
//! sources are not read. So a flag hides a mistake in a variable. It hides none in a settings file, which
//! [`load`](super::load) resolves by itself first.

use std::path::Path;

use super::location::{self, LocationSettings};
use super::machine::{DOCUMENT_ROOT, Machine};
use super::precedence::{check_exclusion, effective};
use super::row::{ReadSetting, SettingRow};
use super::scope::{Scope, ScopeSettings, routes};
use super::source::given::{Given, SettingOrigin, SettingSource};
use super::{Settings, SiteRoot, UnknownHosts, certificate_source, table, tls_check};
use crate::error::StartupError;

/// The settings that `sources`, the highest first, give on `machine`.
///
/// # Errors
/// [`StartupError::Config`] for a value that is not allowed, [`StartupError::Usage`] for values that
/// can't be combined, [`StartupError::Line`] for either in a file.
pub fn resolve(sources: &[SettingSource], machine: Machine) -> Result<Settings, StartupError> {
    let mut settings = read_sources(sources, machine)?;
    tls_check::check(&mut settings, sources)?;
    Ok(settings)
}

/// Checks a source alone, but for what others may give beside it.
///
/// # Errors
/// As [`resolve`].
pub fn check_alone(source: &SettingSource, machine: Machine) -> Result<(), StartupError> {
    read_sources(std::slice::from_ref(source), machine).map(drop)
}

fn read_sources(sources: &[SettingSource], machine: Machine) -> Result<Settings, StartupError> {
    let mut settings = defaults(machine);
    // The highest first, so that it decides.
    let tables = sources.iter().map(|source| source.scope.clone());
    let mut scope = tables.reduce(ScopeSettings::or).unwrap_or_default();
    for row in table::settings() {
        check_exclusion(sources, row)?;
        let values = effective(sources, row);
        if !values.is_empty() {
            read(&mut settings, &mut scope, row, &values)?;
        }
    }
    settings.scope = settings.scope.with(&scope);
    certificate_source::take(&mut settings.certificates, sources)?;
    tls_check::place_listeners(&mut settings, sources)?;
    // The lowest first, so that the highest has the last word on an extension.
    let types = sources.iter().rev().flat_map(|source| &source.types);
    settings.types = types.map(|(type_of, _)| type_of.clone()).collect();
    take_locations(&mut settings, sources);
    take_hosts(&mut settings, sources);
    check_routes(&settings, sources)?;
    if settings.unknown_hosts == UnknownHosts::Reject && settings.hosts.is_empty() {
        let given = sources.iter().find_map(|source| source.find("unknown-hosts"));
        let why = "there is no [[host]], so all requests would be rejected".to_owned();
        return given.map_or(Ok(settings), |given| Err(given.refuse(why)));
    }
    Ok(settings)
}

/// The settings without any source.
fn defaults(machine: Machine) -> Settings {
    Settings {
        workers: machine.cpus.clamp(1, 1024),
        root: if machine.has_document_root {
            SiteRoot::Directory(DOCUMENT_ROOT.into())
        } else {
            SiteRoot::Welcome
        },
        ..Settings::default()
    }
}

/// Has the row read its values, at least one.
fn read(
    settings: &mut Settings,
    scope: &mut ScopeSettings,
    row: &SettingRow,
    values: &[&Given],
) -> Result<(), StartupError> {
    let first = values[0];
    match row.read {
        ReadSetting::Text(read) => read(settings, first.text()).map_err(|why| first.refuse(why)),
        ReadSetting::Path(read) => {
            read(settings, Path::new(first.bytes()));
            Ok(())
        }
        ReadSetting::List(read) => {
            let texts: Vec<&str> = values.iter().map(|value| value.text()).collect();
            read(settings, &texts).map_err(|(nth, why)| values[nth].refuse(why))
        }
        ReadSetting::Scope => {
            let Some(key) = row.scope_key() else { return Ok(()) };
            values
                .iter()
                .try_for_each(|given| key.read_text(scope, given.text()).map_err(|why| given.refuse(why)))
        }
        ReadSetting::SettingsFile | ReadSetting::Command => Ok(()),
    }
}

/// Takes the locations of the highest source that has any, with a warning for each that never answers.
fn take_locations(settings: &mut Settings, sources: &[SettingSource]) {
    let Some(source) = sources.iter().find(|source| !source.locations.is_empty()) else { return };
    let locations: Vec<LocationSettings> =
        source.locations.iter().map(|(location, _)| location.clone()).collect();
    let places: Vec<&SettingOrigin> = source.locations.iter().map(|(_, origin)| origin).collect();
    warn_of_shadowed(&mut settings.warnings, &locations, &places);
    settings.locations = locations;
}

/// Takes the hosts of the highest source that has any, likewise.
fn take_hosts(settings: &mut Settings, sources: &[SettingSource]) {
    let Some(source) = sources.iter().find(|source| !source.hosts.is_empty()) else { return };
    for given in &source.hosts {
        let places: Vec<&SettingOrigin> = given.locations.iter().collect();
        warn_of_shadowed(&mut settings.warnings, &given.host.locations, &places);
        settings.hosts.push(given.host.clone());
    }
}

/// Checks redirects and rewrites where a table sets one of both lists and inherits the other, for loops that
/// neither has alone.
fn check_routes(settings: &Settings, sources: &[SettingSource]) -> Result<(), StartupError> {
    let check = |outer: &Scope, inner: &ScopeSettings, origin: &SettingOrigin| {
        let scope = outer.with(inner);
        if inner.redirects.is_some() != inner.rewrites.is_some() {
            routes::table(&scope.redirects, &scope.rewrites).map_err(|(_, why)| origin.fault(why))?;
        }
        Ok(scope)
    };
    let source = sources.iter().find(|source| !source.locations.is_empty());
    for (location, origin) in source.iter().flat_map(|source| &source.locations) {
        check(&settings.scope, &location.scope, origin)?;
    }
    let source = sources.iter().find(|source| !source.hosts.is_empty());
    for given in source.iter().flat_map(|source| &source.hosts) {
        let scope = check(&settings.scope, &given.host.scope, &given.origin)?;
        for (location, origin) in given.host.locations.iter().zip(&given.locations) {
            check(&scope, &location.scope, origin)?;
        }
    }
    Ok(())
}

/// Warns of each location that never answers.
fn warn_of_shadowed(warnings: &mut Vec<String>, locations: &[LocationSettings], places: &[&SettingOrigin]) {
    for (later, first) in location::shadowed(locations) {
        let path = &locations[later].path;
        let (later, first) = (places[later].locate(), places[first].locate());
        warnings.push(format!("{later}: this location never answers: {first} has the same path, {path}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::log::LevelFilter;

    use super::*;
    use crate::config::address::{self, ListenAddress};
    use crate::config::certificate::CertificateFiles;
    use crate::config::listener_name::ListenerName;
    use crate::config::network::{Network, Networks};
    use crate::config::scope::file_choice::{CharsetSetting, EtagSetting, HiddenSetting, LinkSetting};
    use crate::config::source::{cli, environment};
    use crate::config::tls::{TlsUnknownNames, TlsVersions};
    use crate::config::{AccessFormat, AccessLogTarget, LogFormat, MissingIndex, RealIpHeader, SandboxMode};

    const HERE: Machine = Machine { cpus: 4, has_document_root: false };

    fn resolved(machine: Machine, flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let sources = [cli::of_flags(flags), environment::source(variables).unwrap()];
        resolve(&sources, machine).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn settings(flags: &[&str], variables: &[(&str, &str)]) -> Settings {
        resolved(HERE, flags, variables).unwrap()
    }

    #[test]
    fn each_default_of_the_table_is_that_of_the_settings() {
        // In words: no value of the setting reads so.
        let in_words =
            ["send-chunk", "cache-entries", "cache-size", "max-connections", "pid-file", "user", "group"];
        let default = Settings { workers: 4, ..Settings::default() };
        assert_eq!(settings(&[], &[]), default);
        for row in table::settings().filter(|row| !row.default.is_empty() && !in_words.contains(&row.long)) {
            let given = settings(&[&row.flag(), row.default], &[]);
            assert_eq!(given, default, "{}", row.long);
        }
        for long in &in_words[..4] {
            assert_eq!(settings(&[&format!("--{long}"), "auto"], &[]), default, "{long}");
        }
    }

    #[test]
    fn each_flag_moves_its_setting_alone() {
        let base = || settings(&[], &[]);
        let with = |scope| Settings { scope, ..base() };
        let seconds = Duration::from_secs;
        let tls = || Settings {
            listen: Vec::new(),
            tls_listen: ["443", "[::1]:444"].map(|address| address::listen(address).unwrap()).into(),
            certificates: vec![CertificateFiles { chain: "c".into(), key: "k".into() }],
            ..base()
        };
        let cases: Vec<(&[&str], Settings)> = vec![
            (&["site"], Settings { root: SiteRoot::Directory("site".into()), ..base() }),
            (&["-r", "site"], Settings { root: SiteRoot::Directory("site".into()), ..base() }),
            (&["--root-document", "site"], Settings { root: SiteRoot::Directory("site".into()), ..base() }),
            (&["--root_document=site"], Settings { root: SiteRoot::Directory("site".into()), ..base() }),
            (&["--admin", "9000"], Settings { admin: "127.0.0.1:9000".parse().ok(), ..base() }),
            (&["--admin", "off"], base()),
            (&["--proxy-protocol", "all"], {
                Settings { proxy_protocol: vec![ListenerName::All], ..base() }
            }),
            (&["--proxy-protocol", "8080,unix:/run/x"], {
                let names = ["*:8080", "unix:/run/x"].map(|name| ListenerName::read(name).unwrap());
                Settings { proxy_protocol: names.into(), ..base() }
            }),
            (&["--proxy-protocol", "off"], base()),
            (&["--trusted-proxies", "10.0.0.0/8", "--trusted-proxies", "unix:"], {
                let networks = ["10.0.0.0/8", "unix:"].map(|network| Network::read(network).unwrap());
                Settings { trusted_proxies: Networks(networks.into()), ..base() }
            }),
            (&["--trusted-proxies", "OFF"], base()),
            (&["--real-ip-header", "Forwarded"], {
                Settings { real_ip_header: RealIpHeader::Forwarded, ..base() }
            }),
            (&["-w", "2"], Settings { workers: 2, ..base() }),
            (&["-w", "auto"], base()),
            (&["-l", "WARNING"], Settings { log_level: LevelFilter::Warn, ..base() }),
            (&["--level_log", "debug"], Settings { log_level: LevelFilter::Debug, ..base() }),
            (&["-f", "x.log"], Settings { log_file: Some("x.log".into()), ..base() }),
            (&["--file_log", "x.log"], Settings { log_file: Some("x.log".into()), ..base() }),
            (&["-f", "-"], base()),
            (&["--log-format", "json"], Settings { log_format: LogFormat::Json, ..base() }),
            (&["--access-log", "-"], Settings { access_log: AccessLogTarget::Stdout, ..base() }),
            (&["--access-log", "a"], Settings { access_log: AccessLogTarget::File("a".into()), ..base() }),
            (&["--access-log", "off"], base()),
            (&["--access-format", "common"], Settings { access_format: AccessFormat::Common, ..base() }),
            (&["--access-format", "JSON"], Settings { access_format: AccessFormat::Json, ..base() }),
            (&["--sendfile", "off"], Settings { sendfile: false, ..base() }),
            (&["--send-chunk", "8K"], Settings { send_chunk: Some(8192), ..base() }),
            (&["--send-chunk", "auto"], base()),
            (&["--index", "start.htm"], with(Scope { index: "start.htm".into(), ..Scope::default() })),
            (&["--wqty", "2"], Settings { workers: 2, ..base() }),
            (&["--backlog", "128"], Settings { backlog: 128, ..base() }),
            (&["--max-connections", "9"], Settings { max_connections: Some(9), ..base() }),
            (&["--idle-timeout", "5"], Settings { idle_timeout: seconds(5), ..base() }),
            (&["--head-timeout", "5s"], Settings { head_timeout: seconds(5), ..base() }),
            (&["--send-timeout", "2m"], Settings { send_timeout: seconds(120), ..base() }),
            (&["--drain-timeout", "0"], Settings { drain_timeout: seconds(0), ..base() }),
            (&["--watchdog", "2s"], Settings { watchdog: Some(seconds(2)), ..base() }),
            (&["--watchdog", "off"], Settings { watchdog: None, ..base() }),
            (&["--cache-valid", "0"], Settings { cache_valid: seconds(0), ..base() }),
            (&["--cache-entries", "7"], Settings { cache_entries: Some(7), ..base() }),
            (&["--cache-size", "1K"], Settings { cache_size: Some(1024), ..base() }),
            (&["--find-limit", "9"], Settings { find_limit: 9, ..base() }),
            (&["--cpu-affinity"], Settings { cpu_affinity: true, ..base() }),
            (&["--cpu-affinity", "off"], base()),
            (&["--disk-threads", "0"], Settings { disk_threads: 0, ..base() }),
            (&["--cpu-threads", "16"], Settings { cpu_threads: 16, ..base() }),
            (&["--user", "www", "--group", "33"], {
                Settings { user: Some("www".into()), group: Some("33".into()), ..base() }
            }),
            (&["--sandbox", "off"], Settings { sandbox: SandboxMode::Off, ..base() }),
            (&["--sandbox", "require"], Settings { sandbox: SandboxMode::Require, ..base() }),
            (&["--sandbox", "on"], base()),
            (&["--name", "x/1"], Settings { name: "x/1".into(), ..base() }),
            (&["--missing-index", "404"], {
                with(Scope { missing_index: MissingIndex::NotFound, ..Scope::default() })
            }),
            (&["--listing"], with(Scope { listing: true, ..Scope::default() })),
            (&["--listing=on"], with(Scope { listing: true, ..Scope::default() })),
            (&["--precompressed", "off"], with(Scope { precompressed: false, ..Scope::default() })),
            (&["--precompressed"], base()),
            (&["--compress"], with(Scope { compress: true, ..Scope::default() })),
            (&["--compress", "off"], base()),
            (&["--compress-cache", "8M"], Settings { compress_cache: 8 << 20, ..base() }),
            (&["--site-files"], with(Scope { site_files: true, ..Scope::default() })),
            (&["--hidden", "deny"], with(Scope { hidden: HiddenSetting::Deny, ..Scope::default() })),
            (&["--dotfiles", "serve"], with(Scope { hidden: HiddenSetting::Serve, ..Scope::default() })),
            (&["--etag", "stamp"], with(Scope { etag: EtagSetting::Stamp, ..Scope::default() })),
            (
                &["--etag-content-limit", "1M"],
                with(Scope { etag_content_limit: 1 << 20, ..Scope::default() }),
            ),
            (&["--page-cache-control", ""], with(Scope { page_cache_control: None, ..Scope::default() })),
            (&["--immutable-names"], with(Scope { immutable_names: true, ..Scope::default() })),
            (&["--charset", "utf-8"], with(Scope { charset: CharsetSetting::Utf8, ..Scope::default() })),
            (&["--tls-listen", "off"], base()),
            (&["--tls-listen", "443,[::1]:444", "--tls-cert", "c", "--tls-key", "k"], tls()),
            (
                &[
                    "--tls-listen",
                    "[::1]:444",
                    "--tls-listen",
                    "*:443",
                    "--tls-key=k",
                    "--tls-cert=c",
                    "-p81",
                ],
                {
                    let tls_listen = tls().tls_listen.into_iter().rev().collect();
                    Settings { listen: vec![ListenAddress::Any(81)], tls_listen, ..tls() }
                },
            ),
            (
                &["--tls-listen=443,[::1]:444", "--tls-cert=c", "--tls-key=k", "--https-redirect"],
                Settings { https_redirect: true, ..tls() },
            ),
            (&["--https-redirect", "off"], base()),
            (&["--tls-unknown-names", "reject"], {
                Settings { tls_unknown_names: TlsUnknownNames::Reject, ..base() }
            }),
            (&["--tls-versions", "1.3"], {
                Settings { tls_versions: TlsVersions { tls12: false, tls13: true }, ..base() }
            }),
            (&["--tls-versions", "1.3,1.2"], base()),
            (&["--http2", "off"], Settings { http2: false, ..base() }),
            (&["--http2-plain"], Settings { http2_plain: true, ..base() }),
            (&["--acme-challenges", "d"], Settings { acme_challenges: Some("d".into()), ..base() }),
            (&["--acme-challenges", "OFF"], base()),
            (&["--symlinks", "follow"], with(Scope { symlinks: LinkSetting::Follow, ..Scope::default() })),
        ];
        for (flags, expected) in cases {
            assert_eq!(settings(flags, &[]), expected, "{flags:?}");
        }
    }

    #[test]
    fn a_flag_wins_over_a_variable() {
        let variables = [("MAYHTTPD_WORKERS", "3"), ("MAYHTTPD_ROOT", "b"), ("MAYHTTPD_LISTING", "on")];
        let from_variables = settings(&[], &variables);
        assert_eq!(from_variables.workers, 3);
        assert_eq!(from_variables.root, SiteRoot::Directory("b".into()));
        assert!(from_variables.scope.listing);
        let both = settings(&["-w", "2", "a", "--listing", "off"], &variables);
        assert_eq!(both.workers, 2);
        assert_eq!(both.root, SiteRoot::Directory("a".into()));
        assert!(!both.scope.listing);
    }

    #[test]
    fn a_document_root_beside_the_server_is_served_unless_another_is_named() {
        let with = Machine { has_document_root: true, ..HERE };
        let root = |flags| resolved(with, flags, &[]).unwrap().root;
        assert_eq!(root(&[]), SiteRoot::Directory(DOCUMENT_ROOT.into()));
        assert_eq!(root(&["site"]), SiteRoot::Directory("site".into()));
    }

    #[test]
    fn workers_of_a_very_large_machine_stay_within_bounds() {
        let large = Machine { cpus: 4096, ..HERE };
        assert_eq!(resolved(large, &[], &[]).unwrap().workers, 1024);
    }

    #[test]
    fn a_bad_value_names_its_flag_or_variable_and_what_is_allowed() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 11] = [
            (
                &["-w", "0"],
                &[],
                "invalid value \"0\" for --workers: expected a number from 1 to 1024, or auto",
            ),
            (
                &[],
                &[("MAYHTTPD_WORKERS", "x")],
                "invalid value \"x\" for MAYHTTPD_WORKERS: expected a number from 1 to 1024, or auto",
            ),
            (
                &["--disk-threads", "257"],
                &[],
                "invalid value \"257\" for --disk-threads: expected a number from 0 to 256",
            ),
            (
                &["--cpu-threads", "0"],
                &[],
                "invalid value \"0\" for --cpu-threads: expected a number from 1 to 16",
            ),
            (
                &["--missing-index", "500"],
                &[],
                "invalid value \"500\" for --missing-index: expected 403 or 404",
            ),
            (
                &["--trusted-proxies", "10.0.0.1/8"],
                &[],
                "invalid value \"10.0.0.1/8\" for --trusted-proxies: has bits beyond its prefix: \
                 expected 10.0.0.0/8, or 10.0.0.1 alone",
            ),
            (
                &[],
                &[("MAYHTTPD_TRUSTED_PROXIES", "::1,off")],
                "invalid value \"off\" for MAYHTTPD_TRUSTED_PROXIES: \
                 expected a network as 10.0.0.0/8, an IP address, unix: or all",
            ),
            (
                &["--real-ip-header", "cf-connecting-ip"],
                &[],
                "invalid value \"cf-connecting-ip\" for --real-ip-header: \
                 expected x-forwarded-for, forwarded or x-real-ip",
            ),
            (
                &["--dotfiles", "on"],
                &[],
                "invalid value \"on\" for --hidden: expected deny, well-known or serve",
            ),
            (
                &["--listing", "site"],
                &[],
                "invalid value \"site\" for --listing: expected on or off \
                 (put ROOT before a flag without a value)",
            ),
            (
                &["--name", "a\nb"],
                &[],
                "invalid value \"a\\nb\" for --name: expected 1 to 128 visible ASCII characters, \
                 spaces only between them",
            ),
        ];
        for (flags, variables, error) in cases {
            assert_eq!(resolved(HERE, flags, variables), Err(error.to_owned()));
        }
    }

    #[test]
    fn an_address_is_listen_or_host_and_port() {
        let listen = |flags: &[&str]| {
            let list = resolved(HERE, flags, &[])?.listen;
            Ok::<_, String>(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (flags, addresses) in [
            (&[][..], "*:8080"),
            (&["-p", "80"], "*:80"),
            (&["-a", "0.0.0.0", "-p", "80"], "0.0.0.0:80"),
            (&["-a", "127.0.0.1"], "127.0.0.1:8080"),
            (&["--host", "::1", "--port=81"], "[::1]:81"),
            (&["--listen", "[::]:80", "--listen", ":80"], "[::]:80 0.0.0.0:80"),
            (&["--listen", "80,localhost:81"], "*:80 127.0.0.1:81"),
        ] {
            assert_eq!(listen(flags).as_deref(), Ok(addresses), "{flags:?}");
        }
        for (flags, error) in [
            (&["-p", "65536"][..], "invalid value \"65536\" for --port: expected a number from 0 to 65535"),
            (&["-a", "example.org"], "invalid value \"example.org\" for --host: expected an IP address"),
            (&["--listen", "1.2.3.4"], "invalid value \"1.2.3.4\" for --listen: expected ADDR:PORT"),
            (&["--listen", "80,:80"], "invalid value \":80\" for --listen: *:80 is given twice"),
            (&["--listen", "80", "-a", "::"], "--listen and --host can't be combined"),
            (&["--listen", "80", "-p", "80"], "--listen and --port can't be combined"),
        ] {
            let found = listen(flags).unwrap_err();
            assert!(found.starts_with(error), "{flags:?}: {found}");
        }
    }

    #[test]
    fn the_higher_source_decides_between_listen_and_port() {
        let listen = |flags: &[&str], variables: &[(&str, &str)]| {
            let list = resolved(HERE, flags, variables)?.listen;
            Ok::<_, String>(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let both = |flags: &[&str], name: &str, value: &str| listen(flags, &[(name, value)]);
        assert_eq!(both(&["-p", "81"], "MAYHTTPD_HOST", "::1").as_deref(), Ok("[::1]:81"));
        assert_eq!(both(&["-p", "81"], "MAYHTTPD_LISTEN", "[::1]:80").as_deref(), Ok("*:81"));
        assert_eq!(both(&["--listen", "[::1]:80"], "MAYHTTPD_PORT", "81").as_deref(), Ok("[::1]:80"));
        assert_eq!(both(&["--listen", "80"], "MAYHTTPD_PORT", "bad").as_deref(), Ok("*:80"));
        assert_eq!(
            listen(&[], &[("MAYHTTPD_LISTEN", "80"), ("MAYHTTPD_PORT", "80")]),
            Err("MAYHTTPD_LISTEN and MAYHTTPD_PORT can't be combined".to_owned())
        );
    }
}
