//! Pages in a real browser: that of an error, a deep link into an application, and a sign-in by URL.

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
