//! The rows of addresses: the listeners and the admin listener.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::{address, show, value};

const SECTION: SettingRow = SettingRow { section: "Listening", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "host",
        short: Some('a'),
        httpd_conf: "host",
        value_name: "ADDR",
        help: "The address to listen on; * is every address of IPv6 and IPv4",
        default: "*",
        read: ReadSetting::Text(|s, text| address::set_host(&mut s.listen, text)),
        ..SECTION
    },
    SettingRow {
        long: "port",
        short: Some('p'),
        httpd_conf: "port",
        value_name: "N",
        help: "The port to listen on, 0 for any free one",
        default: "8080",
        read: ReadSetting::Text(|s, text| address::set_port(&mut s.listen, text)),
        ..SECTION
    },
    SettingRow {
        long: "listen",
        httpd_conf: "listen",
        value_name: "ADDR:PORT",
        help: "Instead of --host and --port: an address and port, may be repeated",
        replaces: &["host", "port"],
        read: ReadSetting::List(|s, texts| put(&mut s.listen, address::listen_or_off(texts))),
        show: |s| show::list(&s.listen),
        ..SECTION
    },
    SettingRow {
        long: "admin",
        value_name: "ADDR:PORT|off",
        help: "The address of the status page and metrics; a port alone is at 127.0.0.1",
        default: "off",
        read: ReadSetting::Text(|s, text| put(&mut s.admin, address::admin(text))),
        show: |s| show::or_word(s.admin, "off", |address| show::text(&address.to_string())),
        ..SECTION
    },
    SettingRow {
        long: "admin-hosts",
        value_name: "NAME|off",
        help: "Names besides localhost that --admin answers for at a loopback address, such as status.example.org",
        default: "off",
        read: ReadSetting::List(|s, texts| put(&mut s.admin_hosts, value::list(texts, address::host_name))),
        show: |s| show::list(&s.admin_hosts),
        ..SECTION
    },
    SettingRow {
        long: "backlog",
        value_name: "N",
        help: "Connections that may wait for a worker",
        default: "4096",
        read: ReadSetting::Text(|s, text| put(&mut s.backlog, value::number(text, 1..=i32::MAX as u64))),
        show: |s| show::plain(s.backlog),
        ..SECTION
    },
];
