//! All settings as a settings file: each with its settled value, and behind it where that comes from.
//!
//! It owns how a value is written so that [`file`](super::file) reads the same one again. It settles nothing.
//!
//! What a file can't say stands as a comment: a default that depends on the machine or on who starts the server,
//! such as the user of the workers, and a path that is not UTF-8.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::cli::{self, Raw};
use super::file::key;
use super::layer::{Layer, Origin};
use super::location::{Files, FixedReply, Location};
use super::{AccessFormat, AccessLog, LogFormat, MissingIndex, Root, Sandbox, Settings};

/// A setting: its long name, whether a layer gives it, and how its settled value is written.
struct Row(&'static str, fn(&Raw) -> bool, fn(&Settings) -> Value);

enum Value {
    /// In TOML.
    Said(String),
    /// In words, because no value of the file means it.
    Unsaid(String),
}

/// One row for each flag that is a setting; `listen` stands for `host` and `port` too.
const ROWS: &[Row] = &[
    Row("root", |r| r.positional_root.is_some() || r.root.is_some(), root),
    Row("index", |r| r.index.is_some(), |s| quoted(&s.index)),
    Row("missing-index", |r| r.missing_index.is_some(), |s| missing_index(s.missing_index)),
    Row("listing", |r| r.listing.is_some(), |s| plain(s.listing)),
    Row("dotfiles", |r| r.dotfiles.is_some(), |s| quoted(if s.dotfiles { "serve" } else { "hide" })),
    Row("name", |r| r.name.is_some(), |s| quoted(&s.name)),
    Row("listen", |r| r.listen.is_some(), listen),
    Row(
        "admin",
        |r| r.admin.is_some(),
        |s| s.admin.map_or_else(|| quoted("off"), |address| quoted(&address.to_string())),
    ),
    Row("backlog", |r| r.backlog.is_some(), |s| plain(s.backlog)),
    Row("proxy-protocol", |r| r.proxy_protocol.is_some(), |s| list(&s.proxy_protocol)),
    Row("trusted-proxies", |r| r.trusted_proxies.is_some(), |s| list(&s.trusted_proxies.0)),
    Row("real-ip-header", |r| r.real_ip_header.is_some(), |s| quoted(s.real_ip_header.name())),
    Row("workers", |r| r.workers.is_some(), |s| plain(s.workers)),
    Row(
        "max-connections",
        |r| r.max_connections.is_some(),
        |s| s.max_connections.map_or_else(|| quoted("auto"), plain),
    ),
    Row("cpu-affinity", |r| r.cpu_affinity.is_some(), |s| plain(s.cpu_affinity)),
    Row("user", |r| r.user.is_some(), |s| account(&s.user, "nobody, where root starts the server")),
    Row("group", |r| r.group.is_some(), |s| account(&s.group, "the user's own")),
    Row("sandbox", |r| r.sandbox.is_some(), |s| quoted(sandbox(s.sandbox))),
    Row("sendfile", |r| r.sendfile.is_some(), |s| plain(s.sendfile)),
    Row(
        "send-chunk",
        |r| r.send_chunk.is_some(),
        |s| s.send_chunk.map_or_else(|| quoted("auto"), |bytes| size(bytes.into())),
    ),
    Row("cache-valid", |r| r.cache_valid.is_some(), |s| time(s.cache_valid)),
    Row("cache-entries", |r| r.cache_entries.is_some(), |s| plain(s.cache_entries)),
    Row("cache-size", |r| r.cache_size.is_some(), |s| size(s.cache_size)),
    Row("find-limit", |r| r.find_limit.is_some(), |s| plain(s.find_limit)),
    Row("idle-timeout", |r| r.idle_timeout.is_some(), |s| time(s.idle_timeout)),
    Row("head-timeout", |r| r.head_timeout.is_some(), |s| time(s.head_timeout)),
    Row("send-timeout", |r| r.send_timeout.is_some(), |s| time(s.send_timeout)),
    Row("drain-timeout", |r| r.drain_timeout.is_some(), |s| time(s.drain_timeout)),
    Row("watchdog", |r| r.watchdog.is_some(), |s| s.watchdog.map_or_else(|| quoted("off"), time)),
    Row("pid-file", |r| r.pid_file.is_some(), |s| optional(s.pid_file.as_deref())),
    Row("log-level", |r| r.log_level.is_some(), |s| quoted(&s.log_level.as_str().to_ascii_lowercase())),
    Row("log-file", |r| r.log_file.is_some(), |s| path(s.log_file.as_deref().unwrap_or(Path::new("-")))),
    Row("log-format", |r| r.log_format.is_some(), |s| log_format(s.log_format)),
    Row("access-log", |r| r.access_log.is_some(), |s| access_log(&s.access_log)),
    Row("access-format", |r| r.access_format.is_some(), |s| access_format(s.access_format)),
];

fn sandbox(setting: Sandbox) -> &'static str {
    match setting {
        Sandbox::On => "on",
        Sandbox::Off => "off",
        Sandbox::Require => "require",
    }
}

/// The file that says what `layers`, the one that wins first, were settled to.
pub fn page(settings: &Settings, layers: &[Layer]) -> String {
    let mut page =
        format!("# The settings of mayhttpd {}, and where each comes from.\n", env!("CARGO_PKG_VERSION"));
    for warning in &settings.warnings {
        line(&mut page, format_args!("# {}", on_one_line(warning)));
    }
    let mut heading = None;
    let flags: Vec<_> = cli::settings().collect();
    for flag in &flags {
        let long = flag.get_long().unwrap_or_default();
        let Some(row) = ROWS.iter().find(|row| row.0 == long) else { continue };
        if heading != flag.get_help_heading() {
            heading = flag.get_help_heading();
            line(&mut page, format_args!("\n# {}", heading.unwrap_or_default()));
        }
        let (key, origin) = (key(long), on_one_line(&origin(row, layers)));
        match (row.2)(settings) {
            Value::Said(value) => line(&mut page, format_args!("{key} = {value}  # {origin}")),
            Value::Unsaid(words) => line(&mut page, format_args!("# {key}: {words}  # {origin}")),
        }
    }
    locations(&mut page, settings, layers);
    page
}

/// The locations, as tables, behind all that is not of them.
fn locations(page: &mut String, settings: &Settings, layers: &[Layer]) {
    let origin = layers.iter().find(|layer| !layer.raw.locations.is_empty()).map(|layer| &layer.origin);
    for (nth, location) in settings.locations.iter().enumerate() {
        let origin = origin.map_or_else(|| "default".to_owned(), |origin| origin.locate_nth("location", nth));
        line(page, format_args!("\n[[location]]  # {}", on_one_line(&origin)));
        for (key, value) in location_entries(location) {
            line(page, format_args!("{key} = {value}"));
        }
    }
}

/// Keys and values of a location, all but those that it does not have.
fn location_entries(location: &Location) -> Vec<(&'static str, String)> {
    let mut entries = vec![("path", string(&location.path))];
    match &location.files {
        Files::Site => {}
        Files::Root(directory) => entries.push(("root", string(&directory.to_string_lossy()))),
        Files::Alias(directory) => entries.push(("alias", string(&directory.to_string_lossy()))),
    }
    entries.extend(location.index.as_ref().map(|name| ("index", string(name))));
    entries.extend(location.expires.map(|time| ("expires", format!("\"{}s\"", time.as_secs()))));
    entries.extend(location.cache_control.as_ref().map(|value| ("cache_control", string(value))));
    entries.extend(location.find_by_name.then(|| ("find_by_name", "true".to_owned())));
    entries.extend((!location.access_log).then(|| ("access_log", "false".to_owned())));
    let fields: Vec<String> = location
        .headers
        .chunk_by(|(name, _), (other, _)| name == other)
        .map(|lines| {
            let values: Vec<String> = lines.iter().map(|(_, value)| string(value)).collect();
            format!("{} = [{}]", string(&lines[0].0), values.join(", "))
        })
        .collect();
    entries.extend((!fields.is_empty()).then(|| ("headers", format!("{{ {} }}", fields.join(", ")))));
    if let Some(FixedReply { status, body, media_type }) = &location.reply {
        let body = body.as_ref().map_or_else(String::new, |body| format!(", body = {}", string(body)));
        let media_type = string(media_type);
        entries.push(("return", format!("{{ status = {status}{body}, type = {media_type} }}")));
    }
    for rules in location.access.0.chunk_by(|one, other| one.allow == other.allow) {
        let networks: Vec<String> = rules.iter().map(|rule| format!("\"{}\"", rule.network)).collect();
        entries.push((if rules[0].allow { "allow" } else { "deny" }, format!("[{}]", networks.join(", "))));
    }
    entries
}

fn line(page: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(page, "{words}");
}

/// Where the value comes from, as its user would look for it.
fn origin(row: &Row, layers: &[Layer]) -> String {
    let from = |given: fn(&Raw) -> bool, long: &str| {
        let layer = layers.iter().find(|layer| given(&layer.raw))?;
        Some(match layer {
            Layer { origin: Origin::Flag, raw } if long == "root" && raw.positional_root.is_some() => {
                "ROOT".to_owned()
            }
            _ => layer.origin.locate(long),
        })
    };
    let pair = |raw: &Raw| raw.host.is_some() || raw.port.is_some();
    // The highest layer that has either way decides which of the two is meant.
    let way = layers.iter().find(|layer| layer.raw.listen.is_some() || pair(&layer.raw));
    let found = match row.0 {
        "listen" if way.is_some_and(|layer| pair(&layer.raw)) => {
            let parts = [from(|r| r.host.is_some(), "host"), from(|r| r.port.is_some(), "port")];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        long => from(row.1, long),
    };
    found.unwrap_or_else(|| "default".to_owned())
}

fn root(settings: &Settings) -> Value {
    match &settings.root {
        Root::Directory(directory) => path(directory),
        Root::Welcome => Value::Unsaid("the built-in welcome page".to_owned()),
    }
}

fn missing_index(status: MissingIndex) -> Value {
    plain(match status {
        MissingIndex::Forbidden => 403,
        MissingIndex::NotFound => 404,
    })
}

fn listen(settings: &Settings) -> Value {
    list(&settings.listen)
}

/// A list that is off where it has no values.
fn list(values: &[impl ToString]) -> Value {
    if values.is_empty() {
        return quoted("off");
    }
    let values: Vec<String> = values.iter().map(|value| string(&value.to_string())).collect();
    Value::Said(format!("[{}]", values.join(", ")))
}

fn access_log(log: &AccessLog) -> Value {
    match log {
        AccessLog::Off => quoted("off"),
        AccessLog::Stdout => quoted("-"),
        AccessLog::File(file) => path(file),
    }
}

fn log_format(format: LogFormat) -> Value {
    quoted(match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    })
}

fn access_format(format: AccessFormat) -> Value {
    quoted(match format {
        AccessFormat::Combined => "combined",
        AccessFormat::Common => "common",
        AccessFormat::Json => "json",
    })
}

fn account(name: &Option<String>, default: &str) -> Value {
    name.as_deref().map_or_else(|| Value::Unsaid(default.to_owned()), quoted)
}

fn optional(file: Option<&Path>) -> Value {
    file.map_or_else(|| Value::Unsaid("none".to_owned()), path)
}

fn plain(value: impl ToString) -> Value {
    Value::Said(value.to_string())
}

fn path(path: &Path) -> Value {
    match path.to_str() {
        Some(text) => quoted(text),
        None => Value::Unsaid(format!("{path:?}, which is not UTF-8 as a file must be")),
    }
}

/// Seconds where they are whole, which is how most people write them.
fn time(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => quoted(&format!("{}s", time.as_secs())),
        _ => quoted(&humantime::format_duration(time).to_string()),
    }
}

/// The largest unit that leaves a whole number. It is text in any case: TOML's numbers end at 63 bits.
fn size(bytes: u64) -> Value {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => quoted(&format!("{}{unit}", bytes >> shift)),
        None => quoted(&bytes.to_string()),
    }
}

fn quoted(text: &str) -> Value {
    Value::Said(string(text))
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    for letter in text.chars() {
        match letter {
            '"' | '\\' => string.extend(['\\', letter]),
            _ if letter.is_control() => string.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => string.push(letter),
        }
    }
    format!("\"{string}\"")
}

/// A comment must not end before its line does, whatever names are in it.
fn on_one_line(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::super::{Machine, environment, file};
    use super::*;

    const HERE: Machine = Machine { cpus: 4, document_root: false };

    fn layers(flags: &[&str], variables: &[(&str, &str)], text: &str) -> Vec<Layer> {
        let raw = Raw::of(flags.iter().map(|flag| flag.into())).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let (environment, _) = environment::layer(variables).unwrap();
        let file = file::parse(Path::new("may.toml"), text.as_bytes()).unwrap();
        vec![Layer { origin: Origin::Flag, raw }, environment, file]
    }

    fn dumped(layers: &[Layer]) -> (Settings, String) {
        let settings = Settings::settle(layers, HERE).unwrap();
        let page = page(&settings, layers);
        (settings, page)
    }

    #[test]
    fn every_flag_that_is_a_setting_has_a_row() {
        let flags: Vec<String> = cli::settings().map(|flag| flag.get_long().unwrap().to_owned()).collect();
        let missing: Vec<&String> = flags
            .iter()
            .filter(|long| *long != "host" && *long != "port" && ROWS.iter().all(|row| row.0 != **long))
            .collect();
        assert_eq!(missing, Vec::<&String>::new(), "not in the dump");
        let lost: Vec<&str> =
            ROWS.iter().map(|row| row.0).filter(|long| !flags.iter().any(|flag| flag == long)).collect();
        assert_eq!(lost, Vec::<&str>::new(), "no flag");
    }

    #[test]
    fn each_row_says_when_its_own_flag_is_given() {
        for row in ROWS {
            let raw = Raw::of([cli::argument(row.0, OsStr::new("x"))]).unwrap();
            for other in ROWS {
                assert_eq!((other.1)(&raw), other.0 == row.0, "{} for --{}", other.0, row.0);
            }
        }
    }

    #[test]
    fn a_dump_is_a_file_of_the_same_settings() {
        let rows: &[&[&str]] = &[
            &[],
            &["a \"b\" \\ c\n\u{7f}#"],
            &["--root=é", "--missing-index=404", "--listing", "--dotfiles=serve", "--name=\"a\\b\" # c"],
            &["-a::1", "-p0"],
            &["--listen=[fe80::1%2]:80,:81,0", "--backlog=2147483647", "-w1024"],
            &["--proxy-protocol=all", "--trusted-proxies=off"],
            &["--listen=80", "--proxy-protocol=:80,unix:/a \"b\",unix:@c", "--real-ip-header=x-real-ip"],
            &["--trusted-proxies=10.0.0.0/8,::1,unix:", "--trusted-proxies=all", "--proxy-protocol=off"],
            &["--max-connections=4294967295", "--cpu-affinity", "--user=www", "--group=33"],
            &["--sandbox=require"],
            &["--sandbox=off"],
            &["--sendfile=off", "--cache-valid=0", "--cache-entries=7", "--cache-size=18446744073709551615"],
            &["--cache-size=0"],
            &["--find-limit=10000000"],
            &["--cache-size=3G", "--idle-timeout=24h", "--head-timeout=100ms", "--send-timeout=1m 30s 5ms"],
            &["--cache-size=64kB", "--drain-timeout=1500us"],
            &["-l", "WARNING", "-f", "/var/log/may.log", "--access-log=-"],
            &["-f", "-", "--access-log=./off"],
            &["--index=a b.htm", "--send-chunk=8K"],
            &["--send-chunk=auto", "--wqty=7"],
        ];
        for flags in rows {
            let (settings, page) = dumped(&layers(flags, &[], ""));
            let again = file::parse(Path::new("may.toml"), page.as_bytes()).unwrap();
            assert_eq!(Settings::settle(&[again], HERE).unwrap(), settings, "{flags:?}\n{page}");
        }
    }

    #[test]
    fn locations_are_dumped_as_tables() {
        let text = "[[location]]\npath = '/a \"b/'\nroot = '/srv'\nindex = 'x'\nexpires = '30d'\n\
                    cache_control = 'public'\naccess_log = false\nheaders = { X-A = ['1', '2'], Y = 'é' }\n\
                    allow = ['10.0.0.0/8', '::1']\ndeny = ['all']\n\n[[location]]\npath = '/b'\nalias = 'c'\n\
                    [[location]]\npath = '/c'\nreturn = { status = 404, body = \"test 成功\\n\", type = 'a/b' }\n\
                    [[location]]\npath = '/d'\nreturn = { status = 204 }\n\
                    [[location]]\npath = '/e'\nfind_by_name = true\n[[location]]\npath = '/f'\nfind_by_name = false\n";
        let (settings, page) = dumped(&layers(&["-w", "1"], &[], text));
        assert_eq!(settings.locations.len(), 6);
        assert!(page.contains("\n[[location]]  # may.toml:12\npath = \"/b\"\nalias = \"c\"\n"), "{page}");
        assert!(
            page.ends_with(
                "path = \"/e\"\nfind_by_name = true\n\n[[location]]  # may.toml:24\npath = \"/f\"\n"
            ),
            "{page}"
        );
        let again = file::parse(Path::new("may.toml"), page.as_bytes()).unwrap();
        assert_eq!(Settings::settle(&[again], HERE).unwrap(), settings, "{page}");
    }

    #[test]
    fn each_line_says_where_its_value_comes_from() {
        let variables = [("MAYHTTPD_WORKERS", "2"), ("MAYHTTPD_PORT", "81"), ("MAYHTTPD_NAME", "low")];
        let text = "log_level = \"debug\"\nworkers = 3\n\nlisten = [\n  \"82\"]\n";
        let given = layers(&["site", "--name=high", "-a127.0.0.1"], &variables, text);
        let (_, page) = dumped(&given);
        for line in [
            "root = \"site\"  # ROOT",
            "name = \"high\"  # --name",
            "workers = 2  # MAYHTTPD_WORKERS",
            "listen = [\"127.0.0.1:81\"]  # --host, MAYHTTPD_PORT",
            "log_level = \"debug\"  # may.toml:1",
            "idle_timeout = \"60s\"  # default",
            "cache_size = \"64MiB\"  # default",
            "max_connections = \"auto\"  # default",
            "# user: nobody, where root starts the server  # default",
            "# Timeouts",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
        }
        assert!(dumped(&given[2..]).1.contains("listen = [\"0.0.0.0:82\"]  # may.toml:5\n"));
        assert!(dumped(&layers(&["-r", "x"], &[], "")).1.contains("root = \"x\"  # --root\n"));
        assert!(dumped(&[]).1.contains("# root: the built-in welcome page  # default\n"));
    }

    #[test]
    fn what_a_file_can_not_say_is_a_comment_of_one_line() {
        let mut settings = Settings { warnings: vec!["two\nlines".to_owned()], ..Settings::default() };
        settings.root = Root::Directory(OsStr::from_bytes(b"a\n\xff").into());
        let page = page(&settings, &[]);
        assert!(page.contains("\n# two\\nlines\n"), "{page}");
        assert!(
            page.contains("\n# root: \"a\\n\\xFF\", which is not UTF-8 as a file must be  # default\n"),
            "{page}"
        );
        assert!(file::parse(Path::new("may.toml"), page.as_bytes()).unwrap().raw.root.is_none());
    }
}
