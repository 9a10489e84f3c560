//! The files of rules in a root, `_redirects` and `_headers`: no client sees them by another way.

use crate::support::Tree;
use crate::support::configured::serve;

#[test]
fn site_files_are_neither_found_by_their_name_nor_listed() {
    let tree = Tree::empty();
    tree.file("_redirects", "/a /b\n");
    tree.file("_headers", "/*\n  X-Rules: yes\n");
    tree.file("deep/_redirects", "beneath\n");
    tree.file("deep/shown.txt", "shown\n");
    let settings = "listing = true\n[[location]]\npath = '/'\nfind_by_name = true\n";
    let server = serve(tree, &format!("site_files = true\n{settings}"), &[]);
    let found = server.get("/x/shown.txt");
    found.is(200, "shown\n");
    assert_eq!(found["x-rules"], "yes");
    for target in ["/_headers", "/?=_headers", "/x/_headers", "/x/y/%5Fheaders", "/?=%5Fheaders"] {
        server.get(target).has_status(&[404]);
    }
    // Another one of this name is a file like others.
    server.get("/deep/_redirects").is(200, "beneath\n");
    for target in ["/_redirects", "/?=_redirects", "/x/_redirects"] {
        let response = server.get(target);
        response.has_status(&[200, 404]);
        assert_ne!(response.text(), "/a /b\n", "{target}");
    }
    for target in ["/", "/?format=json", "/?sort=size"] {
        let listing = server.get(target);
        listing.has_status(&[200]);
        let text = listing.text();
        assert!(text.contains("deep"), "{text}");
        assert!(!text.contains("\"_") && !text.contains(">_"), "{target}: {text}");
    }
    // Where they are no rules, they are files.
    let server = serve(Tree::empty(), settings, &[]);
    server.tree().file("_headers", "plain\n");
    server.get("/_headers").is(200, "plain\n");
    assert!(server.get("/").text().contains("\"_headers\""));
}

#[test]
fn a_listing_hides_the_site_files_of_the_root_alone() {
    let (tree, other) = (Tree::empty(), Tree::empty());
    tree.file("_redirects", "/a /b\n");
    tree.file("deep/_redirects", "beneath\n");
    other.file("_redirects", "other\n");
    let settings = format!(
        "site_files = true\nlisting = true\n[[location]]\npath = '/same/'\nalias = {:?}\n\
         [[location]]\npath = '/other/'\nalias = {:?}\n",
        tree.path().to_str().unwrap(),
        other.path().to_str().unwrap()
    );
    let server = serve(tree, &settings, &[]);
    for (directory, expected) in
        [("/", None), ("/same/", None), ("/deep/", Some("beneath\n")), ("/other/", Some("other\n"))]
    {
        let file = server.get(format!("{directory}_redirects"));
        let found = (file.status == 200).then(|| file.text());
        assert_eq!(found.as_deref(), expected, "{directory}");
        for query in ["", "?format=json"] {
            let listing = server.get(format!("{directory}{query}"));
            listing.has_status(&[200]);
            // What is listed can be had, and the other way round.
            assert_eq!(listing.text().contains("\"_redirects\""), expected.is_some(), "{directory}{query}");
        }
    }
}
