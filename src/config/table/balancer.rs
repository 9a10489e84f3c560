//! The rows for a server behind a balancer or a proxy.

use crate::config::listener_name::ListenerName;
use crate::config::network::{Network, Networks};
use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::{RealIpHeader, show, value};

const SECTION: SettingRow = SettingRow { section: "Balancer", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "proxy-protocol",
        value_name: "ADDR:PORT|all|off",
        help: "The listeners on which a balancer sends a PROXY header: addresses of --listen, or all",
        default: "off",
        read: ReadSetting::List(|s, texts| {
            put(&mut s.proxy_protocol, value::list(texts, ListenerName::read))
        }),
        show: |s| show::list(&s.proxy_protocol),
        ..SECTION
    },
    SettingRow {
        long: "trusted-proxies",
        value_name: "NETWORK|off",
        help: "Trusted proxies: networks whose X-Forwarded-For is used, such as 10.0.0.0/8",
        default: "off",
        read: ReadSetting::List(|s, texts| {
            put(&mut s.trusted_proxies, value::list(texts, Network::read).map(Networks))
        }),
        show: |s| show::list(&s.trusted_proxies.0),
        ..SECTION
    },
    SettingRow {
        long: "real-ip-header",
        value_name: "FIELD",
        help: "The field in which trusted proxies name the client: x-forwarded-for, forwarded or x-real-ip",
        default: "x-forwarded-for",
        read: ReadSetting::Text(|s, text| put(&mut s.real_ip_header, value::word(text, RealIpHeader::WORDS))),
        show: |s| show::text(value::word_of(s.real_ip_header, RealIpHeader::WORDS)),
        ..SECTION
    },
];
