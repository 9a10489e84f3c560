//! The rows of what is served.

use crate::config::choice::DOTFILES;
use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::show::{self, Shown};
use crate::config::{MissingIndex, Settings, SiteRoot, value};

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
        read: ReadSetting::Text(|s, text| put(&mut s.index, value::file_name(text))),
        show: |s| show::text(&s.index),
        ..SECTION
    },
    SettingRow {
        long: "missing-index",
        value_name: "STATUS",
        help: "The status of a directory without index file: 403 or 404",
        default: "403",
        read: ReadSetting::Text(|s, text| put(&mut s.missing_index, value::word(text, MissingIndex::WORDS))),
        show: |s| show::plain(value::word_of(s.missing_index, MissingIndex::WORDS)),
        ..SECTION
    },
    SettingRow {
        long: "listing",
        value_name: "on|off",
        alone: "on",
        help: "List a directory without index file: on or off",
        default: "off",
        read: ReadSetting::Text(|s, text| put(&mut s.listing, value::switch(text))),
        show: |s| show::plain(s.listing),
        ..SECTION
    },
    SettingRow {
        long: "dotfiles",
        value_name: "hide|serve",
        help: "Hide or serve names that begin with a dot",
        default: "hide",
        read: ReadSetting::Text(|s, text| put(&mut s.dotfiles, value::word(text, DOTFILES))),
        show: |s| show::text(value::word_of(s.dotfiles, DOTFILES)),
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
