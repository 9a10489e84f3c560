//! A certificate, `[[certificate]]` in the settings file, or the flags `--tls-cert` and `--tls-key`: the
//! files that it is read from.
//!
//! It opens neither file.

use std::path::{Path, PathBuf};

use super::file_value::FileValue;
use super::show::string;
use super::source_map::Fault;
use super::table_key::{self, KeyPlaces, ReadKey, TableKey};

/// The key of the tables in a settings file.
pub const KEY: &str = "certificate";

/// The files of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The file of the chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
}

/// The keys of a table.
pub const KEYS: &[TableKey<CertificateFiles>] = &[
    TableKey {
        name: "chain",
        takes: "a string: FILE",
        read: ReadKey::Text(|files, text| set(&mut files.chain, text)),
        show: |files| Some(string(&files.chain.to_string_lossy())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "key",
        takes: "a string: FILE",
        read: ReadKey::Text(|files, text| set(&mut files.key, text)),
        show: |files| Some(string(&files.key.to_string_lossy())),
        ..TableKey::EMPTY
    },
];

fn set(file: &mut PathBuf, text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a file".to_owned());
    }
    *file = text.into();
    Ok(())
}

/// Reads the tables of the list, each with its place. `at` is the place of the key.
///
/// # Errors
/// The first mistake.
pub fn read(value: &FileValue, at: usize) -> Result<Vec<(usize, CertificateFiles)>, Fault> {
    let takes = format!("[[{KEY}]] above the keys of each");
    let tables = value.tables().ok_or_else(|| Fault::of(KEY, at, value.wrong_type(&takes)))?;
    let certificate = |(at, table)| {
        let (mut files, mut places) = (CertificateFiles::default(), KeyPlaces::default());
        table_key::read(KEYS, &mut files, &mut places, table)?;
        match table_key::names(KEYS).into_iter().find(|key| !places.has(key)) {
            Some(key) => {
                Err(Fault::of(KEY, at, format!("has no {key} (each certificate needs chain and key)")))
            }
            None => Ok((at, files)),
        }
    };
    tables.into_iter().map(certificate).collect()
}

/// Keys and values of a certificate.
pub fn entries(files: &CertificateFiles) -> Vec<(&'static str, String)> {
    table_key::entries(KEYS, files)
}

/// A certificate of the flags with another chain.
pub fn set_chain(certificates: &mut Vec<CertificateFiles>, chain: &Path) {
    chain.clone_into(&mut sole(certificates).chain);
}

/// A certificate of the flags with another key.
pub fn set_key(certificates: &mut Vec<CertificateFiles>, key: &Path) {
    key.clone_into(&mut sole(certificates).key);
}

fn sole(certificates: &mut Vec<CertificateFiles>) -> &mut CertificateFiles {
    certificates.truncate(1);
    if certificates.is_empty() {
        certificates.push(CertificateFiles::default());
    }
    &mut certificates[0]
}
