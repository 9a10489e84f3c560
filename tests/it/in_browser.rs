//! Pages in a real browser: that of an error, a deep link into an application, a sign-in by URL, and a
//! listing on a phone and in the dark.

use crate::support::browser::Browser;
use crate::support::configured::{Configured, serve};
use crate::support::{Tree, eventually, skipped};

/// The password is "right", with few rounds.
const USERS: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n";

/// A server whose pages, and the fields that restrict them, come as `settings` say, and a browser.
#[track_caller]
fn opened(test: &str, settings: &str) -> Option<(Configured, Browser)> {
    let Some(browser) = Browser::start() else {
        skipped(test, "there is no chromium with its chromedriver");
        return None;
    };
    let tree = Tree::empty();
    tree.file("index.html", "<title>app</title><div id=root></div><script src=/assets/app.js></script>");
    tree.file("assets/app.js", "document.getElementById('root').textContent = location.pathname");
    tree.file("404.html", "<title>lost</title><p>not here");
    tree.file("private/index.html", "<title>in</title><p>signed in");
    let users = tree.file("users", USERS);
    let settings = settings.replace("USERS", users.to_str().unwrap());
    Some((serve(tree, &settings, &["--security-headers"]), browser))
}

#[track_caller]
fn shows(browser: &Browser, server: &Configured, target: &str, text: &str) {
    browser.open(&format!("http://{}{target}", server.address()));
    eventually(text, || (browser.text("return document.body.innerText") == text).then_some(()));
}

#[test]
fn an_error_shows_the_built_in_page_or_that_of_the_settings() {
    let settings = "[[location]]\npath = '/own/'\nerror_pages = { 404 = '/404.html' }\n";
    let Some((server, browser)) = opened("an_error_shows_the_built_in_page…", settings) else { return };
    shows(&browser, &server, "/absent", "404 Not Found");
    shows(&browser, &server, "/own/absent", "not here");
    assert_eq!(browser.text("return location.pathname"), "/own/absent");
}

#[test]
fn a_deep_link_opens_the_application_at_its_route() {
    let settings = "spa = true\nheaders = { Content-Security-Policy = \"default-src 'self'\" }\n";
    let Some((server, browser)) = opened("a_deep_link_opens_the_application…", settings) else { return };
    shows(&browser, &server, "/users/42/edit", "/users/42/edit");
    shows(&browser, &server, "/users/43/", "/users/43/");
}

#[test]
fn a_url_with_name_and_password_signs_in() {
    let settings = "[[location]]\npath = '/private/'\nauth = { realm = 'staff', users_file = 'USERS' }\n";
    let Some((server, browser)) = opened("a_url_with_name_and_password_signs_in", settings) else { return };
    browser.open(&format!("http://anna:right@{}/private/", server.address()));
    let title = || browser.text("return document.title");
    eventually("the page of those who have signed in", || (title() == "in").then_some(()));
    // The browser keeps name and password for the realm.
    shows(&browser, &server, "/private/", "signed in");
}

#[test]
fn a_listing_fits_a_phone_and_is_dark_where_dark_is_preferred() {
    let Some((server, browser)) = opened("a_listing_fits_a_phone…", "listing = true\n") else { return };
    let long = "a name that is much longer than a phone is wide ".repeat(3);
    server.tree().file(format!("list/{}.txt", "x".repeat(120)), "content");
    server.tree().file(format!("list/{long}.txt"), vec![b'x'; 100_000]);
    server.tree().file(format!("list/{}/inner.txt", "deep".repeat(20)), "content");
    for target in ["/list/".to_owned(), format!("/list/{}/", "deep".repeat(20))] {
        browser.emulate(
            "Emulation.setDeviceMetricsOverride",
            r#"{"width":400,"height":800,"deviceScaleFactor":1,"mobile":true}"#,
        );
        browser.open(&format!("http://{}{target}", server.address()));
        assert_eq!(browser.text("return String(window.innerWidth)"), "400");
        let width = browser.text("return String(document.documentElement.scrollWidth)");
        assert!(width.parse::<u32>().unwrap() <= 400, "{target} is {width} wide");
    }
    for scheme in ["light", "dark", "light"] {
        let features = format!(r#"{{"features":[{{"name":"prefers-color-scheme","value":"{scheme}"}}]}}"#);
        browser.emulate("Emulation.setEmulatedMedia", &features);
        browser.open(&format!("http://{}/list/", server.address()));
        // What is behind and what is before it, each of red, green and blue.
        let [ground, letters] = ["backgroundColor", "color"].map(|property| {
            let colour = browser.text(&format!(
                "const s = getComputedStyle(document.documentElement), b = getComputedStyle(document.body); \
                 return b.{property} === 'rgba(0, 0, 0, 0)' ? s.{property} : b.{property}"
            ));
            let parts = colour.trim_start_matches("rgb(").trim_end_matches(')').split(", ");
            parts.map(|part| part.parse::<u32>().unwrap_or_else(|_| panic!("{colour}"))).sum::<u32>()
        });
        let is_dark = ground < 3 * 64 && letters > 3 * 160;
        let is_light = ground > 3 * 192 && letters < 3 * 96;
        assert!(if scheme == "dark" { is_dark } else { is_light }, "{scheme}: {letters} on {ground}");
    }
}
