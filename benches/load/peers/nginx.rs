//! nginx, three times: as one sets it up who wants the most of it, the same with threads that read files, and
//! as Debian does.

use super::{Launch, Setting, is_root};

/// What the tuned ones have in common.
const EVENTS: &str = "multi_accept on; use epoll;";
const HTTP: &str = "sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 75; keepalive_requests 100000000;
    open_file_cache max=30000 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
    server_tokens off; etag on;";
const LISTEN: &str = "deferred reuseport backlog=4096";

/// Deferred accept, a socket for each worker, files kept open, and no limit on what a connection may ask.
pub fn tuned(setting: &Setting<'_>) -> Result<Launch, String> {
    launch(setting, "", EVENTS, HTTP, LISTEN)
}

/// The same with 32 threads for reads, as many as it has by default.
pub fn with_threads(setting: &Setting<'_>) -> Result<Launch, String> {
    let http = format!("aio threads; {HTTP}");
    launch(setting, "thread_pool default threads=32 max_queue=65536;", EVENTS, &http, LISTEN)
}

/// Debian's nginx.conf: its defaults where it says nothing, and more connections than its 768, which 10,000
/// need.
pub fn default(setting: &Setting<'_>) -> Result<Launch, String> {
    launch(setting, "", "", "sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on;", "")
}

fn launch(
    setting: &Setting<'_>,
    main: &str,
    events: &str,
    http: &str,
    listen: &str,
) -> Result<Launch, String> {
    let directory = setting.directory.display();
    let user = if is_root() { "user nobody nogroup;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {directory}/{kind};\n"))
        .concat();
    let Setting { port, workers, .. } = setting;
    let root = setting.root();
    let configuration = format!(
        "{user} {main}
worker_processes {workers};
worker_rlimit_nofile 65536;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 20480; {events} }}
http {{
    access_log off;
    types {{ text/html html; application/octet-stream bin; }}
{temporary}    {http}
    server {{
        listen 127.0.0.1:{port} {listen};
        root {root};
        location = /info {{ return 200 \"a fixed reply, made by the server alone\\n\"; }}
    }}
}}
"
    );
    let file = setting.write("nginx.conf", &configuration)?;
    // Before it has read the file it logs to where it was built to, which may not be ours to write.
    let log = format!("{directory}/error.log");
    let words =
        super::words([&setting.program("nginx"), "-p", &directory.to_string(), "-e", &log, "-c", &file]);
    Ok(Launch { words, configuration, ..Launch::default() })
}
