//! h2o, a thread for each worker.

use super::{Launch, Setting, is_root};

/// Its defaults, with room for the connections and no log.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let user = if is_root() { "user: nobody\n" } else { "" };
    let root = setting.root();
    let Setting { port, workers, .. } = setting;
    let configuration = format!(
        "{user}listen:
  host: 127.0.0.1
  port: {port}
num-threads: {workers}
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
