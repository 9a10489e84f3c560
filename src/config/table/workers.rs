//! The rows of processes: how many workers there are, and what they may do.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::{SandboxMode, Settings, show, value};

const SECTION: SettingRow = SettingRow { section: "Workers", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "workers",
        short: Some('w'),
        aliases: &["wqty"],
        httpd_conf: "cpu_limit",
        value_name: "N|auto",
        help: "Worker processes; auto is one for each CPU that may be used",
        default: "auto",
        read: ReadSetting::Text(workers),
        show: |s| show::plain(s.workers),
        ..SECTION
    },
    SettingRow {
        long: "max-connections",
        httpd_conf: "thread_limit",
        value_name: "N|auto",
        help: "Connections that a worker holds at once",
        default: "by limits and memory",
        read: ReadSetting::Text(|s, text| {
            put(&mut s.max_connections, value::or_auto(text, |text| value::number(text, 1..=u32::MAX.into())))
        }),
        show: |s| show::or_word(s.max_connections, "auto", show::plain),
        ..SECTION
    },
    SettingRow {
        long: "cpu-affinity",
        value_name: "on|off",
        alone: "on",
        help: "Bind each worker to one CPU: on or off",
        default: "off",
        read: ReadSetting::Text(|s, text| put(&mut s.cpu_affinity, value::switch(text))),
        show: |s| show::plain(s.cpu_affinity),
        ..SECTION
    },
    SettingRow {
        long: "disk-threads",
        value_name: "N",
        help: "Background threads of each worker for what may wait for a disk",
        default: "16",
        read: ReadSetting::Text(|s, text| put(&mut s.disk_threads, value::number(text, 0..=256))),
        show: |s| show::plain(s.disk_threads),
        ..SECTION
    },
    SettingRow {
        long: "cpu-threads",
        value_name: "N",
        help: "Background threads of each worker for what takes CPU time",
        default: "1",
        read: ReadSetting::Text(|s, text| put(&mut s.cpu_threads, value::number(text, 1..=16))),
        show: |s| show::plain(s.cpu_threads),
        ..SECTION
    },
    SettingRow {
        long: "user",
        value_name: "NAME",
        help: "The user of the workers, if root starts the server",
        default: "nobody",
        read: ReadSetting::Text(|s, text| put(&mut s.user, value::account(text).map(Some))),
        show: |s| show::or_comment(s.user.as_deref(), "nobody, if root starts the server"),
        ..SECTION
    },
    SettingRow {
        long: "group",
        value_name: "NAME",
        help: "The group of the workers, if root starts the server",
        default: "the user's",
        read: ReadSetting::Text(|s, text| put(&mut s.group, value::account(text).map(Some))),
        show: |s| show::or_comment(s.group.as_deref(), "the user's own"),
        ..SECTION
    },
    SettingRow {
        long: "sandbox",
        value_name: "on|off|require",
        help: "Confine the workers and the admin process: on (as far as the kernel can), off, or require",
        default: "on",
        read: ReadSetting::Text(|s, text| put(&mut s.sandbox, SandboxMode::read(text))),
        show: |s| show::text(value::word_of(s.sandbox, SandboxMode::WORDS)),
        ..SECTION
    },
];

/// `auto` leaves the default, which is the number of CPUs.
fn workers(s: &mut Settings, text: &str) -> Result<(), String> {
    let number = value::or_auto(text, |text| value::number(text, 1..=1024))?;
    s.workers = number.unwrap_or(s.workers);
    Ok(())
}
