//! The rows of how files are sent and cached.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::{show, value};

const SECTION: SettingRow = SettingRow { section: "Files", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "sendfile",
        value_name: "on|off",
        help: "Send large files by sendfile: on or off",
        default: "on",
        read: ReadSetting::Text(|s, text| put(&mut s.sendfile, value::switch(text))),
        show: |s| show::plain(s.sendfile),
        ..SECTION
    },
    SettingRow {
        long: "send-chunk",
        value_name: "SIZE|auto",
        help: "Bytes of a large file that one sendfile or read takes; a read takes 256KiB at most",
        default: "512KiB by sendfile, 16KiB by read",
        read: ReadSetting::Text(|s, text| put(&mut s.send_chunk, value::or_auto(text, value::chunk))),
        show: |s| show::or_word(s.send_chunk, "auto", |bytes| show::size(bytes.into())),
        ..SECTION
    },
    SettingRow {
        long: "cache-valid",
        value_name: "TIME",
        help: "The age at which a cached file is checked again where the kernel doesn't report its changes",
        default: "1s",
        read: ReadSetting::Text(|s, text| put(&mut s.cache_valid, value::span(text))),
        show: |s| show::time(s.cache_valid),
        ..SECTION
    },
    SettingRow {
        long: "cache-entries",
        value_name: "N|auto",
        help: "Files longer than 64 KiB that a worker keeps open",
        default: "4096, or by memory",
        read: ReadSetting::Text(|s, text| {
            put(&mut s.cache_entries, value::or_auto(text, |text| value::number(text, 1..=1_000_000)))
        }),
        show: |s| show::or_word(s.cache_entries, "auto", show::plain),
        ..SECTION
    },
    SettingRow {
        long: "cache-size",
        value_name: "SIZE|auto",
        help: "Memory of each worker for shorter files",
        default: "64MiB, or by memory",
        read: ReadSetting::Text(|s, text| put(&mut s.cache_size, value::or_auto(text, value::size))),
        show: |s| show::or_word(s.cache_size, "auto", show::size),
        ..SECTION
    },
    SettingRow {
        long: "compress-cache",
        value_name: "SIZE",
        help: "Memory of each worker for what --compress has compressed",
        default: "64MiB",
        read: ReadSetting::Text(|s, text| put(&mut s.compress_cache, value::size(text))),
        show: |s| show::size(s.compress_cache),
        ..SECTION
    },
    SettingRow {
        long: "find-limit",
        value_name: "N",
        help: "Names that each worker holds of a directory with find_by_name",
        default: "200000",
        read: ReadSetting::Text(|s, text| put(&mut s.find_limit, value::number(text, 1..=10_000_000))),
        show: |s| show::plain(s.find_limit),
        ..SECTION
    },
];
