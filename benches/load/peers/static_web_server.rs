//! static-web-server, which is hyper and tokio.

use super::super::site::{self, Site};
use super::{Launch, Setting};

/// Its flags, and for redirects and hosts its file.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let port = setting.port.to_string();
    let program = setting.program("static-web-server");
    let mut words = super::words([&program, "--host", "127.0.0.1", "--port", &port]);
    // It makes a thread for each CPU that its affinity allows, which are as many as there are workers.
    words.extend(["--root".into(), setting.root(), "--threads-multiplier".into(), "1".into()]);
    let compression = (setting.site == Site::Compressed).to_string();
    words.extend(["--log-level".into(), "error".into(), "--compression".into(), compression]);
    match setting.site {
        Site::Precompressed => words.extend(["--compression-static".into(), "true".into()]),
        Site::Listing => words.extend(["--directory-listing".into(), "true".into()]),
        Site::Authenticated => words.extend(["--basic-auth".into(), site::USER.into()]),
        _ => {}
    }
    let configuration = file(setting);
    if !configuration.is_empty() {
        words.extend(["--config-file".into(), setting.write("sws.toml", &configuration)?]);
    }
    Ok(Launch { words, configuration, ..Launch::default() })
}

/// What only its file can say.
fn file(setting: &Setting<'_>) -> String {
    let root = setting.root();
    match setting.site {
        Site::Redirects(count) => (0..count)
            .map(site::redirect)
            .map(|(from, to)| {
                let rule = format!("source = \"{from}\"\ndestination = \"{to}\"\nkind = 301\n");
                format!("[[advanced.redirects]]\n{rule}")
            })
            .collect(),
        Site::Hosts => (0..site::HOSTS)
            .map(site::host)
            .map(|(name, directory)| {
                format!("[[advanced.virtual-hosts]]\nhost = \"{name}\"\nroot = \"{root}/{directory}\"\n")
            })
            .collect(),
        _ => String::new(),
    }
}
