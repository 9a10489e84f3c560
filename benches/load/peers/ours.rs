//! mayhttpd as cargo built it for this benchmark, with its defaults and what a site needs.

use super::super::site::{self, Site};
use super::super::tls::KeyPair;
use super::{Launch, PROGRAM, Setting};

/// A settings file is there for the sites that need one: a plain one is measured without, which is what most
/// are.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let (listen, workers) = (format!("127.0.0.1:{}", setting.port), setting.workers.to_string());
    let mut words = super::words([PROGRAM, "--root", &setting.root(), "--workers", &workers]);
    match &setting.tls {
        None => words.extend(super::words(["--listen", &listen])),
        Some(KeyPair { certificate, key }) => {
            let files = [certificate, key].map(|file| file.to_string_lossy().into_owned());
            let [certificate, key] = &files;
            let tls = ["--tls-listen", &listen, "--tls-cert", certificate, "--tls-key", key];
            words.extend(super::words(tls));
        }
    }
    let configuration = settings(setting)?;
    if !configuration.is_empty() {
        words.extend(["--config".to_owned(), setting.write("mayhttpd.toml", &configuration)?]);
    }
    Ok(Launch { words, configuration, ..Launch::default() })
}

/// The settings of the site; empty where the defaults do.
fn settings(setting: &Setting<'_>) -> Result<String, String> {
    Ok(match setting.site {
        Site::Plain | Site::Precompressed => String::new(),
        Site::Fixed => "[[location]]\npath = \"/info\"\n\
            return = { status = 200, body = \"a fixed reply, made by the server alone\\n\" }\n"
            .to_owned(),
        // The variants in the directory are for servers that keep no results.
        Site::Compressed => "compress = true\nprecompressed = false\n".to_owned(),
        Site::Redirects(count) => (0..count)
            .map(site::redirect)
            .map(|(from, to)| format!("[[redirect]]\nfrom = \"{from}\"\nto = \"{to}\"\n"))
            .collect(),
        Site::Hosts => {
            let root = setting.root();
            let table = |(name, directory)| {
                format!("[[host]]\nnames = [\"{name}\"]\nroot = \"{root}/{directory}\"\n")
            };
            (0..site::HOSTS).map(site::host).map(table).collect()
        }
        Site::Listing => "listing = true\n".to_owned(),
        Site::Authenticated => {
            let users = setting.users_file()?;
            format!("auth = {{ realm = \"staff\", users_file = \"{users}\" }}\n")
        }
    })
}
