//! lighttpd with epoll and sendfile, and limits that none of the workloads meets.

use super::{Launch, Setting, is_root};

/// One process for one worker, as its default is; else so many behind a parent. It logs errors to where we
/// read them, and its limits are numbers of 16 bits.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let user = if is_root() { "server.username = \"nobody\"\nserver.groupname = \"nogroup\"\n" } else { "" };
    let workers = if setting.workers > 1 { setting.workers } else { 0 };
    let (root, port) = (setting.root(), setting.port);
    let configuration = format!(
        "{user}server.document-root = \"{root}\"
server.bind = \"127.0.0.1\"
server.port = {port}
server.event-handler = \"linux-sysepoll\"
server.network-backend = \"sendfile\"
server.max-worker = {workers}
server.max-fds = 65535
server.max-connections = 20480
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 75
mimetype.assign = ( \".html\" => \"text/html\", \".bin\" => \"application/octet-stream\" )
"
    );
    let file = setting.write("lighttpd.conf", &configuration)?;
    let words = super::words([&setting.program("lighttpd"), "-D", "-f", &file]);
    Ok(Launch { words, configuration, ..Launch::default() })
}
