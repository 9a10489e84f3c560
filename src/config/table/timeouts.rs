//! The rows of times: one for each phase of a connection, and those of a drain and of the watchdog.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::{show, value};

const SECTION: SettingRow = SettingRow { section: "Timeouts", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "idle-timeout",
        value_name: "TIME",
        help: "How long a connection may be idle between requests",
        default: "75s",
        read: ReadSetting::Text(|s, text| put(&mut s.idle_timeout, value::timeout(text))),
        show: |s| show::time(s.idle_timeout),
        ..SECTION
    },
    SettingRow {
        long: "head-timeout",
        value_name: "TIME",
        help: "How long a request's head may take to arrive",
        default: "10s",
        read: ReadSetting::Text(|s, text| put(&mut s.head_timeout, value::timeout(text))),
        show: |s| show::time(s.head_timeout),
        ..SECTION
    },
    SettingRow {
        long: "send-timeout",
        value_name: "TIME",
        help: "How long a client may take no byte of its response",
        default: "60s",
        read: ReadSetting::Text(|s, text| put(&mut s.send_timeout, value::timeout(text))),
        show: |s| show::time(s.send_timeout),
        ..SECTION
    },
    SettingRow {
        long: "drain-timeout",
        value_name: "TIME",
        help: "How long open connections may take to finish in a drain: at QUIT, a reload and the like",
        default: "30s",
        read: ReadSetting::Text(|s, text| put(&mut s.drain_timeout, value::span(text))),
        show: |s| show::time(s.drain_timeout),
        ..SECTION
    },
    SettingRow {
        long: "watchdog",
        value_name: "TIME",
        help: "How long a worker may be without a heartbeat before it is killed and replaced, or off",
        default: "30s",
        read: ReadSetting::Text(|s, text| put(&mut s.watchdog, value::watchdog(text))),
        show: |s| show::or_word(s.watchdog, "off", show::time),
        ..SECTION
    },
];
