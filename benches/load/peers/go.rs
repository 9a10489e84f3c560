//! Go's own file server, built from a few lines beside this file.

use std::process::Command;

use super::{Launch, Setting};

const SOURCE: &str = include_str!("fileserver.go");

/// Builds it where that was not done yet, and gives it as many threads for Go code as there are workers.
pub fn launch(setting: &Setting<'_>) -> Result<Launch, String> {
    let program = setting.home.join("fileserver");
    let source = setting.home.join("fileserver.go");
    let known = std::fs::read_to_string(&source).is_ok_and(|text| text == SOURCE);
    if !known || !program.exists() {
        std::fs::write(&source, SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
        let mut build = Command::new(setting.program("go"));
        build.args(["build", "-o"]).arg(&program).arg(&source).env("GOFLAGS", "").env("GO111MODULE", "off");
        // Without a home directory it knows no cache.
        build.env("GOCACHE", setting.home.join("go-cache"));
        let output = build.output().map_err(|error| format!("go build: {error}"))?;
        if !output.status.success() {
            let _ = std::fs::remove_file(&source);
            return Err(format!("go build: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    let words = super::words([&program.to_string_lossy(), &setting.port.to_string(), &setting.root()]);
    let environment = vec![("GOMAXPROCS".to_owned(), setting.workers.to_string())];
    Ok(Launch { words, environment, configuration: SOURCE.to_owned() })
}
