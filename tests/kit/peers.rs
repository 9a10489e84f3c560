//! The configurations that servers are started with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::content::Directory;
use crate::load::peers::{Launch, Setting, h2o, nginx, ours, static_web_server};
use crate::load::rounds::shortened;
use crate::load::site::{self, Site};
use crate::load::tls::KeyPair;
use crate::load::tools::Tools;

/// All kinds of sites.
const SITES: &[Site] = &[
    Site::Plain,
    Site::Fixed,
    Site::Precompressed,
    Site::Compressed,
    Site::Redirects(20),
    Site::Redirects(10_000),
    Site::Hosts,
    Site::Listing,
    Site::Authenticated,
];

/// What a server is started for in this directory, where all directories of a site are.
fn setting<'a>(site: Site, tools: &'a Tools, root: &'a Path, directory: PathBuf) -> Setting<'a> {
    Setting {
        tools,
        port: 6001,
        root,
        workers: 1,
        directory,
        home: root,
        length: 0,
        close: false,
        site,
        tls: None,
    }
}

/// Hands each site to `check`, with a directory that has the roots of all hosts.
fn each(check: impl Fn(Setting<'_>)) {
    let directory = Directory::make().unwrap();
    let (root, tools) = (directory.sub("root").unwrap(), Tools::look(directory.path()));
    for number in 0..site::HOSTS {
        std::fs::create_dir_all(root.join(site::host(number).1)).unwrap();
    }
    SITES.iter().for_each(|&site| check(setting(site, &tools, &root, directory.sub("own").unwrap())));
}

#[test]
fn mayhttpd_takes_the_settings_of_every_site() {
    each(|setting| {
        let launch = ours::launch(&setting).unwrap();
        let output = Command::new(&launch.words[0]).args(&launch.words[1..]).arg("-t").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", setting.site);
    });
}

#[test]
fn nginx_takes_the_configuration_of_every_site() {
    each(|setting| {
        if setting.tools.path("nginx").is_none() {
            eprintln!("SKIPPED: nginx is missing");
            return;
        }
        for launch in [nginx::tuned, nginx::with_gzip] {
            let launch = launch(&setting).unwrap();
            let output = Command::new(&launch.words[0]).args(&launch.words[1..]).arg("-t").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{:?}: {said}", setting.site);
        }
    });
}

#[test]
fn servers_take_the_certificate_and_listen_by_tls_alone() {
    let directory = Directory::make().unwrap();
    let (root, tools) = (directory.sub("root").unwrap(), Tools::look(directory.path()));
    let pair = KeyPair::make(&directory.sub("certificate").unwrap()).unwrap();
    let again = KeyPair::make(&directory.sub("certificate").unwrap()).unwrap();
    assert_eq!((&pair.certificate, &pair.key), (&again.certificate, &again.key));
    let own = directory.sub("own").unwrap();
    let setting = Setting { tls: Some(pair), ..setting(Site::Plain, &tools, &root, own) };
    type Start = fn(&Setting<'_>) -> Result<Launch, String>;
    let all: [(&str, Start); 3] = [("mayhttpd", ours::launch), ("nginx", nginx::tuned), ("h2o", h2o::launch)];
    for (name, launch) in all {
        if name != "mayhttpd" && tools.path(name).is_none() {
            eprintln!("SKIPPED: {name} is missing");
            continue;
        }
        let Launch { words, configuration, .. } = launch(&setting).unwrap();
        let output = Command::new(&words[0]).args(&words[1..]).arg("-t").output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let told = format!("{} {configuration}", words.join(" "));
        assert!(told.contains("localhost.pem") && told.contains("localhost.key"), "{told}");
        assert_eq!(told.matches("6001").count(), 1, "{told}");
    }
}

#[test]
fn static_web_server_has_its_rules_in_a_file_and_the_rest_in_flags() {
    each(|setting| {
        let launch = static_web_server::launch(&setting).unwrap();
        let words = launch.words.join(" ");
        let wanted = match setting.site {
            Site::Plain | Site::Fixed => "--compression false",
            Site::Precompressed => "--compression false --compression-static true",
            Site::Compressed => "--compression true",
            Site::Redirects(_) | Site::Hosts => "sws.toml",
            Site::Listing => "--directory-listing true",
            Site::Authenticated => "--basic-auth anna:$2y$",
        };
        assert!(words.contains(wanted), "{:?}: {words}", setting.site);
        let rules = launch.configuration.matches("[[advanced.").count() as u32;
        let wanted = match setting.site {
            Site::Redirects(count) => count,
            Site::Hosts => site::HOSTS,
            _ => 0,
        };
        assert_eq!(rules, wanted, "{:?}", setting.site);
    });
}

#[test]
fn thousands_of_rules_are_recorded_in_part() {
    assert_eq!(shortened("a\nb\n"), "a\nb\n");
    let long = shortened(&"rule\n".repeat(10_000));
    assert_eq!((long.lines().count(), long.lines().last()), (201, Some("… 9800 further lines")));
}
