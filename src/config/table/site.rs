//! The rows of what is served.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::show::{self, Shown};
use crate::config::{Settings, SiteRoot, UnknownHosts, value};

const SECTION: SettingRow = SettingRow { section: "Site", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "root",
        short: Some('r'),
        aliases: &["root-document", "root_document"],
        httpd_conf: "document_root",
        value_name: "DIR",
        help: "The directory to serve, like ROOT",
        read: ReadSetting::Path(|s, path| s.root = SiteRoot::Directory(path.to_owned())),
        show: root,
        ..SECTION
    },
    SettingRow {
        long: "index",
        value_name: "TEXT",
        help: "The file that is served for a directory",
        default: "index.html",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "missing-index",
        value_name: "STATUS",
        help: "The status of a directory without index file: 403 or 404",
        default: "403",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "listing",
        value_name: "on|off",
        alone: "on",
        help: "List a directory without index file: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "fallback",
        value_name: "PATH|off",
        help: "The page for paths without a file that browsers navigate to, such as /index.html",
        default: "off",
        replaces: &["spa"],
        excludes: &["spa"],
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "spa",
        value_name: "on|off",
        alone: "on",
        help: "The same as --fallback /index.html, for single-page applications",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "clean-urls",
        value_name: "on|off",
        alone: "on",
        help: "Serve about.html at /about too, and redirect /about.html there: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "security-headers",
        value_name: "on|off",
        alone: "on",
        help: "Send fields that restrict what pages may do: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "precompressed",
        value_name: "on|off",
        alone: "on",
        help: "Serve NAME.br, NAME.zst and NAME.gz in place of NAME: on or off",
        default: "on",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "compress",
        value_name: "on|off",
        alone: "on",
        help: "Compress texts that have no such file, once for each content, by background threads: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "etag",
        value_name: "content|stamp",
        help: "Make entity-tags of the content, or of what the file system says of a file",
        default: "content",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "etag-content-limit",
        value_name: "SIZE",
        help: "The largest file whose content makes its entity-tag",
        default: "16MiB",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "page-cache-control",
        value_name: "TEXT",
        help: "The Cache-Control of pages where nothing else is said; empty for none",
        default: "no-cache",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "immutable-names",
        value_name: "on|off",
        alone: "on",
        help: "Let names with a content hash be cached for a year: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "site-files",
        value_name: "on|off",
        alone: "on",
        help: "Use _redirects and _headers in the root: on or off",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "charset",
        value_name: "off|utf-8",
        help: "The charset of text types that have none: off or utf-8",
        default: "off",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "symlinks",
        value_name: "deny|inside|same-owner|follow",
        help: "Which symbolic links are followed; inside are those that lead beneath the root",
        default: "inside",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "hidden",
        aliases: &["dotfiles"],
        former: "dotfiles",
        value_name: "deny|well-known|serve",
        help: "Which names that begin with a dot are served: none, .well-known or all",
        default: "well-known",
        read: ReadSetting::Scope,
        ..SECTION
    },
    SettingRow {
        long: "unknown-hosts",
        value_name: "serve|reject",
        help: "Serve requests that name no host of the settings, or reject them with 421",
        default: "serve",
        read: ReadSetting::Text(|s, text| put(&mut s.unknown_hosts, value::word(text, UnknownHosts::WORDS))),
        show: |s| show::text(value::word_of(s.unknown_hosts, UnknownHosts::WORDS)),
        ..SECTION
    },
    SettingRow {
        long: "name",
        value_name: "TEXT",
        help: "The text of the Server field",
        default: "mayhttpd",
        read: ReadSetting::Text(|s, text| put(&mut s.name, value::name(text))),
        show: |s| show::text(&s.name),
        ..SECTION
    },
];

fn root(s: &Settings) -> Shown {
    match &s.root {
        SiteRoot::Directory(directory) => show::path(directory),
        SiteRoot::Welcome => Shown::Comment("the built-in welcome page".to_owned()),
    }
}
