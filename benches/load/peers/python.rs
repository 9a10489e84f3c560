//! The designs that mayhttpd replaces, each in a few lines of Python beside this file, and uwsgi.

use super::super::tools::PYTHON;
use super::{Launch, Setting};

/// Prefork, and a coroutine for each client that sends by sendfile.
pub fn coroutines(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("prefork_coroutines.py"), &["sendfile"])
}

/// The same that reads and writes.
pub fn copying_coroutines(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("prefork_coroutines.py"), &["read"])
}

/// Processes, and a thread for each request.
pub fn threads(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("process_threads.py"), &[])
}

/// A selector in each of some threads.
pub fn selectors(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("selector_threads.py"), &[])
}

/// The standard library's server.
pub fn http_server(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("http_server.py"), &[])
}

/// aiohttp.
pub fn aiohttp(setting: &Setting<'_>) -> Result<Launch, String> {
    script(setting, include_str!("aiohttp_static.py"), &[])
}

fn script(setting: &Setting<'_>, source: &str, further: &[&str]) -> Result<Launch, String> {
    let file = setting.write("server.py", source)?;
    let (port, workers) = (setting.port.to_string(), setting.workers.to_string());
    let mut words = super::words([&setting.program(PYTHON), &file, &port, &setting.root(), &workers]);
    words.extend(further.iter().map(|&word| word.to_owned()));
    Ok(Launch { words, configuration: source.to_owned(), ..Launch::default() })
}

/// uwsgi serves a file before any program is asked; its own socket keeps no connection.
pub fn uwsgi(setting: &Setting<'_>) -> Result<Launch, String> {
    let address = format!("127.0.0.1:{}", setting.port);
    let words = super::words([
        &setting.program("uwsgi"),
        // It looks for files in the course of asking a program, and Debian has each language apart.
        "--plugins",
        "python3",
        "--http-socket",
        &address,
        "--master",
        "--die-on-term",
        "--processes",
        &setting.workers.to_string(),
        "--listen",
        "4096",
        "--disable-logging",
        // It closes after each answer; a client that isn't told takes that for a fault.
        "--add-header",
        "Connection: close",
        "--check-static",
        &setting.root(),
    ]);
    Ok(Launch { words, ..Launch::default() })
}
