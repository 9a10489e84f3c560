//! The rows of TLS and HTTP/2.

use crate::config::row::{ReadSetting, SettingRow, put};
use crate::config::show::{self, Shown};
use crate::config::tls::{TlsUnknownNames, TlsVersions};
use crate::config::{address, certificate, choice, value};

const SECTION: SettingRow = SettingRow { section: "TLS", ..SettingRow::EMPTY };

/// The rows, in the order of the help.
pub const ROWS: &[SettingRow] = &[
    SettingRow {
        long: "tls-listen",
        value_name: "ADDR:PORT|off",
        help: "An address and port for TLS, may be repeated; without --listen, --host and --port it is the only one",
        default: "off",
        read: ReadSetting::List(|s, texts| put(&mut s.tls_listen, address::listen_or_off(texts))),
        show: |s| show::list(&s.tls_listen),
        ..SECTION
    },
    SettingRow {
        long: "tls-cert",
        value_name: "FILE",
        help: "The certificate with its chain, in PEM",
        read: ReadSetting::Path(|s, path| certificate::set_chain(&mut s.certificates, path)),
        ..SECTION
    },
    SettingRow {
        long: "tls-key",
        value_name: "FILE",
        help: "The private key of --tls-cert, in PEM",
        read: ReadSetting::Path(|s, path| certificate::set_key(&mut s.certificates, path)),
        ..SECTION
    },
    SettingRow {
        long: "tls-unknown-names",
        value_name: "serve|reject",
        help: "Use the first certificate for names that no certificate has, or reject the handshake",
        default: "serve",
        read: ReadSetting::Text(|s, text| {
            put(&mut s.tls_unknown_names, value::word(text, TlsUnknownNames::WORDS))
        }),
        show: |s| show::text(value::word_of(s.tls_unknown_names, TlsUnknownNames::WORDS)),
        ..SECTION
    },
    SettingRow {
        long: "tls-versions",
        value_name: "VERSION",
        help: "The versions of TLS: 1.2, 1.3 or both",
        default: "1.2,1.3",
        read: ReadSetting::List(|s, texts| put(&mut s.tls_versions, TlsVersions::read(texts))),
        show: |s| show::list(&s.tls_versions.words()),
        ..SECTION
    },
    SettingRow {
        long: "http2",
        value_name: "on|off",
        help: "Offer HTTP/2 to TLS clients: on or off",
        default: "on",
        read: ReadSetting::Text(|s, text| put(&mut s.http2, value::switch(text))),
        show: |s| show::plain(s.http2),
        ..SECTION
    },
    SettingRow {
        long: "http2-plain",
        value_name: "on|off",
        alone: "on",
        help: "Serve HTTP/2 without TLS to clients that begin with it: on or off",
        default: "off",
        read: ReadSetting::Text(|s, text| put(&mut s.http2_plain, value::switch(text))),
        show: |s| show::plain(s.http2_plain),
        ..SECTION
    },
    SettingRow {
        long: "https-redirect",
        value_name: "on|off",
        alone: "on",
        help: "Redirect requests without TLS to https: on or off",
        default: "off",
        read: ReadSetting::Text(|s, text| put(&mut s.https_redirect, value::switch(text))),
        show: |s| show::plain(s.https_redirect),
        ..SECTION
    },
    SettingRow {
        long: "acme-challenges",
        value_name: "DIR|off",
        help: "The webroot of an ACME client, for /.well-known/acme-challenge/ without TLS",
        default: "off",
        read: ReadSetting::Path(|s, path| s.acme_challenges = choice::path_or_off(path)),
        show: |s| s.acme_challenges.as_deref().map_or_else(off, show::path),
        ..SECTION
    },
];

fn off() -> Shown {
    show::text("off")
}
