//! A real browser: Chromium without a window, driven over WebDriver by chromedriver.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::plain;

pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// None, where there is no browser on this machine.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With these flags besides, without their dashes.
    pub fn start_with(more: &[&str]) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let installed = |program| {
            let run =
                Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        if !installed("chromium") || !installed("chromedriver") {
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = format!("mayhttpd-browser-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(profile);
        let mut driver = Command::new("chromedriver");
        let driver = driver.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = driver.spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver ended")));
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, address, session: String::new(), profile };
        let flags = [
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "window-size=1200,900",
        ];
        let flags =
            flags.iter().chain(more).map(|flag| format!("\"--{flag}\"")).collect::<Vec<_>>().join(",");
        let profile = browser.profile.display().to_string();
        let answer = browser.command(
            "/session",
            &format!(
                r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{"args":[{flags},"--user-data-dir={profile}"]}}}}}}}}"#
            ),
        );
        let session =
            answer.split("\"sessionId\":\"").nth(1).unwrap_or_else(|| panic!("no session: {answer}"));
        browser.session = session.split('"').next().unwrap().to_owned();
        Some(browser)
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command(&format!("/session/{}/url", self.session), &format!(r#"{{"url":"{url}"}}"#));
    }

    /// Has the browser behave as on another device: a command of the DevTools protocol, with its parameters
    /// as JSON.
    #[track_caller]
    pub fn emulate(&self, command: &str, parameters: &str) {
        let path = format!("/session/{}/goog/cdp/execute", self.session);
        self.command(&path, &format!(r#"{{"cmd":"{command}","params":{parameters}}}"#));
    }

    /// What a script returns, which has to be text without anything that JSON escapes; no `"` in the script
    /// either.
    #[track_caller]
    pub fn text(&self, script: &str) -> String {
        let path = format!("/session/{}/execute/sync", self.session);
        let answer = self.command(&path, &format!(r#"{{"script":"{script}","args":[]}}"#));
        let value = answer.strip_prefix("{\"value\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        value.unwrap_or_else(|| panic!("{script} gave {answer}")).to_owned()
    }

    #[track_caller]
    fn command(&self, path: &str, body: &str) -> String {
        let (address, length) = (self.address, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json");
        let answer = plain::ask(address, &format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"));
        let (status, answer) = answer.expect("chromedriver gives no answer");
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session's end closes the browser; the driver has no say in its own.
        let path = format!("/session/{}", self.session);
        plain::ask(self.address, &format!("DELETE {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
