//! Deployments of a site with the shape of a React build: a page that names assets by content hashes, and a
//! script that names more of them later. Clients that cache as browsers do find no broken asset before, while
//! and after a link is switched from one release to the next.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use crate::support::configured::{Configured, launched};
use crate::support::{Client, DEADLINE, Launch, Response, Tree, eventually};

const WORKERS: usize = 2;

/// A release, and the content hash in the names of its assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Release {
    name: &'static str,
    hash: &'static str,
}

const RELEASES: [Release; 3] = [
    Release { name: "one", hash: "a1b2c3d4" },
    Release { name: "two", hash: "e5f60718" },
    Release { name: "three", hash: "92a3b4c5" },
];

impl Release {
    fn page(self) -> String {
        let Self { name, hash } = self;
        format!(
            "<!doctype html><title>{name}</title><link href=\"/assets/index-{hash}.css\">\
             <div id=root></div><script src=\"/assets/index-{hash}.js\"></script>"
        )
    }

    fn script(self) -> String {
        format!("import(\"/assets/later-{}.js\")", self.hash)
    }

    fn later(self) -> String {
        format!("/assets/later-{}.js", self.hash)
    }

    fn write(self, tree: &Tree) {
        let Self { name, hash } = self;
        let assets = format!("releases/{name}/assets");
        tree.file(format!("releases/{name}/index.html"), self.page());
        tree.file(format!("{assets}/index-{hash}.js"), self.script());
        tree.file(format!("{assets}/index-{hash}.css"), format!("/* {name} */"));
        tree.file(format!("{assets}/later-{hash}.js"), format!("// {name}"));
    }
}

/// Switches a link by a rename, so that it always leads somewhere.
fn switch(tree: &Tree, link: &str, release: Release) {
    let draft = tree.at("new");
    std::os::unix::fs::symlink(Path::new("releases").join(release.name), &draft).unwrap();
    fs::rename(draft, tree.at(link)).unwrap();
}

/// A response that a browser keeps.
struct Kept {
    body: String,
    etag: String,
    is_fresh: bool,
}

/// A client with a cache of its own, which asks again only where Cache-Control and ETag have it.
struct Browser {
    address: SocketAddr,
    /// What it keeps open, where it keeps connections.
    connection: Option<Client>,
    keeps_connections: bool,
    kept: HashMap<String, Kept>,
    /// The statuses of the responses that came over the network.
    statuses: Vec<u16>,
}

impl Browser {
    fn new(address: SocketAddr) -> Self {
        let (kept, statuses) = (HashMap::new(), Vec::new());
        Self { address, connection: None, keeps_connections: false, kept, statuses }
    }

    /// Asks by the connection that is kept, or by one of its own, which any worker may get.
    #[track_caller]
    fn ask(&mut self, target: &str, fields: &str) -> Response {
        let mut client = self.connection.take().unwrap_or_else(|| Client::connect(self.address));
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
        let response = client.response();
        self.connection = (self.keeps_connections && !response.closes()).then_some(client);
        response
    }

    /// The body of a resource, by the cache if it is fresh there.
    #[track_caller]
    fn load(&mut self, target: &str) -> String {
        let kept = self.kept.get(target);
        if let Some(kept) = kept.filter(|kept| kept.is_fresh) {
            return kept.body.clone();
        }
        let condition = kept.map_or(String::new(), |kept| format!("If-None-Match: {}\r\n", kept.etag));
        let response = self.ask(target, &condition);
        self.statuses.push(response.status);
        if response.status == 304 {
            return self.kept[target].body.clone();
        }
        assert_eq!(response.status, 200, "{target}: {response:?}");
        let body = String::from_utf8(response.body.clone()).unwrap();
        let control = response.field("cache-control").unwrap_or_default();
        // Without a max-age a browser may keep it too, but for how long is its own affair.
        let age = control.split(", ").find_map(|directive| directive.strip_prefix("max-age="));
        let is_fresh = age.is_some_and(|age| age.parse::<u64>().unwrap() > 0);
        let kept = Kept { body: body.clone(), etag: response["etag"].to_owned(), is_fresh };
        self.kept.insert(target.to_owned(), kept);
        body
    }

    /// Loads the page and the assets that it names at once; which release it is of. None may be broken.
    #[track_caller]
    fn visit(&mut self, target: &str) -> Release {
        let page = self.load(target);
        let release = RELEASES.into_iter().find(|release| release.page() == page);
        let release = release.unwrap_or_else(|| panic!("a page of no release: {page}"));
        for asset in page.split('"').filter(|text| text.starts_with("/assets/")) {
            let body = self.load(asset);
            let is_script = asset.ends_with(".js");
            let whole = if is_script { release.script() } else { format!("/* {} */", release.name) };
            assert_eq!(body, whole, "{asset}");
        }
        release
    }
}

/// Visits the site until told to stop, each time with an empty cache and with a kept one, whose browser keeps
/// its connection too. Tells of which release the pages were.
fn crawl(address: SocketAddr, stop: &AtomicBool, tell: &Sender<Release>) {
    let mut returning = Browser { keeps_connections: true, ..Browser::new(address) };
    while !stop.load(Relaxed) {
        let _ = tell.send(Browser::new(address).visit("/"));
        let _ = tell.send(returning.visit("/some/route"));
    }
}

/// Waits until a crawler has told so many times in succession that a page was of this release.
#[track_caller]
fn told(visits: &Receiver<Release>, release: Release, times: usize) {
    let mut seen = 0;
    let start = Instant::now();
    while seen < times {
        assert!(start.elapsed() < DEADLINE * 2, "no {times} pages of release {} in succession", release.name);
        let visited = visits.recv_timeout(DEADLINE).expect("a crawler has failed");
        seen = if visited == release { seen + 1 } else { 0 };
    }
}

/// Ends the crawlers, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The releases, of which `current` is the first, and a server of `current`.
#[track_caller]
fn served() -> (Tree, Configured) {
    let tree = Tree::empty();
    RELEASES.into_iter().for_each(|release| release.write(&tree));
    ["current", "previous", "next"].into_iter().for_each(|link| switch(&tree, link, RELEASES[0]));
    let [previous, next] = ["previous", "next"].map(|link| tree.at(link).display().to_string());
    let settings = format!("fallback_roots = [{previous:?}, {next:?}]\nimmutable_names = true\nspa = true\n");
    let server = launched(Launch::of_path(tree.at("current")).workers(WORKERS), &settings);
    (tree, server)
}

/// Waits until no worker is left that serves where the links led before `generation`.
#[track_caller]
fn followed(server: &Configured, generation: usize) {
    let begun = format!("generation {generation} serves");
    server.says(&begun, |log| log.contains(&begun));
    eventually("the workers of the generation before have gone", || {
        (server.workers().len() == WORKERS).then_some(())
    });
}

/// Deploys `new` in place of `old`, by the steps in docs/examples; `generation` is the one that serves
/// before it. While connections of two generations are open, a page may come by one and its assets by
/// another: so all workers have the assets of a release before any has its page.
#[track_caller]
fn deploy(tree: &Tree, server: &Configured, generation: usize, [old, new]: [Release; 2]) {
    switch(tree, "next", new);
    followed(server, generation + 1);
    switch(tree, "previous", old);
    switch(tree, "current", new);
}

/// Runs `deploy` while so many crawlers visit the site; it gets the releases that they tell of.
#[track_caller]
fn while_crawled(server: &Configured, crawlers: usize, deploy: impl FnOnce(&Receiver<Release>)) {
    let (tell, visits) = channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..crawlers {
            let (tell, stop, address) = (tell.clone(), &stop, server.address());
            scope.spawn(move || crawl(address, stop, &tell));
        }
        drop(tell);
        deploy(&visits);
    });
}

#[test]
fn a_deployment_breaks_no_asset_of_the_old_page_or_the_new_one() {
    let (tree, server) = served();
    let [one, two, three] = RELEASES;
    let mut early = Browser::new(server.address());
    assert_eq!(early.visit("/"), one);
    while_crawled(&server, 2, |visits| {
        told(visits, one, 20);
        deploy(&tree, &server, 1, [one, two]);
        told(visits, two, 100);
        // What a page of the release before loads only now is still there.
        assert_eq!(early.load(&one.later()), "// one");
        assert_eq!(early.visit("/"), two);
        let generation = last_generation(&server);
        deploy(&tree, &server, generation, [two, three]);
        told(visits, three, 100);
        assert_eq!(early.load(&two.later()), "// two");
        assert_eq!(early.visit("/"), three);
    });
}

#[test]
fn new_connections_find_the_assets_of_the_new_page_after_a_switch_of_the_link_alone() {
    let (tree, server) = served();
    while_crawled(&server, 3, |visits| {
        told(visits, RELEASES[0], 20);
        for pair in RELEASES.windows(2) {
            switch(&tree, "previous", pair[0]);
            switch(&tree, "current", pair[1]);
            told(visits, pair[1], 100);
        }
    });
}

/// The generation that serves. `previous` and `current` may be followed at once or one after the other.
#[track_caller]
fn last_generation(server: &Configured) -> usize {
    eventually("the links are followed", || {
        let log = server.log();
        let numbers = |words: &str| {
            let lines = log.lines().filter_map(|line| line.split_once(words));
            lines.filter_map(|(_, rest)| rest.split(' ').next()?.parse::<usize>().ok()).max()
        };
        let (started, serving) = (numbers("elsewhere now: generation ")?, numbers("[master] generation ")?);
        (started == serving && server.workers().len() == WORKERS).then_some(serving)
    })
}

#[test]
fn a_browser_asks_again_for_the_page_alone() {
    let (_tree, server) = served();
    let mut browser = Browser::new(server.address());
    assert_eq!(browser.visit("/"), RELEASES[0]);
    assert_eq!(browser.statuses, [200, 200, 200]);
    assert_eq!(browser.visit("/"), RELEASES[0]);
    assert_eq!(browser.statuses, [200, 200, 200, 304]);
}
