//! Settings for the whole server, for a host and for a location: the nearest counts for a request.

use crate::support::configured::serve;
use crate::support::tree::PAGE;
use crate::support::{Response, Server, Tree, every};

/// A request for `target` of `host`.
#[track_caller]
fn get(server: &Server, (host, target): (&str, &str)) -> Response {
    server.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

/// The same page at several paths, and links to it.
fn tree() -> Tree {
    let tree = Tree::site();
    for directory in ["", "in/", "in/deep/"] {
        tree.file(format!("{directory}real.html"), PAGE);
        tree.link(format!("{directory}link.html"), "real.html");
    }
    tree
}

#[test]
fn links_are_followed_as_the_nearest_setting_says() {
    let server = serve(
        tree(),
        "symlinks = 'deny'\n\
         [[location]]\npath = '/in/'\nsymlinks = 'inside'\n\
         [[location]]\npath = '/in/deep/'\nsymlinks = 'deny'\n\
         [[host]]\nnames = ['own']\nsymlinks = 'inside'\n\
         [[host.location]]\npath = '/in/'\nsymlinks = 'deny'\n\
         [[host.location]]\npath = '/in/deep/'\nsymlinks = 'same-owner'\n\
         [[host]]\nnames = ['other']\n\
         [[host.location]]\npath = '/in/deep/'\nsymlinks = 'inside'\n",
        &[],
    );
    let rows = [
        (("test", "/link.html"), 403),
        (("test", "/in/link.html"), 200),
        (("test", "/in/deep/link.html"), 403),
        (("own", "/link.html"), 200),
        (("own", "/in/link.html"), 403),
        (("own", "/in/deep/link.html"), 200),
        (("other", "/link.html"), 403),
        (("other", "/in/link.html"), 403),
        (("other", "/in/deep/link.html"), 200),
    ];
    // Twice: what the cache has for one of them is not for another.
    every(rows.iter().chain(&rows).map(|row| (format!("{:?}", row.0), row)), |(request, status)| {
        get(&server, *request).has_status(&[*status]);
        get(&server, (request.0, &request.1.replace("link", "real"))).is(200, PAGE);
    });
}

#[test]
fn header_rules_are_those_of_the_nearest_table_that_has_any() {
    let server = serve(
        tree(),
        "[[header]]\npath = '/**'\nset = { X-Level = 'top' }\n\
         [[location]]\npath = '/in/'\n\
         [[location.header]]\npath = '/in/*.html'\nset = { X-Level = 'location' }\n\
         [[location]]\npath = '/in/deep/'\nheader = []\n\
         [[host]]\nnames = ['own']\n\
         [[host.header]]\npath = '/*.html'\nset = { X-Level = 'host' }\n\
         [[host.location]]\npath = '/in/'\n\
         [[host.location.header]]\npath = '/in/**'\nset = { X-Level = 'location of the host' }\n\
         [[host]]\nnames = ['other']\n",
        &[],
    );
    let rows = [
        (("test", "/real.html"), Some("top")),
        (("test", "/in/real.html"), Some("location")),
        // The rules of the location take the place of those of the server.
        (("test", "/in/absent.txt"), None),
        (("test", "/in/deep/real.html"), None),
        (("own", "/real.html"), Some("host")),
        (("own", "/text.txt"), None),
        (("own", "/in/real.html"), Some("location of the host")),
        (("other", "/real.html"), Some("top")),
        (("other", "/in/real.html"), Some("top")),
    ];
    every(rows.map(|row| (format!("{:?}", row.0), row)), |(request, level)| {
        assert_eq!(get(&server, request).all("x-level"), Vec::from_iter(level));
    });
}

#[test]
fn rewrites_are_those_of_the_nearest_table_that_has_any() {
    let tree = tree();
    for level in ["top", "location", "host", "host-location"] {
        tree.file(format!("{level}.txt"), level);
    }
    let server = serve(
        tree,
        "[[rewrite]]\nfrom = '/page'\nto = '/top.txt'\n\
         [[rewrite]]\nfrom = '/in/page'\nto = '/top.txt'\n\
         [[location]]\npath = '/in/'\n\
         [[location.rewrite]]\nfrom = '/in/:page'\nto = '/location.txt'\nif_missing = true\n\
         [[location]]\npath = '/in/deep/'\nrewrite = []\n\
         [[host]]\nnames = ['own']\n\
         [[host.rewrite]]\nfrom = '/:page'\nto = '/host.txt'\nif_missing = true\n\
         [[host.location]]\npath = '/in/'\n\
         [[host.location.rewrite]]\nfrom = '/in/page'\nto = '/host-location.txt'\n\
         [[host]]\nnames = ['other']\n",
        &[],
    );
    let rows = [
        (("test", "/page"), Some("top")),
        (("test", "/in/page"), Some("location")),
        (("test", "/in/other"), Some("location")),
        (("test", "/in/deep/page"), None),
        (("own", "/page"), Some("host")),
        (("own", "/in/page"), Some("host-location")),
        (("own", "/in/other"), None),
        (("other", "/page"), Some("top")),
        (("other", "/in/page"), Some("top")),
        (("other", "/other"), None),
    ];
    every(rows.map(|row| (format!("{:?}", row.0), row)), |(request, level)| {
        let response = get(&server, request);
        match level {
            Some(level) => response.is(200, level),
            None => response.has_status(&[404]),
        }
        get(&server, (request.0, "/in/real.html")).is(200, PAGE);
    });
}
