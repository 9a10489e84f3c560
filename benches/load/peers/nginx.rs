//! nginx: as one sets it up who wants the most of it, the same with threads that read files, the same that
//! compresses for each request, and as Debian does.

use super::super::site::{self, Site};
use super::super::tls::KeyPair;
use super::{Launch, Setting, is_root};

/// What the tuned ones have in common.
const EVENTS: &str = "multi_accept on; use epoll;";
const HTTP: &str = "sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 75; keepalive_requests 100000000;
    open_file_cache max=30000 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
    server_tokens off; etag on;";
const LISTEN: &str = "deferred reuseport backlog=4096";
/// Redirects from a hash of their paths, which is its fastest way.
const MOVED: &str = "        if ($moved) { return 301 $moved; }\n";

/// Deferred accept, a socket for each worker, files kept open, and no limit on what a connection may ask.
pub fn tuned(setting: &Setting<'_>) -> Result<Launch, String> {
    launch(setting, "", EVENTS, HTTP, LISTEN)
}

/// The same with 32 threads for reads, as many as it has by default.
pub fn with_threads(setting: &Setting<'_>) -> Result<Launch, String> {
    let http = format!("aio threads; {HTTP}");
    launch(setting, "thread_pool default threads=32 max_queue=65536;", EVENTS, &http, LISTEN)
}

/// The same that compresses scripts for each request, by its default level of 1.
pub fn with_gzip(setting: &Setting<'_>) -> Result<Launch, String> {
    let http = format!("{HTTP}\n    gzip on; gzip_types application/javascript; gzip_vary on;");
    launch(&Setting { site: Site::Plain, ..setting.clone() }, "", EVENTS, &http, LISTEN)
}

/// Debian's nginx.conf: its defaults where it says nothing, and more connections than its 768, which 10,000
/// need.
pub fn default(setting: &Setting<'_>) -> Result<Launch, String> {
    launch(setting, "", "", "sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on;", "")
}

/// What a site needs: lines of http, and lines of its server.
fn site(setting: &Setting<'_>) -> Result<(String, String), String> {
    let Setting { port, .. } = setting;
    let root = setting.root();
    Ok(match setting.site {
        Site::Plain | Site::Fixed => (String::new(), String::new()),
        Site::Precompressed | Site::Compressed => {
            ("    gzip_static on; gzip_vary on;\n".to_owned(), String::new())
        }
        Site::Redirects(count) => {
            let rule = |(from, to)| format!("        {from} {to};\n");
            let rules: String = (0..count).map(site::redirect).map(rule).collect();
            let size = "map_hash_max_size 32768; map_hash_bucket_size 128;";
            (format!("    {size}\n    map $uri $moved {{\n{rules}    }}\n"), MOVED.to_owned())
        }
        Site::Hosts => {
            let server = |(name, directory)| {
                let listen = format!("listen 127.0.0.1:{port}; server_name {name};");
                format!("    server {{ {listen} root {root}/{directory}; }}\n")
            };
            let servers: String = (0..site::HOSTS).map(site::host).map(server).collect();
            (format!("    server_names_hash_max_size 8192;\n{servers}"), String::new())
        }
        Site::Listing => (String::new(), "        autoindex on;\n".to_owned()),
        Site::Authenticated => {
            let users = setting.users_file()?;
            (String::new(), format!("        auth_basic staff; auth_basic_user_file {users};\n"))
        }
    })
}

/// The words of a listener with TLS and HTTP/2, and lines of its server. Version 1.22 leaves out TLS 1.3
/// where it is not asked for.
fn tls(pair: &KeyPair) -> (&'static str, String) {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let files = format!("ssl_certificate {certificate}; ssl_certificate_key {key};");
    ("ssl http2 ", format!("        ssl_protocols TLSv1.2 TLSv1.3; {files}\n"))
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
    let (further, own) = site(setting)?;
    let (secure, encrypted) = setting.tls.as_ref().map(tls).unwrap_or_default();
    // The first server is the one of requests that name no host.
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
    types {{ text/html html; application/octet-stream bin; application/javascript js; }}
{temporary}    {http}
    server {{
        listen 127.0.0.1:{port} {secure}{listen};
{encrypted}        root {root};
        location = /info {{ return 200 \"a fixed reply, made by the server alone\\n\"; }}
{own}    }}
{further}}}
"
    );
    let file = setting.write("nginx.conf", &configuration)?;
    // Before it has read the file it logs to where it was built to, which may not be ours to write.
    let log = format!("{directory}/error.log");
    let words =
        super::words([&setting.program("nginx"), "-p", &directory.to_string(), "-e", &log, "-c", &file]);
    Ok(Launch { words, configuration, ..Launch::default() })
}
