//! A certificate that signs itself, and its private key, to try TLS out. Clients have to be told to trust it.
//!
//! Both files get their names when they are whole. A key that others may read is never on the disk.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType, date_time_ymd,
};

use crate::config::host::name::HostName;
use crate::error::StartupError;
use crate::sys::file::Draft;
use crate::sys::process;

/// The names without any given.
const NAMES: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// How long it is valid.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Before now, for clients whose clock is late.
const LEAD: Duration = Duration::from_secs(60 * 60);

/// Modes of both files.
const CHAIN_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

/// A certificate and its key, in PEM.
struct PemPair {
    certificate: String,
    key: String,
}

/// Writes NAME.pem and NAME.key, by the first of these names, to a directory, which is created if it does not
/// exist. Returns the flags to serve with them.
///
/// # Errors
/// [`StartupError::Usage`] for what is no name, and [`StartupError::Generated`] if a file can't be written,
/// or exists and `replace` is false.
pub fn run(names: &[String], directory: &Path, replace: bool) -> Result<String, StartupError> {
    let names: Vec<String> = match names {
        [] => NAMES.iter().map(|&name| name.to_owned()).collect(),
        given => given.iter().map(|name| checked(name)).collect::<Result<_, _>>()?,
    };
    let pair = make(&names, SystemTime::now())
        .map_err(|error| StartupError::Usage(format!("cannot make a certificate: {error}")))?;
    let first = names.first().map(String::as_str).unwrap_or_default();
    // An asterisk in a file's name is a nuisance in shells.
    let stem = first.replace('*', "_");
    let (chain, key) = (directory.join(format!("{stem}.pem")), directory.join(format!("{stem}.key")));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StartupError::Generated { path, source }
    };
    std::fs::create_dir_all(directory).map_err(failed(directory))?;
    for path in [&chain, &key] {
        if !replace && path.symlink_metadata().is_ok() {
            let why = "it exists already, and --force replaces it";
            return Err(failed(path)(io::Error::new(ErrorKind::AlreadyExists, why)));
        }
    }
    // The key first: a server that watches both takes up neither before they fit.
    write(&key, &pair.key, KEY_MODE).map_err(failed(&key))?;
    write(&chain, &pair.certificate, CHAIN_MODE).map_err(failed(&chain))?;
    Ok(format!("--tls-cert {} --tls-key {}\n", chain.display(), key.display()))
}

/// A name in ASCII, or an address.
fn checked(name: &str) -> Result<String, StartupError> {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = inner.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let read = HostName::read(name).map_err(|why| StartupError::Usage(format!("{name:?} is no name: {why}")));
    read.map(|name| name.to_string())
}

fn make(names: &[String], now: SystemTime) -> Result<PemPair, rcgen::Error> {
    let mut params = CertificateParams::default();
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.distinguished_name = rcgen::DistinguishedName::new();
    let first = names.first().map(String::as_str).unwrap_or_default();
    // A common name has 64 characters at most (RFC 5280 appendix A.1).
    params.distinguished_name.push(DnType::CommonName, first.chars().take(64).collect::<String>());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = date_time_ymd(1970, 1, 1) + now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (params.not_before, params.not_after) = (now - LEAD, now + VALIDITY);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Writes a file under a hidden name, and gives it its own.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory: OwnedFd = File::open(parent.unwrap_or(Path::new(".")))?.into();
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let hidden = format!(".mayhttpd-certificate-{}", process::id());
    let draft = Draft::create(Arc::new(directory), hidden.into_bytes())?;
    let written = draft
        .file()
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| draft.file().write_all(text.as_bytes()))
        .and_then(|()| draft.file().sync_all())
        .and_then(|()| draft.rename(name));
    written.inspect_err(|_| draft.remove())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_addresses_are_taken() {
        for (given, expected) in [
            ("Example.org.", Some("example.org")),
            ("*.example.org", Some("*.example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("[0:0::1]", Some("::1")),
            ("", None),
            ("a/b", None),
            ("..", None),
            ("a b", None),
            ("example.org:443", None),
        ] {
            assert_eq!(checked(given).ok().as_deref(), expected, "{given}");
        }
    }
}
