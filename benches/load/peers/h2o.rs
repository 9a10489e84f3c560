//! h2o, a thread for each worker.

use super::super::tls::KeyPair;
use super::{Launch, Setting, is_root};

/// Sessions in its own memory. By default it gives tickets, and no further one with a session that is
/// resumed, while clients of TLS 1.3 use each once (RFC 8446, appendix C.4).
const SESSIONS: &str = "ssl-session-resumption:
  mode: cache
";

/// Its defaults, with room for the connections and no log.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let user = if is_root() { "user: nobody\n" } else { "" };
    let root = setting.root();
    let tls = setting.tls.as_ref().map(tls).unwrap_or_default();
    let Setting { port, workers, .. } = setting;
    let configuration = format!(
        "{user}listen:
  host: 127.0.0.1
  port: {port}
{tls}num-threads: {workers}
max-connections: 20480
http1-request-timeout: 75
hosts:
  default:
    paths:
      /:
        file.dir: {root}
"
    );
    let file = setting.write("h2o.conf", &configuration)?;
    let words = super::words([&setting.program("h2o"), "--mode", "worker", "--conf", &file]);
    Ok(Launch { words, configuration, ..Launch::default() })
}

/// TLS of a listener, and lines beside it. A certificate that signs itself has no OCSP server to ask.
fn tls(pair: &KeyPair) -> String {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    format!(
        "  ssl:
    certificate-file: {certificate}
    key-file: {key}
    ocsp-update-interval: 0
{SESSIONS}"
    )
}
