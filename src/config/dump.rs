//! All settings as a settings file: each with its value, and behind it where that comes from.
//!
//! It loops over the table; how a value is written is in [`show`](super::show). What a file can't have is a
//! comment: a default that depends on the machine or on the user that starts the server, and a path that is
//! not UTF-8.

use std::fmt::{Arguments, Write};

use super::precedence::effective;
use super::row::SettingRow;
use super::scope::routes::in_order;
use super::scope::{ScopeSettings, header_tables, keys as scope_keys};
use super::show::{Shown, string};
use super::source::given::{Given, SettingSource};
use super::{Settings, certificate, certificate_source, host, location, table, table_key};

/// Settings whose defaults were lowered, and why.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lowered<'a> {
    /// The long flags.
    pub flags: &'a [&'a str],
    /// The reason.
    pub reason: &'a str,
}

/// The file of `settings`, which come from `sources`, the highest first.
pub fn page(settings: &Settings, sources: &[SettingSource], lowered: Lowered<'_>) -> String {
    let mut page =
        format!("# The settings of mayhttpd {}, and where each comes from.\n", env!("CARGO_PKG_VERSION"));
    for warning in &settings.warnings {
        line(&mut page, format_args!("# {}", on_one_line(warning)));
    }
    let mut section = "";
    for row in table::settings() {
        let shown = row.shown(settings);
        if shown != Shown::Nothing && section != row.section {
            section = row.section;
            line(&mut page, format_args!("\n# {section}"));
        }
        let mut origin = on_one_line(&origin(sources, row));
        if lowered.flags.contains(&row.long) {
            origin = format!("{origin}, {}", lowered.reason);
        }
        match shown {
            Shown::Value(value) => line(&mut page, format_args!("{} = {value}  # {origin}", row.key())),
            Shown::Comment(words) => line(&mut page, format_args!("# {}: {words}  # {origin}", row.key())),
            Shown::Nothing => {}
        }
    }
    scope(&mut page, settings, sources);
    rules(&mut page, "", &settings.scope.clone().into());
    types(&mut page, settings, sources);
    for (files, place) in settings.certificates.iter().zip(certificate_source::origins(sources)) {
        table_of(&mut page, certificate::KEY, &place, certificate::entries(files));
    }
    locations(&mut page, settings, sources);
    hosts(&mut page, settings, sources);
    page
}

/// Where the value of a setting comes from, as its user would look for it.
fn origin(sources: &[SettingSource], row: &SettingRow) -> String {
    let first =
        |row: &SettingRow| effective(sources, row).first().map(|given: &&Given| given.origin.locate());
    if let Some(place) = first(row) {
        return place;
    }
    let replaced = row.replaces.iter().filter_map(|long| table::row(long)).filter_map(first);
    match replaced.collect::<Vec<_>>() {
        places if places.is_empty() => "default".to_owned(),
        places => places.join(", "),
    }
}

/// What has no flag and may be set for the whole server.
fn scope(page: &mut String, settings: &Settings, sources: &[SettingSource]) {
    let given = sources.iter().map(|source| source.scope.clone());
    let given = given.reduce(ScopeSettings::or).unwrap_or_default();
    for (key, _) in table_key::entries(scope_keys::KEYS, &given) {
        let row = scope_keys::by_name(key).filter(|_| table::by_key(key).is_none());
        let value = row.and_then(|row| (row.show)(&ScopeSettings::from(settings.scope.clone())));
        let mut origins = sources.iter().flat_map(|source| &source.scope_origins);
        let origin = origins.find(|(name, _)| *name == key).map(|(_, origin)| origin.locate());
        if let Some(value) = value {
            line(page, format_args!("{key} = {value}  # {}", on_one_line(&origin.unwrap_or_default())));
        }
    }
}

/// The media types, as a table.
fn types(page: &mut String, settings: &Settings, sources: &[SettingSource]) {
    if !settings.types.is_empty() {
        line(page, format_args!("\n[types]"));
    }
    for (extension, media) in &settings.types {
        let mut types = sources.iter().flat_map(|source| &source.types);
        let origin = types.find(|((other, _), _)| other == extension).map(|(_, origin)| origin.locate());
        let origin = on_one_line(&origin.unwrap_or_default());
        line(page, format_args!("{} = {}  # {origin}", string(extension), string(media)));
    }
}

/// The locations, as tables, behind everything else.
fn locations(page: &mut String, settings: &Settings, sources: &[SettingSource]) {
    let source = sources.iter().find(|source| !source.locations.is_empty());
    let places = source.into_iter().flat_map(|source| &source.locations).map(|(_, origin)| origin.locate());
    for (location, place) in settings.locations.iter().zip(places) {
        table_of(page, location::KEY, &place, location::keys::entries(location));
        rules(page, "location.", &location.scope);
    }
}

/// The hosts with their locations, likewise.
fn hosts(page: &mut String, settings: &Settings, sources: &[SettingSource]) {
    let source = sources.iter().find(|source| !source.hosts.is_empty());
    let given = source.into_iter().flat_map(|source| &source.hosts);
    for (host, given) in settings.hosts.iter().zip(given) {
        table_of(page, host::KEY, &given.origin.locate(), host::keys::entries(host));
        rules(page, "host.", &host.scope);
        for (location, origin) in host.locations.iter().zip(&given.locations) {
            table_of(page, "host.location", &origin.locate(), location::keys::entries(location));
            rules(page, "host.location.", &location.scope);
        }
    }
}

fn table_of(page: &mut String, key: &str, place: &str, entries: Vec<(&str, String)>) {
    line(page, format_args!("\n[[{key}]]  # {}", on_one_line(place)));
    for (key, value) in entries {
        line(page, format_args!("{key} = {value}"));
    }
}

/// Redirects and rewrites in their order, and header rules, as tables below the one of `outer`.
fn rules(page: &mut String, outer: &str, scope: &ScopeSettings) {
    let (redirects, rewrites) = (scope.redirects.clone(), scope.rewrites.clone());
    for setting in in_order(&redirects.unwrap_or_default(), &rewrites.unwrap_or_default()) {
        let (key, entries) = setting.entries();
        rule(page, &format!("{outer}{key}"), entries);
    }
    for setting in scope.header_tables.iter().flat_map(|tables| tables.0.iter()) {
        rule(page, &format!("{outer}{}", header_tables::KEY), setting.entries());
    }
}

fn rule(page: &mut String, key: &str, entries: Vec<(&str, String)>) {
    line(page, format_args!("\n[[{key}]]"));
    entries.into_iter().for_each(|(key, value)| line(page, format_args!("{key} = {value}")));
}

fn line(page: &mut String, words: Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(page, "{words}");
}

/// A comment must not end before its line does.
fn on_one_line(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::config::SiteRoot;
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;
    use crate::config::source::{self, cli, environment};

    const HERE: Machine = Machine { cpus: 4, has_document_root: false };

    fn sources(flags: &[&str], variables: &[(&str, &str)], text: &str) -> Vec<SettingSource> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        vec![cli::of_flags(flags), environment::source(variables).unwrap(), file(text)]
    }

    fn file(text: &str) -> SettingSource {
        source::toml::parse(Path::new("may.toml"), text.as_bytes()).unwrap()
    }

    fn dumped(sources: &[SettingSource]) -> (Settings, String) {
        let settings = resolve(sources, HERE).unwrap();
        let page = page(&settings, sources, Lowered::default());
        (settings, page)
    }

    #[test]
    fn every_setting_is_shown_by_its_row_or_by_the_one_that_replaces_it() {
        let settings = Settings::default();
        for row in table::settings().filter(|row| row.shown(&settings) == Shown::Nothing) {
            // What a pair of flags gives is shown as a table.
            let is_table = ["tls-cert", "tls-key"].contains(&row.long);
            let is_replaced = table::settings().any(|other| other.replaces.contains(&row.long));
            assert!(is_table || is_replaced, "{}", row.long);
        }
    }

    #[test]
    fn a_dump_is_a_file_of_the_same_settings() {
        let rows: &[&[&str]] = &[
            &[],
            &["a \"b\" \\ c\n\u{7f}#"],
            &["--root=é", "--missing-index=404", "--listing", "--dotfiles=serve", "--name=\"a\\b\" # c"],
            &["-a::1", "-p0", "--precompressed=off", "--compress", "--compress-cache=1000"],
            &["--listen=[fe80::1%2]:80,:81,0", "--backlog=2147483647", "-w1024"],
            &["--proxy-protocol=all", "--trusted-proxies=off"],
            &["--listen=80", "--proxy-protocol=:80,unix:/a \"b\",unix:@c", "--real-ip-header=x-real-ip"],
            &["--trusted-proxies=10.0.0.0/8,::1,unix:", "--trusted-proxies=all", "--proxy-protocol=off"],
            &["--max-connections=4294967295", "--cpu-affinity", "--user=www", "--group=33"],
            &["--admin=9000", "--admin-hosts=Status.example,b", "--admin-hosts=c"],
            &["--sandbox=require"],
            &["--sandbox=off"],
            &["--sendfile=off", "--cache-valid=0", "--cache-entries=7", "--cache-size=18446744073709551615"],
            &["--cache-size=0"],
            &["--cache-size=auto", "--cache-entries=AUTO", "--max-connections=auto"],
            &["--find-limit=10000000"],
            &["--tls-listen=*:443,[::1]:444", "--tls-cert=a \"b", "--tls-key=c"],
            &["--tls-listen=0,0", "--listen=0", "--tls-cert=c", "--tls-key=k", "--https-redirect"],
            &["--tls-unknown-names=reject", "--tls-versions=1.2", "--http2=off", "--http2-plain"],
            &["--acme-challenges=./off", "--tls-versions=1.3"],
            &["--disk-threads=0", "--cpu-threads=16"],
            &["--cache-size=3G", "--idle-timeout=24h", "--head-timeout=100ms", "--send-timeout=1m 30s 5ms"],
            &["--cache-size=64kB", "--drain-timeout=1500us"],
            &["-l", "WARNING", "-f", "/var/log/may.log", "--access-log=-"],
            &["-f", "-", "--access-log=./off"],
            &["--index=a b.htm", "--send-chunk=8K"],
            &["--send-chunk=auto", "--wqty=7"],
        ];
        for flags in rows {
            let (settings, page) = dumped(&sources(flags, &[], ""));
            assert_eq!(resolve(&[file(&page)], HERE).unwrap(), settings, "{flags:?}\n{page}");
        }
    }

    #[test]
    fn types_are_dumped_as_a_table_with_where_each_comes_from() {
        let text =
            "[types]\n'.b' = 'x/1'\n'.A' = 'text/plain; charset=\"utf-8\"'\n[[location]]\npath = '/'\n";
        let (settings, page) = dumped(&sources(&[], &[], text));
        let table = "\n[types]\n\".a\" = \"text/plain; charset=\\\"utf-8\\\"\"  # may.toml:3\n\
                     \".b\" = \"x/1\"  # may.toml:2\n\n[[location]]";
        assert!(page.contains(table), "{page}");
        assert_eq!(dumped(&sources(&[], &[], &page)).0.types, settings.types);
    }

    #[test]
    fn certificates_are_dumped_as_tables_with_where_each_comes_from() {
        let pair = "[[certificate]]\nchain = 'c'\nkey = 'k'\n";
        let text =
            format!("port = 80\ntls_listen = '443'\nhsts = '365d'\n{pair}{}", pair.replace("'k'", "'l'"));
        let (settings, page) = dumped(&sources(&[], &[], &text));
        let tables = "\n[[certificate]]  # may.toml:4\nchain = \"c\"\nkey = \"k\"\n\n\
                      [[certificate]]  # may.toml:7\nchain = \"c\"\nkey = \"l\"\n";
        assert!(page.contains(tables), "{page}");
        assert!(page.contains("\nhsts = \"31536000s\"  # may.toml:3\n"), "{page}");
        assert_eq!(resolve(&[file(&page)], HERE).unwrap(), settings, "{page}");
        let flags = ["--tls-listen=443", "--tls-cert=d", "--tls-key=e"];
        let (_, page) = dumped(&sources(&flags, &[], &text));
        let table = "\n[[certificate]]  # --tls-cert, --tls-key\nchain = \"d\"\nkey = \"e\"\n";
        assert!(page.contains(table) && page.matches("[[certificate]]").count() == 1, "{page}");
        let (_, page) = dumped(&sources(&flags, &[], ""));
        assert!(page.contains("\nlisten = \"off\"  # default\n"), "{page}");
    }

    #[test]
    fn locations_are_dumped_as_tables() {
        let text = "[[location]]\npath = '/a \"b/'\nroot = '/srv'\nindex = 'x'\nexpires = '30d'\n\
                    cache_control = 'public'\naccess_log = false\nheaders = { X-A = ['1', '2'], Y = 'é' }\n\
                    allow = ['10.0.0.0/8', '::1']\ndeny = ['all']\n\n[[location]]\npath = '/b'\nalias = 'c'\n\
                    [[location]]\npath = '/c'\nreturn = { status = 404, body = \"test 成功\\n\", type = 'a/b' }\n\
                    [[location]]\npath = '/d'\nreturn = { status = 204 }\n\
                    [[location]]\npath = '/e'\nfind_by_name = true\n[[location]]\npath = '/f'\nfind_by_name = false\n";
        let (settings, page) = dumped(&sources(&["-w", "1"], &[], text));
        assert_eq!(settings.locations.len(), 6);
        assert!(page.contains("\n[[location]]  # may.toml:12\npath = \"/b\"\nalias = \"c\"\n"), "{page}");
        assert!(
            page.ends_with(
                "path = \"/e\"\nfind_by_name = true\n\n[[location]]  # may.toml:24\npath = \"/f\"\n"
            ),
            "{page}"
        );
        assert_eq!(resolve(&[file(&page)], HERE).unwrap(), settings, "{page}");
    }

    #[test]
    fn each_line_says_where_its_value_comes_from() {
        let variables = [("MAYHTTPD_WORKERS", "2"), ("MAYHTTPD_PORT", "81"), ("MAYHTTPD_NAME", "low")];
        let text = "log_level = \"debug\"\nworkers = 3\n\nlisten = [\n  \"82\"]\n";
        let given = sources(&["site", "--name=high", "-a127.0.0.1"], &variables, text);
        let (_, page) = dumped(&given);
        for line in [
            "root = \"site\"  # ROOT",
            "name = \"high\"  # --name",
            "workers = 2  # MAYHTTPD_WORKERS",
            "listen = [\"127.0.0.1:81\"]  # --host, MAYHTTPD_PORT",
            "log_level = \"debug\"  # may.toml:1",
            "idle_timeout = \"75s\"  # default",
            "cache_size = \"auto\"  # default",
            "cache_entries = \"auto\"  # default",
            "max_connections = \"auto\"  # default",
            "# user: nobody, if root starts the server  # default",
            "# Timeouts",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
        }
        assert!(dumped(&given[2..]).1.contains("listen = [\"*:82\"]  # may.toml:5\n"));
        assert!(dumped(&sources(&["-r", "x"], &[], "")).1.contains("root = \"x\"  # --root\n"));
        assert!(dumped(&[]).1.contains("# root: the built-in welcome page  # default\n"));
    }

    #[test]
    fn a_default_that_was_lowered_says_why() {
        let given = sources(&["-w1"], &[], "");
        let mut settings = resolve(&given, HERE).unwrap();
        settings.cache_size = Some(15 << 18);
        settings.max_connections = Some(160);
        let lowered = ["cache-size", "max-connections"];
        let page =
            page(&settings, &given, Lowered { flags: &lowered, reason: "by the memory limit of 32 MiB" });
        for line in [
            "cache_size = \"3840KiB\"  # default, by the memory limit of 32 MiB",
            "max_connections = 160  # default, by the memory limit of 32 MiB",
            "workers = 1  # --workers",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
        }
        assert_eq!(resolve(&[file(&page)], HERE).unwrap(), settings);
    }

    #[test]
    fn what_a_file_can_not_say_is_a_comment_of_one_line() {
        let mut settings = Settings { warnings: vec!["two\nlines".to_owned()], ..Settings::default() };
        settings.root = SiteRoot::Directory(OsStr::from_bytes(b"a\n\xff").into());
        let page = page(&settings, &[], Lowered::default());
        assert!(page.contains("\n# two\\nlines\n"), "{page}");
        assert!(page.contains("\n# root: \"a\\n\\xFF\", which is not UTF-8  # default\n"), "{page}");
        assert!(file(&page).find("root").is_none());
    }
}
